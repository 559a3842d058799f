"""The server of the application: uvicorn, with limits of the service's own on connections."""

from __future__ import annotations

import os
import socket

import uvicorn
from fastapi import FastAPI

from scicat_retriever.http_api.connections.door import Door
from scicat_retriever.http_api.connections.limited_protocol import protocol_with
from scicat_retriever.http_api.settings import ApiSettings

DRAIN_SECONDS = 10
_AT_ONCE, _QUEUE = 64, 4096
"""Connections that are accepted at once before other work goes on, and that the system holds until then."""


class LimitedServer(uvicorn.Server):
    """uvicorn's server, which accepts few connections at once, and has the system hold many.

    asyncio itself takes one number for both.
    """

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen."""
        await super().startup(sockets)
        for server in getattr(self, "servers", []):
            for listening in server.sockets:
                with socket.socket(fileno=os.dup(listening.fileno())) as same:
                    same.listen(_QUEUE)


def server_config(app: FastAPI, settings: ApiSettings, connections: int) -> uvicorn.Config:
    """Give what uvicorn needs to serve the application.

    Args:
        app: The application.
        settings: The settings of the API.
        connections: The most connections at once, as many as the process may have files open for.
    """
    door = Door(connections, settings.limits.connections_per_address, settings.trusted_proxies)
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=protocol_with(door, settings.limits),
        ws="none",
        backlog=_AT_ONCE,
        log_config=None,
        access_log=False,
        server_header=False,
        forwarded_allow_ips=list(settings.trusted_proxies),
        timeout_keep_alive=settings.limits.idle_timeout,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        # Words in the log about one request of a connection must not stay for the next request.
        reset_contextvars=True,
    )
