"""The one clock of a request: each of its waits ends by it, from the name service to the last byte."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import httpcore2


@dataclass(frozen=True, slots=True)
class RequestClock:
    """The time limits of one request.

    The time limits of HTTP libraries are those of one system call: a server that sends a byte now and then
    keeps within them for ever.

    Attributes:
        ends: When names, connection, TLS and sending must be over and the answer must have begun, of
            `time.monotonic`.
        silence: Seconds for which the server may neither take nor give a byte.
        connect: Seconds that connecting to one address, and TLS, may each take.
        whole: Whether the body must be over at `ends`, too; if not, `silence` alone limits it.
    """

    ends: float
    silence: float
    connect: float
    whole: bool = True

    @property
    def left(self) -> float:
        """Seconds until `ends`; 0 or less once it is over."""
        return self.ends - time.monotonic()

    @property
    def of_body(self) -> RequestClock:
        """The clock by which the body of the answer is read."""
        return self if self.whole else RequestClock(math.inf, self.silence, self.connect)


class RunningClock:
    """The clock of the request that a thread has under way; each thread has its own.

    HTTP libraries tell a connection nothing of the request that uses it, except on which thread.
    """

    def __init__(self) -> None:
        self._thread = threading.local()

    @contextmanager
    def by(self, clock: RequestClock) -> Iterator[None]:
        """Have the requests of this thread inside the block go by a clock."""
        before = getattr(self._thread, "clock", None)
        self._thread.clock = clock
        try:
            yield
        finally:
            self._thread.clock = before

    def connecting(self, *, names: bool = False) -> float:
        """Give the seconds that connecting to one address, or TLS, may take.

        Args:
            names: Whether it is looking up a name instead, which may take all that is left.

        Raises:
            httpcore2.ConnectTimeout: The time of the request is over.
        """
        clock = self._clock
        if clock.left <= 0:
            raise httpcore2.ConnectTimeout("the time of the request is over")
        return clock.left if names else min(clock.left, clock.connect)

    def sending(self) -> float:
        """Give the seconds for which the server may take no byte.

        Raises:
            httpcore2.WriteTimeout: The time of the request is over.
        """
        return self._exchanging(httpcore2.WriteTimeout)

    def receiving(self) -> float:
        """Give the seconds for which the server may give no byte.

        Raises:
            httpcore2.ReadTimeout: The time of the request is over.
        """
        return self._exchanging(httpcore2.ReadTimeout)

    def _exchanging(self, over: type[httpcore2.TimeoutException]) -> float:
        limit = min(self._clock.left, self._clock.silence)
        if limit <= 0:
            raise over("the time of the request is over")
        return limit

    @property
    def _clock(self) -> RequestClock:
        clock: RequestClock = self._thread.clock
        return clock
