"""Connections to a tape system: names, TLS, where connections may lead, and the clock of each request."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import httpcore2

from scicat_retriever.domain.errors import StoreRefusesAccount, StoreUnavailable
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.wlcg.addresses import TapeAddresses
from scicat_retriever.storage.lts.wlcg.clock import RunningClock
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings


class TapeNetwork(httpcore2.NetworkBackend):
    """Connects by the clock of the request; never to an inside address that no setting names.

    Args:
        running: The clock of the request that a thread has under way.
        addresses: Say what is inside (`TapeAddresses.leads_inside`).
        lookups: The most names that are looked up at the same time. Each look-up is on a thread of its own:
            the system's name service may not answer for minutes, and a look-up cannot be ended.
        resolve: The name service, as `socket.getaddrinfo`.
    """

    def __init__(
        self,
        running: RunningClock,
        addresses: TapeAddresses,
        lookups: int,
        resolve: Callable[..., Sequence[Any]] = socket.getaddrinfo,
    ) -> None:
        self._sockets = httpcore2.SyncBackend()
        self._running = running
        self._addresses = addresses
        self._threads = DaemonPool("wlcg-names", lookups)
        self._resolve = resolve

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the clock tells
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of a host that takes it.

        Raises:
            httpcore2.ConnectTimeout: The time of the request, or that of the connection, is over.
            httpcore2.ConnectError: No address takes the connection, or the address is inside.
        """
        error: Exception = httpcore2.ConnectError("the name has no address")
        for address in self._addresses_of(host, port):
            limit = self._running.connecting()
            try:
                stream = self._sockets.connect_tcp(address, port, limit, local_address, socket_options or ())
            except (httpcore2.ConnectTimeout, httpcore2.ConnectError) as failed:
                error = failed
                continue
            # What a name stands for is known for sure only now; nothing has been sent yet.
            source, reached = (stream.get_extra_info(each)[0] for each in ("client_addr", "server_addr"))
            if self._addresses.leads_inside(host, reached, source):
                stream.close()
                raise httpcore2.ConnectError("the name leads to this machine or its own link")
            return _Stream(stream, self._running)
        raise error

    def _addresses_of(self, host: str, port: int) -> list[str]:
        resolve = partial(self._resolve, host, port, type=socket.SOCK_STREAM)
        found = self._threads.ask_each({host: resolve}, self._running.connecting(names=True))[host]
        if isinstance(found, CallHung):
            raise httpcore2.ConnectTimeout("the name service does not answer")
        if isinstance(found, OSError):
            raise httpcore2.ConnectError(found)
        if isinstance(found, Exception):
            raise found
        return list(dict.fromkeys(str(address[0]) for *_, address in found))


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, running: RunningClock) -> None:
        self._stream = stream
        self._running = running

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - the clock tells
        return self._stream.read(max_bytes, self._running.receiving())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - the clock tells
        # Not by the stream, which gives each of many small sends all of the time.
        connection, left = self._stream.get_extra_info("socket"), memoryview(buffer)
        while left:
            limit = self._running.sending()
            try:
                connection.settimeout(limit)
                left = left[connection.send(left) :]
            except TimeoutError as error:
                raise httpcore2.WriteTimeout(error) from error
            except OSError as error:
                raise httpcore2.WriteError(error) from error

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - the clock tells
    ) -> httpcore2.NetworkStream:
        # The time limit of a socket is that of its whole handshake.
        limit = self._running.connecting()
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, limit), self._running)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - of httpcore2
        return self._stream.get_extra_info(info)


def tls_context(settings: WlcgTapeSettings) -> ssl.SSLContext:
    """Make the TLS context: the CA certificates to trust, and the certificate to log in with.

    Raises:
        StoreUnavailable: The CA certificates cannot be used.
        StoreRefusesAccount: The certificate or its key cannot be used.
    """
    trusted = settings.ca_file
    try:
        if trusted is not None and trusted.is_dir():
            context = ssl.create_default_context(capath=str(trusted))
        else:
            context = ssl.create_default_context(cafile=trusted)
    except OSError as error:
        raise StoreUnavailable(f"the CA certificates {trusted} cannot be used ({error.strerror})") from error
    if settings.certificate is not None:
        try:
            # An empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(settings.certificate, settings.key, password="")
        except (OSError, ValueError) as error:
            raise StoreRefusesAccount(
                f"the certificate {settings.certificate} cannot be used: {error}"
            ) from error
    return context
