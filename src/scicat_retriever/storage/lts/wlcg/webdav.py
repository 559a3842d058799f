"""Reading archives over WebDAV: HEAD and GET with Range (RFC 9110)."""

from __future__ import annotations

import errno
import re
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import quote

import httpx2

from scicat_retriever.domain.errors import StoreUnavailable
from scicat_retriever.storage.lts.wlcg.answers import MESSAGE_LIMIT, printable
from scicat_retriever.storage.lts.wlcg.http import TapeHttp, errors_mapped
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings

REMEMBERED = 1000
"""Number of archives whose ETags are remembered, so that all parts of an archive are of one version."""

_CONTENT_RANGE = re.compile(r"bytes (\d{1,20})-(\d{1,20})/(?:\d{1,20}|\*)")
_PAST_THE_END = 416


class WebdavSource:
    """An archive, open for one read. An `ArchiveSource`.

    Args:
        response: The server's answer, whose body is not read yet.
        length: Bytes that the body must have; None where the server does not say.
    """

    def __init__(self, response: httpx2.Response, length: int | None) -> None:
        self._response = response
        self._chunks = response.iter_raw()
        self._chunk = memoryview(b"")
        self._left = length

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end.

        Raises:
            OSError: The connection broke, was silent for too long, or ended before the last byte.
        """
        if not self._chunk:
            self._chunk = self._next()
        count = min(len(self._chunk), len(buffer))
        buffer[:count] = self._chunk[:count]
        self._chunk = self._chunk[count:]
        return count

    def close(self) -> None:
        """Close the archive; a thread that is blocked in `readinto` ends with an error."""
        stream = self._response.extensions.get("network_stream")
        connection = stream.get_extra_info("socket") if stream is not None else None
        if connection is not None and not self._response.is_closed:
            with suppress(OSError):  # it is closed already
                # Not that of SSLSocket, which takes the TLS away from under the thread that reads.
                socket.socket.shutdown(connection, socket.SHUT_RDWR)

    def _next(self) -> memoryview:
        try:
            chunk = next(self._chunks, b"")
        except (httpx2.HTTPError, httpx2.StreamError) as error:
            self._left = -1  # what was broken off never reaches its end, however often it is read on
            code = errno.ETIMEDOUT if isinstance(error, httpx2.TimeoutException) else errno.EIO
            raise OSError(code, f"the store broke off ({_kind(error)})") from None
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0 or (not chunk and self._left):
                raise OSError(errno.EIO, "the store sent more or fewer bytes than it said")
        return memoryview(chunk)


class EmptySource:
    """An archive, or a part of one, without a byte. An `ArchiveSource`."""

    def readinto(self, buffer: memoryview) -> int:  # noqa: ARG002 - nothing to fill it with
        """Give 0: the end."""
        return 0


class WebdavDoor:
    """The server that archives are read from. May be used from any thread.

    Args:
        settings: Where the server is.
        http: Carries the requests.
    """

    def __init__(self, settings: WlcgTapeSettings, http: TapeHttp) -> None:
        self._settings = settings
        self._http = http
        self._lock = threading.Lock()
        self._etags: OrderedDict[str, str] = OrderedDict()

    def size(self, parts: tuple[str, ...], deadline: float) -> int | None:
        """Give an archive's size in bytes; None where the server does not say.

        Args:
            parts: The folders and the name, below the archives' folder.
            deadline: When the answer must be there, of `time.monotonic`.

        Raises:
            Rejected: The server does not give the archive: 403, 404.
            StoreUnavailable: No usable answer.
        """
        url = self._url(parts)
        with self._http.stream("HEAD", url, {}, self._http.clock(deadline)) as response:
            if response.status_code in {405, 501}:
                return None
            self._http.refuse(response, f"HEAD {url}", b"")
            return _length(response)

    @contextmanager
    def open(
        self, parts: tuple[str, ...], start: int, length: int | None
    ) -> Iterator[WebdavSource | EmptySource]:
        """Open an archive for one read; closed with the context.

        Args:
            parts: The folders and the name, below the archives' folder.
            start: The first byte.
            length: The number of bytes from there; None reads to the end.

        Raises:
            Rejected: The server does not give the archive.
            StoreUnavailable: No usable answer.
            OSError: The archive was replaced since its beginning was read.
        """
        if length == 0:
            yield EmptySource()
            return
        url, headers = self._url(parts), self._headers(parts, start, length)
        silence = self._settings.read_timeout
        clock = self._http.clock(time.monotonic() + silence, silence, whole=False)
        with self._http.stream("GET", url, headers, clock) as response:
            if response.status_code == _PAST_THE_END and start:
                yield EmptySource()
                return
            self._check(response, f"GET {url}", start, length)
            if not start:
                self._remember(url, _etag(response))
            source = WebdavSource(response, _length(response))
            try:
                yield source
            finally:
                source.close()

    def _headers(self, parts: tuple[str, ...], start: int, length: int | None) -> dict[str, str]:
        if not start and length is None:
            return {}
        end = "" if length is None else str(start + length - 1)
        headers = {"Range": f"bytes={start}-{end}"}
        with self._lock:
            etag = self._etags.get(self._url(parts), "")
        return headers | ({"If-Match": etag} if start and etag else {})

    def _check(self, response: httpx2.Response, what: str, start: int, length: int | None) -> None:
        if response.status_code == 412:
            raise OSError(errno.ESTALE, "the archive was replaced since its beginning was read")
        if not response.is_success:
            with errors_mapped(what):
                said = next(response.iter_raw(8 * MESSAGE_LIMIT), b"")
            self._http.refuse(response, what, said)
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise StoreUnavailable(f"the store answers {what} with an encoding that was not asked for")
        if not start and length is None:
            if response.status_code != 200:
                raise StoreUnavailable(f"the store answers {response.status_code} to {what}")
            return
        given = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code != 206 or given is None:
            raise StoreUnavailable(f"the store gives no part of an archive for {what}")
        first, last = int(given[1]), int(given[2])
        if first != start or (length is not None and last >= start + length):
            raise StoreUnavailable(
                f"the store gives bytes {first}-{last} for {what}, which were not asked for"
            )

    def _remember(self, url: str, etag: str) -> None:
        with self._lock:
            self._etags.pop(url, None)
            if etag and not etag.startswith("W/"):  # If-Match compares strong ones alone (RFC 9110, 13.1.1)
                self._etags[url] = etag
            if len(self._etags) > REMEMBERED:
                self._etags.popitem(last=False)

    def _url(self, parts: tuple[str, ...]) -> str:
        return self._settings.reading_root + "".join(
            "/" + quote(part, safe="", errors="surrogateescape") for part in parts
        )


def _etag(response: httpx2.Response) -> str:
    """Give the ETag's bytes as characters, to be sent back as they came (RFC 9110, 8.8.3, obs-text)."""
    values = [value for key, value in response.headers.raw if key.lower() == b"etag"]
    return values[0].decode("iso-8859-1") if values else ""


def _length(response: httpx2.Response) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if re.fullmatch(r"[0-9]{1,20}", text) else None


def _kind(error: Exception) -> str:
    return f"{type(error).__name__}: {printable(str(error))}"
