"""Downloads of staged datablocks, by signed link."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import PlainTextResponse
from fastapi.routing import APIRoute

from scicat_retriever.domain.dataset import without_gzip_ending
from scicat_retriever.domain.errors import (
    LinkReleased,
    LinkTampered,
    RangeUnsatisfiable,
    StagedFileMissing,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.http_api.downloads.byte_range import wanted_range
from scicat_retriever.http_api.downloads.journal import Right, journal_of
from scicat_retriever.http_api.downloads.ranged import Asked, Conditions, Whole, ranged, sent
from scicat_retriever.http_api.downloads.uses import in_use, tell_use
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.pipeline.tools.links import DOWNLOADS_PATH
from scicat_retriever.ports.datablock_record import DatablockRecord

CHUNK = 2**20
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
    conditions: Conditions

    def right(self) -> Right:
        """By whose right: digits that tell links apart, and of which nobody can make the link."""
        digits = hashlib.sha256(self.signature.encode()).hexdigest()[:8]
        return Right(f"datablock link {digits}", self.name)


@router.head("/{name}", include_in_schema=False)
@router.get(
    "/{name}",
    summary="Download a datablock",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The whole archive"},
        304: {"description": "The version that `If-None-Match` names is the present one"},
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
    conditions: Asked,
) -> Response:
    """Give the archive's bytes, whole or a range of them (RFC 9110), or redirect to them.

    The link is enough: no token is needed.
    """
    asked = _Asked(
        name,
        DatablockKey(DatasetPid(dataset), DatablockId(datablock)),
        expires,
        signature,
        conditions,
    )
    return await sent(request, partial(_answer, request, asked))


def _answer(request: Request, asked: _Asked) -> Response:
    service = service_of(request)
    key, name = asked.key, asked.name
    now, until = service.clock(), _seconds(asked.expires)
    service.links.check(key, name, until, asked.signature, now)
    record = _staged(key, service)
    if record.unpacked:  # the link may be older than that
        name = without_gzip_ending(name)
    left = timedelta(seconds=until - now.timestamp())
    elsewhere = service.staging.download_url(key, record.partial, name, left)
    if elsewhere is not None:
        return _redirect(request, elsewhere, record, asked)
    stack, file = _open(record, service)
    try:
        tell_use(request, record)
        use = partial(in_use(request), record)
        whole = Whole(
            name, record.bytes_total, record.archive_checksum or "", lambda wanted: _bytes(file, wanted, use)
        )
        return ranged(request, whole, asked.conditions, stack, asked.right())
    except BaseException:
        stack.close()
        raise


def _seconds(expires: str) -> int:
    if re.fullmatch(r"[0-9]{1,12}", expires) is None:
        raise LinkTampered("this link is not valid: use it exactly as it was given")
    return int(expires)


def _staged(key: DatablockKey, service: Service) -> DatablockRecord:
    record = service.ledger.datablocks.get(key)
    if record is None or record.state is not DatablockState.STAGED:
        raise _released()
    return record


def _released() -> LinkReleased:
    return LinkReleased("this file was removed from staging: ask for the dataset again in SciCat")


def _redirect(request: Request, url: str, record: DatablockRecord, asked: _Asked) -> Response:
    # If the object is gone, the storage's own answer would help nobody.
    if service_of(request).staging.staged_size(record.key, record.partial) is None:
        raise _released()
    tell_use(request, record)
    headers = {
        "Location": url,
        "Cache-Control": "no-store",
        "Content-Length": str(len(_ELSEWHERE)),
        "X-Content-Type-Options": "nosniff",
    }
    if request.method != "HEAD":
        _note_elsewhere(request, record, asked)
    body = None if request.method == "HEAD" else _ELSEWHERE
    return PlainTextResponse(body, HTTPStatus.TEMPORARY_REDIRECT, headers)


def _note_elsewhere(request: Request, record: DatablockRecord, asked: _Asked) -> None:
    """Note what the storage will be asked for: clients send it the same range."""
    with suppress(RangeUnsatisfiable):  # the storage will say so, and send nothing
        part = wanted_range(asked.conditions.range_header, record.bytes_total)
        wanted = range(record.bytes_total) if part is None else part
        journal_of(request).note_elsewhere(asked.right(), wanted)


def _open(record: DatablockRecord, service: Service) -> tuple[ExitStack, BinaryIO]:
    stack = ExitStack()
    try:
        return stack, stack.enter_context(service.staging.open_staged(record.key, record.partial))
    except StagedFileMissing as error:
        raise _released() from error


def _bytes(file: BinaryIO, wanted: range, use: Callable[[], None]) -> Iterator[bytes]:
    file.seek(wanted.start)
    left = len(wanted)
    while left:
        chunk = file.read(min(CHUNK, left))
        if not chunk:
            raise StagedFileMissing("the staged file is shorter than it was")
        left -= len(chunk)
        yield chunk
        use()
