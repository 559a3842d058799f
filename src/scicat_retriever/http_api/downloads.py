"""Downloads of staged datablocks, by signed link."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO

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
from scicat_retriever.http_api.byte_range import wanted_range
from scicat_retriever.http_api.problems import documented, problem
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.pipeline.download_names import attachment
from scicat_retriever.pipeline.links import DOWNLOADS_PATH
from scicat_retriever.ports.datablock_record import DatablockRecord

CHUNK = 2**20
USED_AGAIN_AFTER = timedelta(minutes=1)
"""The ledger is told at most so often that a file is in use."""
_ELSEWHERE = b"The file is in the staging area's own storage: follow redirects (curl -L).\n"


class _LinkRoute(APIRoute):
    """Takes links that were copied out of HTML: no link that this service makes has `&amp;` in it."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        answer = super().get_route_handler()

        async def mended(request: Request) -> Response:
            request.scope["query_string"] = request.scope["query_string"].replace(b"&amp;", b"&")
            return await answer(request)

        return mended


router = APIRouter(prefix=DOWNLOADS_PATH, tags=["downloads"], route_class=_LinkRoute)


class _FileResponse(StreamingResponse):
    """Streams an open file, and closes it however the answer ends: read, broken off, or never begun."""

    def __init__(
        self, content: Iterator[bytes], stack: ExitStack, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(content, status, headers, media_type="application/octet-stream")
        self._stack = stack

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
def download(
    request: Request,
    name: str,
    dataset: str,
    datablock: str,
    expires: Annotated[str, Query(description="Unix time, seconds.")],
    signature: str,
    range_header: Annotated[str | None, Header(alias="Range")] = None,
    if_range: Annotated[str | None, Header(alias="If-Range")] = None,
) -> Response:
    """Give the archive's bytes, whole or a range of them (RFC 9110), or say where they are. The link is all that is asked for."""
    service = service_of(request)
    key = DatablockKey(DatasetPid(dataset), DatablockId(datablock))
    now, until = service.clock(), _seconds(expires)
    service.links.check(key, name, until, signature, now)
    record = _staged(key, service)
    left = timedelta(seconds=until - now.timestamp())
    elsewhere = service.staging.download_url(key, record.partial, name, left)
    if elsewhere is not None:
        return _redirect(request, elsewhere, record, service)
    stack, file = _open(record, service)
    try:
        use = _Use(record, service)
        return _respond(
            request, name, record, stack, file, None if _changed(if_range, record) else range_header, use
        )
    except BaseException:
        stack.close()
        raise


def _seconds(expires: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}", expires) is None:
        raise LinkTampered("this link is not valid: use it exactly as it was given")
    return int(expires)


class _Use:
    """Tells the ledger that a file is being downloaded, so that it is not evicted: at the start and now and then.

    Raises:
        LedgerUnavailable: The ledger cannot be told at the start.
    """

    def __init__(self, record: DatablockRecord, service: Service) -> None:
        self._record = record
        self._service = service
        self._told_at = record.used_at
        self._tell()

    def goes_on(self) -> None:
        """Tell again if it is time; a ledger that does not answer now is no reason to break the download off."""
        with suppress(LedgerUnavailable):
            self._tell()

    def _tell(self) -> None:
        now = self._service.clock()
        if self._told_at is None or now - self._told_at >= USED_AGAIN_AFTER:
            self._service.ledger.note_used(self._record.key.pid, self._record.key)
            self._told_at = now


def _staged(key: DatablockKey, service: Service) -> DatablockRecord:
    record = service.ledger.datablock(key)
    if record is None or record.state is not DatablockState.STAGED:
        raise _released()
    return record


def _released() -> LinkReleased:
    return LinkReleased("this file was removed from staging: ask for the dataset again in SciCat")


def _redirect(request: Request, url: str, record: DatablockRecord, service: Service) -> Response:
    # The storage would say that it has no such object in words that help nobody.
    if service.staging.staged_size(record.key, record.partial) is None:
        raise _released()
    _Use(record, service)
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
    use: _Use,
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
    return _FileResponse(_bytes(file, wanted, use), stack, status, headers)


def _bytes(file: BinaryIO, wanted: range, use: _Use) -> Iterator[bytes]:
    file.seek(wanted.start)
    left = len(wanted)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise StagedFileMissing("the staged file is shorter than it was")
        left -= len(chunk)
        yield chunk
        use.goes_on()


def _etag(record: DatablockRecord) -> str:
    return f'"{record.archive_checksum}"'


def _changed(if_range: str | None, record: DatablockRecord) -> bool:
    """Say whether If-Range asks for something else than what is here (RFC 9110, section 13.1.5)."""
    return if_range is not None and if_range.strip() != _etag(record)
