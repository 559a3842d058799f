"""A TCP proxy that changes, cuts or holds what goes through it, with TLS towards the client where it is asked to."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

Bytes = Callable[[bytes], bytes | None]
"""Gives what goes on instead of some bytes; None cuts the connection."""

_PIECE = 1 << 16


def unchanged(data: bytes) -> bytes:
    return data


class TcpProxy:
    """Stands before a server on 127.0.0.1.

    Args:
        port: The server's.
        tls: How the proxy proves itself to clients; None: without TLS.

    Attributes:
        port: The proxy's own.
        to_server: What becomes of what clients send.
        to_client: What becomes of what the server answers.
    """

    def __init__(self, port: int, tls: ssl.SSLContext | None = None) -> None:
        self._server_port = port
        self._tls = tls
        self.to_server: Bytes = unchanged
        self.to_client: Bytes = unchanged
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._thread = threading.Thread(target=self._accept, name="tcp-proxy", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with suppress(OSError):
            if self._tls is not None:
                client = self._tls.wrap_socket(client, server_side=True)
            server = socket.create_connection(("127.0.0.1", self._server_port))
            back = threading.Thread(target=self._pump, args=(server, client, self._back), daemon=True)
            back.start()
            self._pump(client, server, self._forth)
            return
        client.close()

    def _forth(self, data: bytes) -> bytes | None:
        return self.to_server(data)

    def _back(self, data: bytes) -> bytes | None:
        return self.to_client(data)

    def _pump(self, source: socket.socket, target: socket.socket, change: Bytes) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE):
                changed = change(data)
                if changed is None:
                    break
                target.sendall(changed)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def proxy_before(port: int, tls: ssl.SSLContext | None = None) -> Iterator[TcpProxy]:
    """Have a proxy until the end of the block."""
    proxy = TcpProxy(port, tls)
    try:
        yield proxy
    finally:
        proxy.close()


class Damage:
    """Changes a byte of a mark, some times.

    Args:
        mark: What is looked for; long enough to be found once.
        times: How often it is changed.
    """

    def __init__(self, mark: bytes, times: int) -> None:
        self._mark = mark
        self.left = times
        self._lock = threading.Lock()

    def __call__(self, data: bytes) -> bytes:
        with self._lock:
            if self.left and self._mark in data:
                self.left -= 1
                return data.replace(self._mark, self._mark[:-1] + b"?", 1)
        return data
