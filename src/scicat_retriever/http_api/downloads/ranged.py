"""Answers with bytes: the whole, one range of it, or none (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Literal

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Header, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Message, Receive, Scope, Send

from scicat_retriever.domain.errors import RangeUnsatisfiable
from scicat_retriever.http_api.downloads.byte_range import wanted_range
from scicat_retriever.http_api.downloads.journal import DownloadJournal, Right, journal_of
from scicat_retriever.http_api.downloads.slots import slots_of
from scicat_retriever.http_api.problems import problem
from scicat_retriever.pipeline.delivery.names import attachment
from scicat_retriever.ports.downloads import DownloadEnd

OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Whole:
    """What is downloaded, whole.

    Attributes:
        name: What it is called when it is saved.
        size: Bytes.
        etag: Changes whenever a byte does; without quotes.
        read: Gives the bytes of a range, in pieces; an error in the middle breaks the answer off.
        media_type: What it is.
        digest: `Repr-Digest` of the whole (RFC 9530), where it is known; else empty.
    """

    name: str
    size: int
    etag: str
    read: Callable[[range], Iterator[bytes]]
    media_type: str = OCTETS
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Conditions:
    """The headers of a request on which it depends what is sent; None for those that are not there."""

    range_header: str | None = None
    if_range: str | None = None
    if_none_match: str | None = None


def _conditions(
    range_header: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
    if_none_match: Annotated[str | None, Header(alias="If-None-Match")] = None,
) -> Conditions:
    return Conditions(range_header, if_range, if_none_match)


Asked = Annotated[Conditions, Depends(_conditions)]
"""The conditions of a request, as a parameter of its route."""


@dataclass(frozen=True, slots=True)
class Noted:
    """What the journal hears of an answer: by whose right it is given, and which bytes."""

    journal: DownloadJournal
    right: Right
    wanted: range


class StreamedAnswer(StreamingResponse):
    """The answer that sends bytes, and lets go of what they come from at its end, whichever that is.

    The journal hears of it when it begins and when it ends, where `noted` says of what: lists of files are
    not noted.
    """

    def __init__(
        self,
        content: AsyncIterator[bytes],
        stack: ExitStack,
        status: int,
        headers: dict[str, str],
        media_type: str,
        noted: Noted | None = None,
    ) -> None:
        super().__init__(content, status, headers, media_type=media_type)
        self._stack = stack
        self._noted = noted

    def then(self, action: Callable[[], None]) -> None:
        """Have `action` called once the answer has ended."""
        self._stack.callback(action)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._stack:
            if self._noted is None:
                await super().__call__(scope, receive, send)
            else:
                await self._watched(self._noted, scope, receive, send)

    async def _watched(self, noted: Noted, scope: Scope, receive: Receive, send: Send) -> None:
        journal, size = noted.journal, len(noted.wanted)
        running = journal.begin(noted.right, noted.wanted)
        has_left = False

        async def heard() -> Message:
            nonlocal has_left
            message = await receive()
            has_left = has_left or message["type"] == "http.disconnect"
            return message

        async def counted(message: Message) -> None:
            nonlocal has_left
            try:
                await send(message)
            except BaseException:
                has_left = True
                raise
            # The server takes bytes for a client that has left, too, and throws them away.
            if not has_left:
                running.sent += len(message.get("body", b""))

        end = DownloadEnd.BROKEN_OFF
        try:
            await super().__call__(scope, heard, counted)
        except Exception:
            end = DownloadEnd.BROKEN_OFF if has_left else DownloadEnd.FAILED
            raise
        finally:
            journal.end(running, DownloadEnd.WHOLE if running.sent == size else end)


def ranged(request: Request, whole: Whole, asked: Conditions, stack: ExitStack, right: Right) -> Response:
    """Answer with what is asked for of a whole.

    Args:
        request: The request.
        whole: What there is.
        asked: What is asked for.
        stack: Is closed once the answer has ended, also where it holds no bytes.
        right: By whose right it is asked for; is noted where bytes are sent.
    """
    tag = f'"{whole.etag}"'
    headers = file_headers(whole.name, tag, "bytes")
    if whole.digest:
        headers["Repr-Digest"] = whole.digest
    if is_named(asked.if_none_match, tag):
        stack.close()
        return Response(None, 304, headers)
    is_changed = asked.if_range is not None and asked.if_range.strip() != tag
    try:
        part = wanted_range(None if is_changed else asked.range_header, whole.size)
    except RangeUnsatisfiable as error:
        stack.close()
        answer = problem(error)
        answer.headers["Content-Range"] = f"bytes */{whole.size}"
        return answer
    wanted = range(whole.size) if part is None else part
    if part is not None:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{whole.size}"
    headers["Content-Length"] = str(len(wanted))
    status = 200 if part is None else 206
    if request.method == "HEAD":
        stack.close()
        return Response(None, status, headers, media_type=whole.media_type)
    pieces = pieces_of(whole.read(wanted), slots_of(request).readers)
    noted = Noted(journal_of(request), right, wanted)
    return StreamedAnswer(pieces, stack, status, headers, whole.media_type, noted)


async def sent(request: Request, make: Callable[[], Response]) -> Response:
    """Answer a request once there is a slot for it, and keep that until all was sent.

    Args:
        request: The request.
        make: Makes the answer, in a thread.
    """
    slots = slots_of(request)
    await slots.take()
    try:
        answer = await to_thread.run_sync(make, limiter=slots.openers)
    except BaseException:
        slots.release()
        raise
    if isinstance(answer, StreamedAnswer):
        answer.then(slots.release)
    else:
        slots.release()
    return answer


def file_headers(name: str, tag: str, ranges: Literal["bytes", "none"]) -> dict[str, str]:
    """Give the headers of every file that is downloaded.

    Args:
        name: What it is called when it is saved.
        tag: Its entity tag, in quotes.
        ranges: Whether ranges of it can be had.
    """
    return {
        "Accept-Ranges": ranges,
        "Content-Disposition": attachment(name),
        "ETag": tag,
        "Cache-Control": "private",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def is_named(if_none_match: str | None, tag: str) -> bool:
    """Say whether If-None-Match names this version (RFC 9110, section 13.1.2: a weak comparison)."""
    named = [each.strip().removeprefix("W/") for each in (if_none_match or "").split(",")]
    return "*" in named or tag in named


async def pieces_of(content: Iterator[bytes], readers: CapacityLimiter) -> AsyncIterator[bytes]:
    """Give what an iterator gives, each piece taken in a thread; none of them may be empty."""
    while piece := await to_thread.run_sync(next, content, b"", limiter=readers):
        yield piece
