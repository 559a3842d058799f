"""Connections to a tape system: TLS, deadlines, and where they may lead."""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import httpcore2
import httpx2

from scicat_retriever.domain.errors import StoreRefusesAccount, StoreUnavailable
from scicat_retriever.storage.lts.wlcg.addresses import TapeAddresses
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings

_WRITTEN_AT_ONCE = 64 * 1024


class Deadline:
    """The end of the request that a thread has under way; each thread has its own.

    The time limits of httpx2 are those of one system call: a server that sends a byte now and then meets them for ever.
    """

    def __init__(self) -> None:
        self._thread = threading.local()

    @contextmanager
    def until(self, moment: float) -> Iterator[None]:
        """End what this thread sends and receives inside the block at `moment`, of `time.monotonic`."""
        before = self._moment()
        self._thread.moment = min(before, moment)
        try:
            yield
        finally:
            self._thread.moment = before

    def shorten(self, timeout: float | None) -> float | None:
        """Give the seconds that are left, `timeout` at most; 0 or less where there are none."""
        left = self._moment() - time.monotonic()
        return min(left, math.inf if timeout is None else timeout) if math.isfinite(left) else timeout

    def _moment(self) -> float:
        moment: float = getattr(self._thread, "moment", math.inf)
        return moment


class TapeTransport(httpx2.HTTPTransport):
    """Carries requests over connections that keep a `Deadline`, and lead nowhere inside that no setting names.

    Args:
        tls: Whom to trust, and the certificate to log in with.
        keepalive: Most idle connections that are kept.
        deadline: Ends requests.
        addresses: Say what is inside.
    """

    def __init__(
        self, tls: ssl.SSLContext, keepalive: int, deadline: Deadline, addresses: TapeAddresses
    ) -> None:
        super().__init__(verify=tls, trust_env=False)
        # httpx2 has no argument for the network back end of its pool.
        self._pool = httpcore2.ConnectionPool(
            ssl_context=tls,
            max_connections=None,
            max_keepalive_connections=keepalive,
            keepalive_expiry=httpx2.Limits().keepalive_expiry,
            network_backend=_Network(deadline, addresses),
        )


class _Network(httpcore2.NetworkBackend):
    def __init__(self, deadline: Deadline, addresses: TapeAddresses) -> None:
        self._sockets = httpcore2.SyncBackend()
        self._deadline = deadline
        self._addresses = addresses

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        limit = self._deadline.shorten(timeout)
        if limit is not None and limit <= 0:
            raise httpcore2.ConnectTimeout("the deadline is over")
        stream = self._sockets.connect_tcp(host, port, limit, local_address, socket_options or ())
        # What a name stands for is known for sure only now; nothing has been sent yet.
        source, address = (stream.get_extra_info(each)[0] for each in ("client_addr", "server_addr"))
        if self._addresses.leads_inside(host, address, source):
            stream.close()
            raise httpcore2.ConnectError("the name leads to this machine or its own link")
        return _Stream(stream, self._deadline)


class _Stream(httpcore2.NetworkStream):
    def __init__(self, stream: httpcore2.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        limit = self._deadline.shorten(timeout)
        if limit is not None and limit <= 0:
            raise httpcore2.ReadTimeout("the deadline is over")
        return self._stream.read(max_bytes, limit)

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for begin in range(0, len(buffer), _WRITTEN_AT_ONCE):
            limit = self._deadline.shorten(timeout)
            if limit is not None and limit <= 0:
                raise httpcore2.WriteTimeout("the deadline is over")
            self._stream.write(buffer[begin : begin + _WRITTEN_AT_ONCE], limit)

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        limit = self._deadline.shorten(timeout)
        if limit is not None and limit <= 0:
            raise httpcore2.ConnectTimeout("the deadline is over")
        return _Stream(self._stream.start_tls(ssl_context, server_hostname, limit), self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401 - of httpcore2
        return self._stream.get_extra_info(info)


def tls_context(settings: WlcgTapeSettings) -> ssl.SSLContext:
    """Give whom to trust, and the certificate to log in with.

    Raises:
        StoreUnavailable: The CA certificates cannot be used.
        StoreRefusesAccount: The certificate or its key cannot.
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
