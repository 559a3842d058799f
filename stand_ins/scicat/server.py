"""Serving an ASGI application on the loopback interface, able to drop a connection without an answer."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

ABORT = "scicat_stand_in.abort_connection"
"""Key of the ASGI scope under which an application finds the way to drop its connection."""

_START_SECONDS = 60.0


class AbortableProtocol(H11Protocol):
    """HTTP over TCP that lets the application close the connection instead of answering."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        super().__init__(*args, **kwargs)
        inner = self.app

        def abort() -> None:
            # Without the mark uvicorn would try to send a 500 for an application that ends without an answer.
            self.cycle.disconnected = True
            self.transport.abort()

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            scope[ABORT] = abort
            await inner(scope, receive, send)

        self.app = with_abort


def server_for(app: ASGIApp) -> uvicorn.Server:
    """Give a server, to be run on a socket of :func:`loopback_socket`, that can drop connections."""
    config = uvicorn.Config(
        app,
        http=AbortableProtocol,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(config)


def loopback_socket(port: int) -> socket.socket:
    """Give a listening socket on 127.0.0.1; port 0 takes a free one."""
    # asyncio switches off Nagle's delay (40 ms for each answer) only where the protocol is named.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen(128)
    return listening


def base_url(listening: socket.socket) -> str:
    """Give the base URL of what is served on a socket."""
    return f"http://127.0.0.1:{listening.getsockname()[1]}"


@contextmanager
def serve_in_thread(app: ASGIApp, port: int = 0) -> Iterator[str]:
    """Serve an application on 127.0.0.1 while the context lasts; gives its base URL.

    Raises:
        RuntimeError: when the server does not start.
    """
    with loopback_socket(port) as listening:
        server = server_for(app)
        thread = threading.Thread(target=server.run, args=([listening],), name="scicat-stand-in", daemon=True)
        thread.start()
        try:
            _wait_until_started(server, thread)
            yield base_url(listening)
        finally:
            server.should_exit = True
            thread.join()


def _wait_until_started(server: uvicorn.Server, thread: threading.Thread) -> None:
    end = time.monotonic() + _START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > end:
            raise RuntimeError("the server did not start")
        time.sleep(0.005)
