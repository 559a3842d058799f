"""The wire between the service and SciCat, or the tape system: answers held back or spoiled, and the line cut."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from stand_ins.scicat.server import ABORT, serve_in_thread

SCIENTIST = {"x-scientist": "yes"}
"""Requests with this header are the test's own, and meet no faults."""
HELD_SECONDS = 10.0


@dataclass(frozen=True)
class Heard:
    """A request of the service."""

    method: str
    path: str
    body: Any


@dataclass
class Hold:
    """Keeps the answer to the first request that matches back: it was carried out, and nobody knows.

    Attributes:
        matches: Which request.
        reached: Set when its answer is there.
        released: Set to let it go.
    """

    matches: Callable[[Heard], bool]
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)


@dataclass(frozen=True)
class Answer:
    """An answer as it goes over the wire."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    cut: bool = False


def as_unavailable(_: Answer) -> Answer:
    """Give what a system says that is overloaded, or being started."""
    return Answer(503, [_length(b"")], b"")


def as_page(answer: Answer) -> Answer:
    """Give a proxy's page in place of an answer."""
    page = b"<html><body>It works!</body></html>"
    return Answer(200, [(b"content-type", b"text/html"), _length(page)], page)


def as_garbage(answer: Answer) -> Answer:
    """Give bytes that are no JSON, of the same length."""
    middle = len(answer.body) // 2
    body = answer.body[:middle] + b"\xff\x00{]" + answer.body[middle + 4 :]
    return Answer(answer.status, _with_length(answer, body), body)


def as_half(answer: Answer) -> Answer:
    """Give the first half as if it were all."""
    body = answer.body[: len(answer.body) // 2]
    return Answer(answer.status, _with_length(answer, body), body)


def as_torn(answer: Answer) -> Answer:
    """Give the first half, and then cut the connection."""
    return Answer(answer.status, answer.headers, answer.body[: len(answer.body) // 2], cut=True)


def everything(_: Heard) -> bool:
    """Match all requests."""
    return True


class Wire:
    """Stands before a stand-in as an ASGI application."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._holds: list[Hold] = []
        self._spoil: Callable[[Answer], Answer] | None = None
        self._spoil_until = 0.0
        self._spoilt: Callable[[Heard], bool] = everything

    def hold(self, matches: Callable[[Heard], bool]) -> Hold:
        """Hold the answer to the next request that matches."""
        hold = Hold(matches)
        self._holds.append(hold)
        return hold

    def holds(self) -> list[Hold]:
        """Give all holds."""
        return list(self._holds)

    def drop(self, hold: Hold) -> None:
        """Let a held answer go, and hold no other."""
        hold.released.set()
        if hold in self._holds:
            self._holds.remove(hold)

    def spoil(
        self,
        how: Callable[[Answer], Answer],
        seconds: float,
        matches: Callable[[Heard], bool] = everything,
    ) -> None:
        """Spoil all answers for a while, or those to requests that match."""
        self._spoil, self._spoil_until, self._spoilt = how, time.monotonic() + seconds, matches

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Carry a request to the stand-in, and its answer back, or what is left of it."""
        if scope["type"] != "http" or (b"x-scientist", b"yes") in scope["headers"]:
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        unread: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        messages: list[Message] = []

        async def again() -> Message:
            if not unread:
                await asyncio.Event().wait()  # the client stays
            return unread.pop()

        async def keep(message: Message) -> None:
            messages.append(message)

        await self._app(scope, again, keep)
        heard = Heard(scope["method"], scope["path"], _parsed(body))
        await self._wait_for_holds(heard)
        if messages:
            await self._send(scope, heard, _answer(messages), send)

    async def _wait_for_holds(self, heard: Heard) -> None:
        for hold in list(self._holds):
            if hold.matches(heard) and not hold.reached.is_set():
                hold.reached.set()
                end = time.monotonic() + HELD_SECONDS
                while not hold.released.is_set() and time.monotonic() < end:  # noqa: ASYNC110 - set by a thread
                    await asyncio.sleep(0.002)

    async def _send(self, scope: Scope, heard: Heard, answer: Answer, send: Send) -> None:
        if self._spoil is not None and time.monotonic() < self._spoil_until and self._spoilt(heard):
            answer = self._spoil(answer)
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": answer.cut})
        if answer.cut:
            scope[ABORT]()


class Line:
    """The way to a stand-in: served on one port, or refused there."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._serving = ExitStack()
        self.url = self._serving.enter_context(serve_in_thread(wire))
        self._port = int(self.url.rpartition(":")[2])

    def down(self) -> None:
        """Refuse connections from now on."""
        self._serving.close()

    def up(self) -> None:
        """Serve again."""
        self._serving.enter_context(serve_in_thread(self._wire, self._port))


def _length(body: bytes) -> tuple[bytes, bytes]:
    return (b"content-length", str(len(body)).encode())


def _with_length(answer: Answer, body: bytes) -> list[tuple[bytes, bytes]]:
    return [pair for pair in answer.headers if pair[0] != b"content-length"] + [_length(body)]


def _answer(messages: list[Message]) -> Answer:
    start, *rest = messages
    body = b"".join(message.get("body", b"") for message in rest)
    return Answer(start["status"], list(start.get("headers", [])), body)


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return None
