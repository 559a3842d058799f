"""Files of a tape library over WebDAV, as far as readers need it: GET with Range, HEAD (RFC 9110)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import BinaryIO

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from stand_ins.tape.backend import TapeBackend, TapeFile

CHUNK = 1 << 18

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def answer(request: Request, library: TapeBackend, name: str, on_tape: int) -> Response:
    """Answer a GET or a HEAD.

    Args:
        request: What was asked.
        library: Where the files are.
        name: The file.
        on_tape: The status for a GET of what is on tape only.
    """
    file = library.file(name)
    if file is None:
        return PlainTextResponse("no such file", 404)
    headers = {"ETag": _etag(file), "Accept-Ranges": "bytes", "Content-Type": "application/octet-stream"}
    if request.headers.get("If-Match", headers["ETag"]) != headers["ETag"]:
        return PlainTextResponse("it was replaced", 412)
    if request.method == "HEAD":
        return Response(headers=headers | {"Content-Length": str(file.size)})
    return _content(request, library, file, headers, on_tape)


def _content(
    request: Request, library: TapeBackend, file: TapeFile, headers: dict[str, str], on_tape: int
) -> Response:
    wanted = _wanted(request.headers.get("Range", ""), file.size)
    if wanted is None:
        return PlainTextResponse("no such range", 416, {"Content-Range": f"bytes */{file.size}"})
    first, end = wanted
    try:
        stream = library.open(file.name)
    except BlockingIOError:
        return PlainTextResponse("the file is not online", on_tape)
    except OSError:
        return PlainTextResponse("the file cannot be read", 500)
    headers["Content-Length"] = str(end - first)
    partial = "Range" in request.headers
    if partial:
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{file.size}"
    return StreamingResponse(_chunks(stream, first, end - first), 206 if partial else 200, headers)


def _wanted(header: str, size: int) -> tuple[int, int] | None:
    """Give the first byte and the one after the last; None where the file has none of them."""
    asked = _RANGE.fullmatch(header)
    if asked is None or asked.groups() == ("", ""):
        return 0, size
    if not asked[1]:
        return max(0, size - int(asked[2])), size
    first = int(asked[1])
    end = min(size, int(asked[2]) + 1) if asked[2] else size
    return (first, end) if first < end else None


def _chunks(stream: BinaryIO, first: int, count: int) -> Iterator[bytes]:
    with stream:
        stream.seek(first)
        while count and (chunk := stream.read(min(CHUNK, count))):
            count -= len(chunk)
            yield chunk


def _etag(file: TapeFile) -> str:
    version = f"{file.name}\0{file.size}\0{file.tape}\0{file.position}"
    return f'"{hashlib.sha256(version.encode("utf-8", "surrogateescape")).hexdigest()[:24]}"'
