"""Requests whose end two readers may see at different places are refused, before any other looks at them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from scicat_retriever.http_api.problems import plain_problem


class OneFraming:
    """Refuses requests with both `Content-Length` and `Transfer-Encoding` (RFC 9112, section 6.1), and closes.

    A proxy that goes by the one, and this service by the other, would take a part of the body for a request of its own.

    Args:
        app: What answers all other requests.
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
