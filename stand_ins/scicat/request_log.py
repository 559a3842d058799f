"""The record of every request that reached the stand-in, for tests to assert on."""

import json
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from stand_ins.scicat.answers import JsonObject

KEPT_BODY_BYTES = 1024 * 1024
"""Longer bodies are counted and not kept."""

Outcome = Literal["pending", "answered", "dropped"]
_SECRET_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@dataclass
class Recorded:
    """One request.

    Attributes:
        at: when it arrived, UTC.
        path: percent-decoded, without the query.
        target: raw path with the query, as it came over the wire.
        headers: names in lower case; tokens replaced.
        body: parsed JSON, else text; None if there was none or it was longer than ``KEPT_BODY_BYTES``.
        username: whose token it carried; None for an anonymous caller.
        status: what was answered; None while pending or when the connection was dropped.
        milliseconds: how long the answer took.
    """

    at: datetime
    method: str
    path: str
    target: str
    headers: Mapping[str, str]
    body: Any
    body_bytes: int
    username: str | None = None
    status: int | None = None
    outcome: Outcome = "pending"
    milliseconds: float | None = None

    def as_json(self) -> JsonObject:
        """Give the record for the control route."""
        return {**vars(self), "at": self.at.isoformat(), "headers": dict(self.headers)}


class RequestLog:
    """Keeps the requests in the order of their arrival; may be read from any thread."""

    def __init__(self) -> None:
        self._records: list[Recorded] = []
        self._changed = threading.Condition()

    def begin(self, method: str, path: str, target: str, headers: Mapping[str, str], body: bytes) -> Recorded:
        """Record the arrival of a request."""
        record = Recorded(
            datetime.now(UTC), method, path, _clean_target(target), _clean(headers), _read(body), len(body)
        )
        with self._changed:
            self._records.append(record)
        return record

    def finish(self, record: Recorded, status: int | None) -> None:
        """Record the answer; None means that the connection was dropped."""
        with self._changed:
            record.status = status
            record.outcome = "dropped" if status is None else "answered"
            record.milliseconds = (datetime.now(UTC) - record.at).total_seconds() * 1000
            self._changed.notify_all()

    def requests(
        self,
        *,
        method: str | None = None,
        path_contains: str = "",
        status: int | None = None,
        username: str | None = None,
    ) -> list[Recorded]:
        """Give the requests that match, in the order of their arrival.

        Args:
            method: e.g. ``PATCH``.
            path_contains: part of the percent-decoded path.
            status: only requests that were answered so.
            username: only requests with a token of this account.
        """
        with self._changed:
            return [
                one
                for one in self._records
                if method in (None, one.method)
                and path_contains in one.path
                and status in (None, one.status)
                and username in (None, one.username)
            ]

    def wait_for(
        self,
        count: int = 1,
        *,
        method: str | None = None,
        path_contains: str = "",
        status: int | None = None,
        deadline_seconds: float = 60.0,
    ) -> list[Recorded]:
        """Wait until so many matching requests are done, and give them.

        Raises:
            TimeoutError: when the deadline has passed; its text says what did arrive.
        """
        end = time.monotonic() + deadline_seconds
        while True:
            with self._changed:
                found = self.requests(method=method, path_contains=path_contains, status=status)
                done = [one for one in found if one.outcome != "pending"]
                if len(done) >= count:
                    return done
                if not self._changed.wait(max(0.0, end - time.monotonic())) and time.monotonic() >= end:
                    seen = [f"{one.method} {one.path} {one.status}" for one in self._records]
                    raise TimeoutError(
                        f"{len(done)} of {count} requests after {deadline_seconds} s; seen: {seen}"
                    )

    def clear(self) -> None:
        """Forget all requests."""
        with self._changed:
            self._records.clear()


def _clean(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: _scheme(value) if name in _SECRET_HEADERS else value for name, value in headers.items()}


def _scheme(value: str) -> str:
    scheme, space, _ = value.partition(" ")
    return f"{scheme} <token>" if space else "<token>"


def _clean_target(target: str) -> str:
    start, marker, _ = target.partition("access_token=")
    return f"{start}{marker}<token>" if marker else target


def _read(body: bytes) -> object:
    if not body or len(body) > KEPT_BODY_BYTES:
        return None
    try:
        parsed = json.loads(body)
    except ValueError:
        return body.decode("utf-8", "replace")
    if isinstance(parsed, dict) and "password" in parsed:
        return {**parsed, "password": "<password>"}
    return parsed
