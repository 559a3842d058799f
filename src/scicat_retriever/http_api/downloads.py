"""Downloads of staged datablocks, by signed link."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Annotated, BinaryIO
from urllib.parse import quote

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from scicat_retriever.domain.errors import LinkReleased, LinkTampered, RangeUnsatisfiable, StagedFileMissing
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.http_api.byte_range import wanted_range
from scicat_retriever.http_api.problems import documented, problem
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.pipeline.links import DOWNLOADS_PATH
from scicat_retriever.ports.ledger import DatablockRecord

CHUNK = 2**20
router = APIRouter(prefix=DOWNLOADS_PATH, tags=["downloads"])


class _FileResponse(StreamingResponse):
    """Streams an open file, and closes it however the answer ends: read, broken off, or never begun."""

    def __init__(
        self, file: BinaryIO, wanted: range, stack: ExitStack, status: int, headers: dict[str, str]
    ) -> None:
        super().__init__(_bytes(file, wanted), status, headers, media_type="application/octet-stream")
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
        **documented(403, 410, 416, 422, 503),
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
    """Give the archive's bytes, whole or a range of them (RFC 9110). The link is all that is asked for."""
    service = service_of(request)
    key = DatablockKey(DatasetPid(dataset), DatablockId(datablock))
    service.links.check(key, name, _seconds(expires), signature, service.clock())
    record, stack, file = _open(key, service)
    try:
        return _respond(
            request, name, record, stack, file, None if _changed(if_range, record) else range_header
        )
    except BaseException:
        stack.close()
        raise


def _seconds(expires: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}", expires) is None:
        raise LinkTampered("this link is not valid: use it exactly as it was given")
    return int(expires)


def _open(key: DatablockKey, service: Service) -> tuple[DatablockRecord, ExitStack, BinaryIO]:
    released = LinkReleased("this file was removed from staging: ask for the dataset again in SciCat")
    record = service.ledger.datablock(key)
    if record is None or record.state is not DatablockState.STAGED:
        raise released
    stack = ExitStack()
    try:
        return record, stack, stack.enter_context(service.staging.open_staged(key, record.partial))
    except StagedFileMissing as error:
        raise released from error


def _respond(
    request: Request, name: str, record: DatablockRecord, stack: ExitStack, file: BinaryIO, header: str | None
) -> Response:
    size = record.bytes_total
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Disposition": f"attachment; filename*=UTF-8''{quote(name, safe='')}",
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
    return _FileResponse(file, wanted, stack, status, headers)


def _bytes(file: BinaryIO, wanted: range) -> Iterator[bytes]:
    file.seek(wanted.start)
    left = len(wanted)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise StagedFileMissing("the staged file is shorter than it was")
        left -= len(chunk)
        yield chunk


def _etag(record: DatablockRecord) -> str:
    return f'"{record.archive_checksum}"'


def _changed(if_range: str | None, record: DatablockRecord) -> bool:
    """Say whether If-Range asks for something else than what is here (RFC 9110, section 13.1.5)."""
    return if_range is not None and if_range.strip() != _etag(record)
