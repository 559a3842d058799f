"""Carries requests over connections to a tape system, each by its own clock."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from scicat_retriever.storage.lts.wlcg.addresses import TapeAddresses
from scicat_retriever.storage.lts.wlcg.clock import RequestClock, RunningClock
from scicat_retriever.storage.lts.wlcg.connections import TapeNetwork

CLOCK = "clock"
"""The extension of a request that is its `RequestClock`."""
_KEPT_SECONDS = 5.0


class TapeTransport(httpx2.BaseTransport):
    """An HTTP transport whose requests end by the `RequestClock` that they bring as an extension, `CLOCK`.

    Args:
        tls: The CA certificates to trust, and the certificate to log in with.
        keepalive: Most idle connections that are kept, and names that are looked up at the same time.
        addresses: Say where connections may lead.
        resolve: The name service, as `socket.getaddrinfo`.
    """

    def __init__(
        self,
        tls: ssl.SSLContext,
        keepalive: int,
        addresses: TapeAddresses,
        resolve: Callable[..., Sequence[Any]] = socket.getaddrinfo,
    ) -> None:
        self._running = RunningClock()
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=keepalive,
            keepalive_expiry=_KEPT_SECONDS,
            network_backend=TapeNetwork(self._running, addresses, keepalive, resolve),
        )

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request and give the answer before its body is read.

        Raises:
            httpx2.TransportError: There is no answer, or not in time.
        """
        clock: RequestClock = request.extensions[CLOCK]
        url = request.url
        sent = httpcore2.Request(
            request.method,
            httpcore2.URL(scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path),
            headers=request.headers.raw,
            content=request.stream,
        )
        with _errors_of_httpx2(), self._running.by(clock):
            answer = self._pool.handle_request(sent)
        body = _Body(answer, clock.of_body, self._running)
        return httpx2.Response(
            answer.status, headers=answer.headers, stream=body, extensions=answer.extensions
        )

    def close(self) -> None:
        """Close all connections."""
        self._pool.close()


class _Body(httpx2.SyncByteStream):
    def __init__(self, answer: httpcore2.Response, clock: RequestClock, running: RunningClock) -> None:
        self._answer = answer
        self._clock = clock
        self._running = running

    def __iter__(self) -> Iterator[bytes]:
        parts = self._answer.iter_stream()
        while (part := self._next(parts)) is not None:
            yield part

    def _next(self, parts: Iterator[bytes]) -> bytes | None:
        with _errors_of_httpx2(), self._running.by(self._clock):
            return next(parts, None)

    def close(self) -> None:
        self._answer.close()


@contextmanager
def _errors_of_httpx2() -> Iterator[None]:
    """Raise the errors of httpcore2 as those of httpx2, which have the same names."""
    try:
        yield
    except _ERRORS as error:
        kinds = (getattr(httpx2, kind.__name__, None) for kind in type(error).__mro__)
        raise next(kind for kind in kinds if kind is not None)(str(error)) from error


_ERRORS = (
    httpcore2.TimeoutException,
    httpcore2.NetworkError,
    httpcore2.ProtocolError,
    httpcore2.UnsupportedProtocol,
)
