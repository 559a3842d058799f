"""Downloads of staged datablocks, by signed link."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from starlette.types import Receive, Scope, Send

from scicat_retriever.domain.errors import (
    LedgerUnavailable,
    LinkReleased,
    LinkTampered,
    RangeUnsatisfiable,
    StagedFileMissing,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.http_api.downloads.byte_range import wanted_range
from scicat_retriever.http_api.downloads.slots import slots_of
from scicat_retriever.http_api.downloads.uses import uses_of
from scicat_retriever.http_api.problems import documented, problem
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.pipeline.delivery.names import attachment
from scicat_retriever.pipeline.tools.links import DOWNLOADS_PATH
from scicat_retriever.ports.datablock_record import DatablockRecord

CHUNK = 2**18
"""Bytes that are read at once: each stalled download holds so many in memory."""
_ELSEWHERE = b"The file is in the staging area's own storage: follow redirects (curl -L).\n"


class _LinkRoute(APIRoute):
    """A route that takes links that were copied out of HTML: no link of this service has `&amp;` in it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def mended(request: Request) -> Response:
            request.scope["query_string"] = request.scope["query_string"].replace(b"&amp;", b"&")
            return await answer(request)

        return mended


router = APIRouter(prefix=DOWNLOADS_PATH, tags=["downloads"], route_class=_LinkRoute)


@dataclass(frozen=True, slots=True)
class _Asked:
    """The parts of a download request, as they were sent."""

    name: str
    key: DatablockKey
    expires: str
    signature: str
    range_header: str | None
    if_range: str | None


class _FileResponse(StreamingResponse):
    """The answer that streams an open file, and closes it at any end: read, broken off, or never begun."""

    def __init__(
        self, content: AsyncIterator[bytes], stack: ExitStack, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(content, status, headers, media_type="application/octet-stream")
        self._stack = stack

    def then(self, action: Callable[[], None]) -> None:
        """Have `action` called once the answer has ended."""
        self._stack.callback(action)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._stack:
            await super().__call__(scope, receive, send)


@router.head("/{name}", include_in_schema=False)
@router.get(
    "/{name}",
    summary="Download a datablock",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The whole archive"},
        206: {"content": {"application/octet-stream": {}}, "description": "The range asked for"},
        307: {
            "content": {"text/plain": {}},
            "description": "Where staging is on S3: the archive is at the URL in `Location`, for a limited time",
        },
        **documented(403, 410, 416, 422, 503, page=True),
    },
)
async def download(
    request: Request,
    name: str,
    dataset: str,
    datablock: str,
    expires: Annotated[str, Query(description="Unix time, seconds.")],
    signature: str,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
) -> Response:
    """Give the archive's bytes, whole or a range of them (RFC 9110), or redirect to them.

    The link is enough: no token is needed.
    """
    asked = _Asked(
        name,
        DatablockKey(DatasetPid(dataset), DatablockId(datablock)),
        expires,
        signature,
        range_header,
        if_range,
    )
    slots = slots_of(request)
    await slots.take()
    try:
        answer = await to_thread.run_sync(_answer, request, asked, limiter=slots.openers)
    except BaseException:
        slots.release()
        raise
    if isinstance(answer, _FileResponse):
        answer.then(slots.release)
    else:
        slots.release()
    return answer


def _answer(request: Request, asked: _Asked) -> Response:
    service = service_of(request)
    key, name = asked.key, asked.name
    now, until = service.clock(), _seconds(asked.expires)
    service.links.check(key, name, until, asked.signature, now)
    record = _staged(key, service)
    left = timedelta(seconds=until - now.timestamp())
    elsewhere = service.staging.download_url(key, record.partial, name, left)
    if elsewhere is not None:
        return _redirect(request, elsewhere, record, service)
    stack, file = _open(record, service)
    try:
        use = _teller(request, record)
        use()
        return _respond(
            request,
            name,
            record,
            stack,
            file,
            None if _changed(asked.if_range, record) else asked.range_header,
            use,
        )
    except BaseException:
        stack.close()
        raise


def _seconds(expires: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}", expires) is None:
        raise LinkTampered("this link is not valid: use it exactly as it was given")
    return int(expires)


def _teller(request: Request, record: DatablockRecord) -> Callable[[], None]:
    """Give the function that tells the ledger that the file of a datablock is in use."""
    service, uses = service_of(request), uses_of(request)
    return lambda: uses.tell(record, service.clock(), service.ledger.cache)


def _staged(key: DatablockKey, service: Service) -> DatablockRecord:
    record = service.ledger.datablocks.get(key)
    if record is None or record.state is not DatablockState.STAGED:
        raise _released()
    return record


def _released() -> LinkReleased:
    return LinkReleased("this file was removed from staging: ask for the dataset again in SciCat")


def _redirect(request: Request, url: str, record: DatablockRecord, service: Service) -> Response:
    # If the object is gone, the storage's own answer would help nobody.
    if service.staging.staged_size(record.key, record.partial) is None:
        raise _released()
    _teller(request, record)()
    headers = {
        "Location": url,
        "Cache-Control": "no-store",
        "Content-Length": str(len(_ELSEWHERE)),
        "X-Content-Type-Options": "nosniff",
    }
    body = None if request.method == "HEAD" else _ELSEWHERE
    return PlainTextResponse(body, HTTPStatus.TEMPORARY_REDIRECT, headers)


def _open(record: DatablockRecord, service: Service) -> tuple[ExitStack, BinaryIO]:
    stack = ExitStack()
    try:
        return stack, stack.enter_context(service.staging.open_staged(record.key, record.partial))
    except StagedFileMissing as error:
        raise _released() from error


def _respond(
    request: Request,
    name: str,
    record: DatablockRecord,
    stack: ExitStack,
    file: BinaryIO,
    header: str | None,
    use: Callable[[], None],
) -> Response:
    size = record.bytes_total
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": attachment(name),
        "ETag": _etag(record),
        "Cache-Control": "private",
        "X-Content-Type-Options": "nosniff",
    }
    try:
        part = wanted_range(header, size)
    except RangeUnsatisfiable as error:
        stack.close()
        answer = problem(error)
        answer.headers["Content-Range"] = f"bytes */{size}"
        return answer
    wanted = range(size) if part is None else part
    if part is not None:
        headers["Content-Range"] = f"bytes {wanted.start}-{wanted.stop - 1}/{size}"
    headers["Content-Length"] = str(len(wanted))
    status = 200 if part is None else 206
    if request.method == "HEAD":
        stack.close()
        return Response(None, status, headers, media_type="application/octet-stream")
    pieces = _pieces(_bytes(file, wanted, use), slots_of(request).readers)
    return _FileResponse(pieces, stack, status, headers)


async def _pieces(content: Iterator[bytes], readers: CapacityLimiter) -> AsyncIterator[bytes]:
    while piece := await to_thread.run_sync(next, content, b"", limiter=readers):
        yield piece


def _bytes(file: BinaryIO, wanted: range, use: Callable[[], None]) -> Iterator[bytes]:
    file.seek(wanted.start)
    left = len(wanted)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise StagedFileMissing("the staged file is shorter than it was")
        left -= len(chunk)
        yield chunk
        with suppress(
            LedgerUnavailable
        ):  # that it does not answer now is no reason to break the download off
            use()


def _etag(record: DatablockRecord) -> str:
    return f'"{record.archive_checksum}"'


def _changed(if_range: str | None, record: DatablockRecord) -> bool:
    """Say whether If-Range names another version of the file than the present one (RFC 9110, 13.1.5)."""
    return if_range is not None and if_range.strip() != _etag(record)
