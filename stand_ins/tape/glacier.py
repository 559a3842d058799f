"""The front end of a tape library that speaks S3 with Glacier's storage classes: enough to restore, look and read.

As the S3 API reference describes RestoreObject, HeadObject, GetObject and ListObjectsV2 (API version 2006-03-01), path style.
It knows who asks by the access key alone and checks no signature: it is no judge of rights. Other operations are answered
with `NotImplemented`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import BinaryIO

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from stand_ins.tape.backend import ListedTapeBackend, Locality, Recall, TapeFile
from stand_ins.tape.glacier_listing import listing
from stand_ins.tape.glacier_words import Refusal, RestoreHeader
from stand_ins.tape.serving import served

DAY = 86_400.0

_CHUNK = 2**20
_BODY_BYTES = 2**16
_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


class GlacierServer:
    """An S3 endpoint with one bucket, whose keys are the names of a tape library's files.

    Files on tape have an archived storage class, those on disk only are STANDARD. S3 has no word for a lost file: it can be
    seen, and its restores never end.

    Attributes:
        expedited: Whether restores of tier Expedited are taken; 503 where not.
        slow_down: How many of the next requests are answered with 503 SlowDown.
        forbidden: Keys that are answered with 403 AccessDenied.
        restore_status: Whether lists tell of restores, where they are asked to.

    Args:
        library: The library.
        bucket: The bucket's name.
        access_key: Who may ask; None lets everyone.
        storage_class: Of files on tape: `GLACIER` or `DEEP_ARCHIVE`.
        speed: Seconds of the library's clock in one of ours. Dates are told in ours.
        now: Gives our time.
    """

    def __init__(
        self,
        library: ListedTapeBackend,
        *,
        bucket: str = "archive",
        access_key: str | None = None,
        storage_class: str = "GLACIER",
        speed: float = 1.0,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.expedited = True
        self.slow_down = 0
        self.forbidden: set[str] = set()
        self.restore_status = True
        self._library = library
        self._bucket = bucket
        self._access_key = access_key
        self._storage_class = storage_class
        self._speed = speed
        self._now = now
        self._made_at = now()
        self.app = Starlette(
            routes=[Route("/{path:path}", self._answer, methods=["GET", "HEAD", "POST", "PUT", "DELETE"])]
        )

    def serve(self, port: int = 0) -> AbstractContextManager[str]:
        """Serve on 127.0.0.1 while the context lasts; gives the endpoint's URL. Port 0 takes a free one."""
        return served(self.app, port=port)

    async def _answer(self, request: Request) -> Response:
        try:
            return await self._asked(request)
        except Refusal as refusal:
            body = b"" if request.method == "HEAD" else refusal.body(request.url.path)
            return Response(body, refusal.status, media_type="application/xml")

    async def _asked(self, request: Request) -> Response:
        bucket, _, key = request.path_params["path"].partition("/")
        self._let_in(request, bucket, key)
        if not key:
            if request.method == "HEAD":
                return Response()
            if request.method == "GET" and request.query_params.get("list-type") == "2":
                return self._list(request)
            raise Refusal(501, "NotImplemented", "this server knows ListObjectsV2 alone")
        file = self._library.file(key)
        if request.method == "POST" and "restore" in request.query_params:
            return self._restore(file, await _body(request))
        if request.method not in ("GET", "HEAD") or set(request.query_params) - {"x-id"}:
            raise Refusal(501, "NotImplemented", "this server knows Get, Head and RestoreObject alone")
        if file is None:
            raise Refusal(404, "NoSuchKey", "the specified key does not exist")
        if request.headers.get("if-match", _etag(file)) != _etag(file):
            raise Refusal(412, "PreconditionFailed", "the object is another one now")
        return self._head(file) if request.method == "HEAD" else self._get(file, request.headers.get("range"))

    def _let_in(self, request: Request, bucket: str, key: str) -> None:
        if self.slow_down > 0:
            self.slow_down -= 1
            raise Refusal(503, "SlowDown", "please reduce your request rate")
        if self._access_key is not None:
            given = re.search(r"Credential=([^/,\s]+)/", request.headers.get("authorization", ""))
            if given is None:
                raise Refusal(403, "AccessDenied", "access denied")
            if given[1] != self._access_key:
                raise Refusal(403, "InvalidAccessKeyId", "the access key does not exist in our records")
        if bucket != self._bucket:
            raise Refusal(404, "NoSuchBucket", "the specified bucket does not exist")
        if key in self.forbidden:
            raise Refusal(403, "AccessDenied", "access denied")

    def _restore(self, file: TapeFile | None, body: str) -> Response:
        if file is None:
            raise Refusal(404, "NoSuchKey", "the specified key does not exist")
        if not file.tape:
            raise Refusal(403, "InvalidObjectState", "restore is not allowed for this storage class")
        days = re.search(r"<Days>\s*([1-9]\d{0,8})\s*</Days>", body)
        tier = re.search(r"<Tier>\s*(\w+)\s*</Tier>", body)
        if days is None or (tier is not None and tier[1] not in ("Standard", "Bulk", "Expedited")):
            raise Refusal(400, "MalformedXML", "the XML is not well-formed or did not validate")
        if _under_way(file):
            raise Refusal(409, "RestoreAlreadyInProgress", "object restore is already in progress")
        if tier is not None and tier[1] == "Expedited" and not self.expedited:
            raise Refusal(
                503, "GlacierExpeditedRetrievalNotAvailable", "expedited retrievals are not available now"
            )
        self._library.recall([file.name], int(days[1]) * DAY)
        return Response(status_code=200 if file.locality is Locality.DISK_AND_TAPE else 202)

    def _head(self, file: TapeFile) -> Response:
        return Response(headers={**self._headers(file), "content-length": str(file.size)})

    def _get(self, file: TapeFile, wanted: str | None) -> Response:
        try:
            content = self._library.open(file.name)
        except BlockingIOError:
            raise Refusal(
                403, "InvalidObjectState", "the operation is not valid for the object's storage class"
            ) from None
        except OSError:
            raise Refusal(500, "InternalError", "we encountered an internal error") from None
        try:
            start, end = _range(wanted, file.size)
        except Refusal:
            content.close()
            raise
        headers = {**self._headers(file), "content-length": str(end - start)}
        if wanted is not None:
            headers["content-range"] = f"bytes {start}-{end - 1}/{file.size}"
        return StreamingResponse(
            _pieces(content, start, end), 200 if wanted is None else 206, headers, "binary/octet-stream"
        )

    def _headers(self, file: TapeFile) -> dict[str, str]:
        headers = {
            "etag": _etag(file),
            "accept-ranges": "bytes",
            "last-modified": format_datetime(self._made_at, usegmt=True),
        }
        if file.tape:  # STANDARD has no header
            headers["x-amz-storage-class"] = self._storage_class
            restore = self._restore_header(file)
            if restore is not None:
                headers["x-amz-restore"] = restore.as_header()
        return headers

    def _restore_header(self, file: TapeFile) -> RestoreHeader | None:
        if _under_way(file):
            return RestoreHeader(None)
        if file.locality is not Locality.DISK_AND_TAPE:
            return None
        # A stay without an end is told as one of ten years.
        left = min(((file.disk_until or 0.0) - self._library.now()) / self._speed, 3650 * DAY)
        return RestoreHeader(self._now() + timedelta(seconds=left))

    def _list(self, request: Request) -> Response:
        asked = request.headers.get("x-amz-optional-object-attributes", "")
        tell = self._restore_header if self.restore_status and "RestoreStatus" in asked else None
        body = listing(
            self._library,
            self._bucket,
            request.query_params,
            etag=_etag,
            storage_class=lambda file: self._storage_class if file.tape else "STANDARD",
            restore=tell,
            modified=self._made_at,
        )
        return Response(body, media_type="application/xml")


def _under_way(file: TapeFile) -> bool:
    return file.recall in (Recall.SUBMITTED, Recall.STARTED)


def _etag(file: TapeFile) -> str:
    """Give an ETag that another file of this name will not have; it says nothing of the bytes."""
    known = f"{file.name}\0{file.size}\0{file.tape}\0{file.position}"
    return f'"{hashlib.md5(known.encode(), usedforsecurity=False).hexdigest()}"'


async def _body(request: Request) -> str:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _BODY_BYTES:
            raise Refusal(400, "MaxMessageLengthExceeded", "your request was too big")
    return body.decode(errors="replace")


def _range(wanted: str | None, size: int) -> tuple[int, int]:
    """Give the first byte, and the one behind the last, of a `Range` header (RFC 9110, section 14.1.2; one range only)."""
    if wanted is None:
        return 0, size
    found = _RANGE.fullmatch(wanted.strip())
    if found is None or not (found[1] or found[2]):
        raise Refusal(416, "InvalidRange", "the requested range is not satisfiable")
    if found[1]:
        start, end = int(found[1]), min(int(found[2]) + 1, size) if found[2] else size
    else:
        start, end = max(0, size - int(found[2])), size
    if start >= end:
        raise Refusal(416, "InvalidRange", "the requested range is not satisfiable")
    return start, end


def _pieces(content: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    with content:
        content.seek(start)
        while start < end and (piece := content.read(min(_CHUNK, end - start))):
            start += len(piece)
            yield piece
