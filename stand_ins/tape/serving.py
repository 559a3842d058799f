"""Serving an ASGI application on the loopback interface, with TLS and client certificates where they are asked for."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp

from stand_ins.scicat.server import loopback_socket

_START_SECONDS = 60.0


@dataclass(frozen=True)
class Tls:
    """How a server proves itself, and whom it lets in.

    Attributes:
        certificate: File with its certificate, and its key.
        clients: File with the CA certificates that a client's certificate must be signed by; None asks for none.
    """

    certificate: Path
    clients: Path | None = None


@contextmanager
def served(app: ASGIApp, tls: Tls | None = None, port: int = 0) -> Iterator[str]:
    """Serve an application on 127.0.0.1 while the context lasts; gives its base URL.

    Args:
        app: The application.
        tls: Without it, plain HTTP.
        port: 0 takes a free one.

    Raises:
        RuntimeError: The server does not start.
    """
    with loopback_socket(port) as listening:
        server = uvicorn.Server(_config(app, tls))
        thread = threading.Thread(target=server.run, args=([listening],), name="tape-server", daemon=True)
        thread.start()
        try:
            end = time.monotonic() + _START_SECONDS
            while not server.started:
                if not thread.is_alive() or time.monotonic() > end:
                    raise RuntimeError("the server did not start")
                time.sleep(0.005)
            yield f"{'https' if tls else 'http'}://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _config(app: ASGIApp, tls: Tls | None) -> uvicorn.Config:
    asks_clients = tls is not None and tls.clients is not None
    return uvicorn.Config(
        app,
        ws="none",
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
        ssl_certfile=str(tls.certificate) if tls else None,
        ssl_ca_certs=str(tls.clients) if tls and tls.clients else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if asks_clients else ssl.CERT_NONE,
    )
