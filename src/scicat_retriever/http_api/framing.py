"""The refusal of requests of which two readers may see the end at different places, before all else."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from scicat_retriever.http_api.problems import plain_problem


class OneFraming:
    """Middleware that refuses requests with `Content-Length` and `Transfer-Encoding` (RFC 9112, 6.1).

    It also refuses `Transfer-Encoding` in HTTP/1.0, and closes the connection of a refused request.

    If a proxy goes by the one header and this service by the other, a part of the body would be taken for a
    request of its own.

    Args:
        app: The application that answers all other requests.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        names = {name for name, _ in scope["headers"]} if scope["type"] == "http" else set()
        encoded = b"transfer-encoding" in names
        if encoded and (b"content-length" in names or scope["http_version"] == "1.0"):
            answer = plain_problem(
                400, "send either Content-Length or Transfer-Encoding, and this by HTTP/1.1"
            )
            answer.headers["Connection"] = "close"
            await answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)
