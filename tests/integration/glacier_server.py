"""A small S3 with archived objects that does what a test says, for what a real one cannot be brought to do.

Answers follow the S3 reference: HeadObject, GetObject, RestoreObject, ListObjectsV2, HeadBucket.
"""

from __future__ import annotations

import hashlib
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

BUCKET, KEY, SECRET = "archive", "key-of-the-tests", "secret-of-the-tests-0123456789"
REFUSALS = {
    "AccessDenied": 403,
    "AllAccessDisabled": 403,
    "ExpiredToken": 400,
    "GlacierExpeditedRetrievalNotAvailable": 503,
    "InternalError": 500,
    "InvalidAccessKeyId": 403,
    "InvalidArgument": 400,
    "InvalidObjectState": 403,
    "InvalidRange": 416,
    "InvalidRequest": 400,
    "KMS.DisabledException": 400,
    "MethodNotAllowed": 405,
    "NoSuchBucket": 404,
    "NoSuchKey": 404,
    "NotImplemented": 501,
    "PreconditionFailed": 412,
    "RequestTimeTooSkewed": 403,
    "RestoreAlreadyInProgress": 409,
    "SlowDown": 503,
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


def at_once(content: bytes) -> Iterable[bytes]:
    return [content]


@dataclass
class StoredObject:
    content: bytes
    storage_class: str = "STANDARD"
    archive_status: str = ""
    ongoing: bool | None = None
    expires: datetime | None = None
    days: int = 0
    forbidden: bool = False
    offline: bool = False

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.content, usedforsecurity=False).hexdigest()}"'

    @property
    def archived(self) -> bool:
        return self.storage_class in {"GLACIER", "DEEP_ARCHIVE"} or bool(self.archive_status)

    @property
    def readable(self) -> bool:
        return not self.offline and (not self.archived or self.ongoing is False)


@dataclass(frozen=True)
class Received:
    """A request as it came.

    Attributes:
        kind: `head`, `get`, `restore`, `list` or `head_bucket`.
        key: The object's, or the prefix of a listing.
        days: Of a request to restore; 0: not given.
        tier: Of a request to restore.
        range: Of a request to read.
    """

    kind: str
    key: str
    days: int = 0
    tier: str = ""
    range: str = ""


@dataclass
class GlacierServer:
    """What the server holds, and what it was asked.

    Attributes:
        objects: By key.
        received: All requests, in order.
        refused: Kinds of requests, and with which code they are refused.
        refused_keys: Objects, and for each of them kinds of requests, and with which code they are refused.
        refused_tiers: Tiers, and with which code a restore by them is refused.
        tells_restores: Whether listings have RestoreStatus.
        has_bucket: Whether the bucket is there.
        now: Gives the time, from which restored copies are kept for days.
        port: Where it is, on 127.0.0.1.
        held: No request is answered until this is set; None: all are.
        held_keys: Kinds of requests with a key, which are not answered until this is set.
        gives: Gives the pieces in which the content of an object is sent.
        raw: Kinds of requests, and all that is sent in answer, as it is, before the connection is closed.
    """

    objects: dict[str, StoredObject] = field(default_factory=dict)
    received: list[Received] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    refused_keys: dict[str, dict[str, str]] = field(default_factory=dict)
    refused_tiers: dict[str, str] = field(default_factory=dict)
    tells_restores: bool = False
    has_bucket: bool = True
    now: Callable[[], datetime] = _utc_now
    port: int = 0
    held: threading.Event | None = None
    held_keys: dict[tuple[str, str], threading.Event] = field(default_factory=dict)
    gives: Callable[[bytes], Iterable[bytes]] = at_once
    raw: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, content: bytes, storage_class: str = "STANDARD", **others: object) -> None:
        """Put an object, or replace it."""
        self.objects[key] = StoredObject(content, storage_class, **others)  # type: ignore[arg-type]

    def deliver(self, key: str) -> None:
        """End the restore of an object."""
        found = self.objects[key]
        found.ongoing, found.archive_status, found.offline = False, "", False
        if found.storage_class == "INTELLIGENT_TIERING":
            found.ongoing = None
        else:
            found.expires = self.now().replace(microsecond=0) + timedelta(days=found.days)

    def asked(self, *kinds: str) -> list[Received]:
        """Give the requests of some kinds."""
        return [each for each in self.received if each.kind in kinds]


class _Refused(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    s3: GlacierServer

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._serve()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        bucket, _, key = unquote(url.path).removeprefix("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(url.query, keep_blank_values=True).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        received = self._received(key, query, body)
        self.s3.received.append(received)
        if self.s3.held is not None:
            self.s3.held.wait(30)
        if (held := self.s3.held_keys.get((received.kind, received.key))) is not None:
            held.wait(30)
        if received.kind in self.s3.raw:
            self.wfile.write(self.s3.raw[received.kind])
            self.close_connection = True
            return
        try:
            self._refuse_by(received, bucket)
            self._answer_to(received, query)
        except _Refused as refused:
            words = f"<Error><Code>{refused.code}</Code><Message>no</Message></Error>"
            self._send(REFUSALS[refused.code], words.encode())

    def _refuse_by(self, received: Received, bucket: str) -> None:
        if f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
            raise _Refused("InvalidAccessKeyId")
        if received.kind in self.s3.refused:
            raise _Refused(self.s3.refused[received.kind])
        if (code := self.s3.refused_keys.get(received.key, {}).get(received.kind)) is not None:
            raise _Refused(code)
        if bucket != BUCKET or not self.s3.has_bucket:
            raise _Refused("NoSuchBucket")

    def _received(self, key: str, query: dict[str, str], body: str) -> Received:
        if self.command == "POST":
            days, tier = re.search(r"<Days>(\d+)</Days>", body), re.search(r"<Tier>(\w+)</Tier>", body)
            return Received("restore", key, int(days[1]) if days else 0, tier[1] if tier else "")
        if not key:
            return Received("head_bucket" if self.command == "HEAD" else "list", query.get("prefix", ""))
        return Received(self.command.lower(), key, range=self.headers.get("Range", ""))

    def _answer_to(self, received: Received, query: dict[str, str]) -> None:
        if received.kind == "head_bucket":
            self._send(200, b"")
        elif received.kind == "list":
            self._send(200, self._listing(query).encode())
        elif (found := self.s3.objects.get(received.key)) is None:
            raise _Refused("NoSuchKey")
        elif found.forbidden:
            raise _Refused("AccessDenied")
        elif received.kind == "restore":
            self._restore(found, received)
        else:
            self._give(found)

    def _restore(self, found: StoredObject, received: Received) -> None:
        if received.tier in self.s3.refused_tiers:
            raise _Refused(self.s3.refused_tiers[received.tier])
        if not found.archived:
            raise _Refused("InvalidObjectState")
        if found.ongoing:
            raise _Refused("RestoreAlreadyInProgress")
        if (found.storage_class == "INTELLIGENT_TIERING") == bool(received.days):
            raise _Refused("InvalidArgument")
        found.days = received.days
        if found.ongoing is False and not found.offline:
            self.s3.deliver(received.key)
            self._send(200, b"")
        else:
            found.ongoing = True
            self._send(202, b"")

    def _give(self, found: StoredObject) -> None:
        headers = {"ETag": found.etag, "x-amz-storage-class": found.storage_class}
        if found.archive_status:
            headers["x-amz-archive-status"] = found.archive_status
        if found.ongoing is not None:
            headers["x-amz-restore"] = f'ongoing-request="{str(found.ongoing).lower()}"'
        if found.expires is not None:
            headers["x-amz-restore"] += f', expiry-date="{format_datetime(found.expires, usegmt=True)}"'
        if self.command == "HEAD":
            self._send(200, found.content, headers)
            return
        if not found.readable:
            raise _Refused("InvalidObjectState")
        if self.headers.get("If-Match", found.etag) != found.etag:
            raise _Refused("PreconditionFailed")
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        begin, end = (int(asked[1]), int(asked[2]) + 1) if asked else (0, len(found.content))
        if begin >= len(found.content):
            raise _Refused("InvalidRange")
        self._send(206 if asked else 200, found.content[begin:end], headers)

    def _listing(self, query: dict[str, str]) -> str:
        keys = sorted(
            key
            for key in self.s3.objects
            if key.startswith(query.get("prefix", "")) and key > query.get("start-after", "")
        )
        most = int(query.get("max-keys", 1000))
        told = self.s3.tells_restores and "RestoreStatus" in self.headers.get(
            "x-amz-optional-object-attributes", ""
        )
        entries = "".join(_entry(key, self.s3.objects[key], told=told) for key in keys[:most])
        return (
            f"<ListBucketResult><Name>{BUCKET}</Name><EncodingType>url</EncodingType>"
            f"<IsTruncated>{str(len(keys) > most).lower()}</IsTruncated>{entries}</ListBucketResult>"
        )

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            for piece in self.s3.gives(body):
                self.wfile.write(piece)


def _entry(key: str, found: StoredObject, *, told: bool) -> str:
    status = ""
    if told and found.ongoing is not None:
        until = (
            ""
            if found.expires is None
            else f"<RestoreExpiryDate>{found.expires.isoformat()}</RestoreExpiryDate>"
        )
        status = (
            f"<RestoreStatus><IsRestoreInProgress>{str(found.ongoing).lower()}</IsRestoreInProgress>{until}"
            "</RestoreStatus>"
        )
    return (
        f"<Contents><Key>{quote(key)}</Key><Size>{len(found.content)}</Size><ETag>{escape(found.etag)}</ETag>"
        f"<StorageClass>{found.storage_class}</StorageClass>"
        f"<LastModified>2026-01-01T00:00:00.000Z</LastModified>{status}</Contents>"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: clients may go."""


@contextmanager
def running_glacier_server() -> Iterator[GlacierServer]:
    """Serve until the end of the block, on 127.0.0.1."""
    s3 = GlacierServer()
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"s3": s3}))
    s3.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield s3
    finally:
        if s3.held is not None:
            s3.held.set()
        for held in s3.held_keys.values():
            held.set()
        server.shutdown()
        server.server_close()
        thread.join(10)
