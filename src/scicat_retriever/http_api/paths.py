"""Paths as people write them into settings of other programs."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send


class WithoutLastSlash:
    """Middleware that has `/api/v1/jobs/` answered as `/api/v1/jobs`.

    A redirect instead would name this process's own host and path, which lead nowhere behind a proxy; and
    SciCat would follow it with a GET.

    Args:
        app: The application that answers.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        # An encoded slash is part of a name, and no end of a path.
        if scope["type"] == "http" and len(scope["path"]) > 1 and scope.get("raw_path", b"").endswith(b"/"):
            scope = {**scope, "path": scope["path"][:-1], "raw_path": scope["raw_path"][:-1]}
        await self._app(scope, receive, send)
