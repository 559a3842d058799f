"""Faults that a test sets at run time: refusals, lost connections, delays."""

import threading
import time
from dataclasses import dataclass, field
from typing import Literal

from stand_ins.scicat.answers import Answer

Moment = Literal["before", "after"]


@dataclass(frozen=True)
class Fault:
    """Something that goes wrong for requests that match.

    Attributes:
        status: answer with this status.
        drop: close the connection without any answer.
        when: ``before`` the request did its work, or ``after`` it was carried out (a write is stored then).
        delay_seconds: wait before anything else.
        method: only requests with this method; None means any.
        path_contains: only requests whose path (percent-decoded, with its query) contains this text.
        times: how many requests; None means all until cleared or until the time is up.
        for_seconds: for how long from now; None means without end.
        headers: sent along with ``status``, e.g. ``Retry-After``.
    """

    status: int | None = None
    drop: bool = False
    when: Moment = "before"
    delay_seconds: float = 0.0
    method: str | None = None
    path_contains: str = ""
    times: int | None = 1
    for_seconds: float | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def answer(self) -> Answer:
        """Give the answer that this fault sends: a 500 as a bare string, as SciCat's own, else a proxy's."""
        status = self.status or 500
        body: object = (
            "Internal server error" if status == 500 else {"statusCode": status, "message": "fault"}
        )
        return Answer(status, body, self.headers)

    def concerns(self, method: str, path: str) -> bool:
        """Tell whether a request matches."""
        return self.method in (None, method) and self.path_contains in path


@dataclass
class _Armed:
    fault: Fault
    left: int | None
    until: float | None


@dataclass(frozen=True)
class Mishap:
    """What shall go wrong with one request: a delay, and at most one deciding fault."""

    delay_seconds: float = 0.0
    fault: Fault | None = None


class Faults:
    """The faults in force; may be called from any thread."""

    def __init__(self) -> None:
        self._armed: list[_Armed] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Put a fault in force."""
        until = None if fault.for_seconds is None else time.monotonic() + fault.for_seconds
        with self._lock:
            self._armed.append(_Armed(fault, fault.times, until))

    def fail(
        self,
        status: int = 503,
        *,
        times: int | None = 1,
        for_seconds: float | None = None,
        method: str | None = None,
        path_contains: str = "",
        when: Moment = "before",
    ) -> None:
        """Answer matching requests with a status; ``when="after"`` does so after the write was stored.

        With ``for_seconds`` every matching request fails for that long, however many they are.
        """
        count = None if for_seconds is not None else times
        self.add(
            Fault(
                status,
                when=when,
                method=method,
                path_contains=path_contains,
                times=count,
                for_seconds=for_seconds,
            )
        )

    def drop(
        self,
        *,
        times: int | None = 1,
        for_seconds: float | None = None,
        method: str | None = None,
        path_contains: str = "",
        when: Moment = "before",
    ) -> None:
        """Close the connection of matching requests without an answer, before or after the work is done."""
        count = None if for_seconds is not None else times
        self.add(
            Fault(
                drop=True,
                when=when,
                method=method,
                path_contains=path_contains,
                times=count,
                for_seconds=for_seconds,
            )
        )

    def delay(
        self, seconds: float, *, times: int | None = None, method: str | None = None, path_contains: str = ""
    ) -> None:
        """Let matching requests wait before anything else happens, all of them unless ``times`` says how many."""
        self.add(Fault(delay_seconds=seconds, method=method, path_contains=path_contains, times=times))

    def clear(self) -> None:
        """End all faults."""
        with self._lock:
            self._armed.clear()

    def take(self, method: str, path: str) -> Mishap:
        """Use up what concerns this request: every delay, and the first fault that fails or drops."""
        delay, deciding = 0.0, None
        with self._lock:
            self._armed = [one for one in self._armed if one.left != 0 and not _over(one)]
            for one in self._armed:
                fails = one.fault.drop or one.fault.status is not None
                if not one.fault.concerns(method, path) or (fails and deciding is not None):
                    continue
                deciding = one.fault if fails else deciding
                delay += one.fault.delay_seconds
                one.left = None if one.left is None else one.left - 1
        return Mishap(delay, deciding)


def _over(armed: _Armed) -> bool:
    return armed.until is not None and time.monotonic() >= armed.until
