"""A server for `bench/s3.py` that speaks as much S3 as an upload needs, keeps no byte, and believes every checksum.

It prints its URL and runs until it is killed.
"""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_READ_BYTES = 1 << 20


class Sink(ThreadingHTTPServer):
    """Remembers what the parts of the one upload were said to be."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.parts: dict[int, int] = {}
        self.whole: dict[str, str] = {}
        self.uploads: set[str] = set()


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Sink

    def setup(self) -> None:
        """Answer at once."""
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_HEAD(self) -> None:
        """Say that the bucket is there; of an object, what its upload was said to be."""
        size = sum(self.server.parts.values()) if self.path.count("/") > 1 else 0
        self._answer(b"", {"Content-Length": str(size), **self.server.whole})

    def do_GET(self) -> None:
        """List the upload, its parts, or no objects."""
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploadId" in query:
            self._answer(self._list_of_parts())
        elif "uploads" in query:
            found = "".join(
                f"<Upload><Key>{key}</Key><UploadId>1</UploadId><Initiated>2026-01-01T00:00:00Z</Initiated></Upload>"
                for key in self.server.uploads
            )
            self._answer(f"<R><IsTruncated>false</IsTruncated>{found}</R>".encode())
        else:
            self._answer(b"<R><IsTruncated>false</IsTruncated></R>")

    def do_PUT(self) -> None:
        """Swallow a part, and say that its checksum is right."""
        number = int(parse_qs(urlsplit(self.path).query).get("partNumber", ["1"])[0])
        self.server.parts[number] = self._swallow()
        told = {name: value for name, value in self.headers.items() if name.startswith("x-amz-checksum-")}
        self._answer(b"", {"ETag": f'"{number}"', **told})

    def do_POST(self) -> None:
        """Begin an upload or complete it."""
        self._swallow()
        path, _, query = self.path.partition("?")
        key = path.split("/", 2)[2].replace("%25", "%").replace("%2C", ",")
        if query.startswith("uploads"):
            self.server.parts.clear()
            self.server.uploads.add(key)
            self._answer(b"<R><UploadId>1</UploadId></R>")
            return
        self.server.uploads.discard(key)
        self.server.whole = {
            name: value for name, value in self.headers.items() if name.startswith("x-amz-checksum-")
        }
        self._answer(b'<R><ETag>"1"</ETag></R>')

    def do_DELETE(self) -> None:
        """Remove nothing."""
        self._answer(b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the library's
        """Log nothing."""

    def _list_of_parts(self) -> bytes:
        found = "".join(
            f'<Part><PartNumber>{number}</PartNumber><ETag>"{number}"</ETag><Size>{size}</Size></Part>'
            for number, size in sorted(self.server.parts.items())
        )
        return f"<R><IsTruncated>false</IsTruncated>{found}</R>".encode()

    def _swallow(self) -> int:
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        size = left = int(self.headers.get("Content-Length", 0))
        buffer = memoryview(bytearray(_READ_BYTES))
        while left:
            left -= self.rfile.readinto(buffer[: min(left, _READ_BYTES)])
        return size

    def _answer(self, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def main() -> None:
    """Serve."""
    with Sink() as sink:
        print(f"http://127.0.0.1:{sink.server_address[1]}", flush=True)
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        threading.Event().wait()


if __name__ == "__main__":
    main()
