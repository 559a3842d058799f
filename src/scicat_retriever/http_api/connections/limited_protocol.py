"""uvicorn's HTTP protocol with deadlines: for requests, idle connections, and clients that do not read.

A request has one deadline for its head and one for its body. uvicorn itself ends only idle connections, and
only while not a byte comes. Each connection checks its deadlines now and then, by one timer, so that ten
thousand connections cost little.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from enum import Enum
from typing import Any

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from scicat_retriever.http_api.connections.door import Door
from scicat_retriever.http_api.connections.limits import LimitSettings

LEAST_RATE = 1024
"""Bytes per second that a client must take of its answer, on average over `write_timeout`."""
_LOOKS = 4
"""How often a connection checks its deadlines within its shortest timeout."""
_BYTES_ACKED = struct.Struct("@Q")
_ACKED_AT = 120
"""Where `tcpi_bytes_acked` is in Linux's `struct tcp_info` (linux/tcp.h)."""
_FULL = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 30\r\nContent-Type: text/plain\r\nContent-Length: 29\r\n"
    b"Connection: close\r\n\r\ntoo many connections; try later"
)
log = structlog.get_logger(__name__)


class _Phase(Enum):
    WAITING = "waiting for a request"
    BODY = "reading a request's body"
    WORKING = "working on a request"
    WRITING = "sending an answer"


class LimitedProtocol(H11Protocol):
    """One connection.

    Class attributes, set by `protocol_with`: `door`, which admits it, and `limits`, its deadlines.
    """

    door: Door
    limits: LimitSettings

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - uvicorn's own arguments
        super().__init__(*args, **kwargs)
        self._phase = _Phase.WAITING
        self._request: object = None
        self._since = self._acked = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def address(self) -> str:
        """The address of the client."""
        return "" if self.client is None else self.client[0]

    def give_way(self) -> None:
        """Close this connection for another one."""
        log.warning(
            "a connection without a request was closed to make place for another", client=self.address
        )
        self.transport.abort()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, if the door admits the connection."""
        super().connection_made(transport)
        self._since = self.loop.time()
        if not self.door.admit(self):
            log.warning("a connection was refused: there are too many", client=self.address)
            transport.write(_FULL)
            transport.close()
        self._look_later()

    def data_received(self, data: bytes) -> None:
        """Take bytes from the client."""
        super().data_received(data)
        self._note_phase()

    def on_response_complete(self) -> None:
        """Go on to the next request."""
        super().on_response_complete()
        self._note_phase()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the door that the connection is closed."""
        if self._timer is not None:
            self._timer.cancel()
        self.door.leave(self)
        super().connection_lost(exc)

    def _note_phase(self) -> None:
        phase = self._current_phase()
        if (phase, self.cycle) == (self._phase, self._request):
            return
        self._phase, self._request = phase, self.cycle
        self._since, self._acked = self.loop.time(), self._taken()
        if phase is _Phase.WAITING:
            self.door.waits(self)
        else:
            self.door.works(self)

    def _current_phase(self) -> _Phase:
        if self.transport.get_write_buffer_size():
            return _Phase.WRITING
        request = self._last_request()
        if request is None or request.response_complete:
            return _Phase.WAITING
        return _Phase.BODY if request.more_body else _Phase.WORKING

    def _last_request(self) -> RequestResponseCycle | None:
        return self.cycle  # None before the first one, whatever uvicorn says of its type

    def _look_later(self) -> None:
        limits = self.limits
        shortest = min(limits.header_timeout, limits.body_timeout, limits.write_timeout)
        self._timer = self.loop.call_later(shortest / _LOOKS, self._look)

    def _look(self) -> None:
        self._note_phase()
        if self._is_overdue():
            log.warning(
                "a connection was closed: its client is too slow", client=self.address, was=self._phase.value
            )
            self.transport.abort()
        else:
            self._look_later()

    def _is_overdue(self) -> bool:
        took, limits = self.loop.time() - self._since, self.limits
        match self._phase:
            case _Phase.WAITING:
                # The next request after an answer may come later: uvicorn itself closes connections that stay
                # idle.
                return took >= limits.header_timeout + (
                    0 if self._last_request() is None else limits.idle_timeout
                )
            case _Phase.BODY:
                return took >= limits.body_timeout
            case _Phase.WRITING if took >= limits.write_timeout:
                acked = self._taken()
                if acked - self._acked < took * LEAST_RATE:
                    return True
                self._since, self._acked = self.loop.time(), acked
        return False

    def _taken(self) -> float:
        """Give how many of the sent bytes the client's machine has taken.

        The client's program may be behind by what its machine buffers.
        """
        connection = self.transport.get_extra_info("socket")
        try:
            info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKED_AT + _BYTES_ACKED.size)
            return float(_BYTES_ACKED.unpack_from(info, _ACKED_AT)[0])
        except (AttributeError, OSError, struct.error):  # no TCP, or closed just now
            return 0.0


def protocol_with(door: Door, limits: LimitSettings) -> type[LimitedProtocol]:
    """Give the class of the protocol with its door and limits, for uvicorn's setting `http`."""
    its_door, its_limits = door, limits

    class Protocol(LimitedProtocol):
        door, limits = its_door, its_limits

    return Protocol
