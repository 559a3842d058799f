"""Paths: as people write them into settings of other programs, and as the log may have them."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH

_PATH_SHOWN = 300
"""The most characters of a request's path in the log."""


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


def path_for_log(path: str) -> str:
    """Give a request's path without the secret of a retrieval's link, and of bounded length."""
    if not path.startswith(f"{RETRIEVALS_PATH}/"):
        return path[:_PATH_SHOWN]
    _, _, below = path.removeprefix(f"{RETRIEVALS_PATH}/").partition("/")
    return f"{RETRIEVALS_PATH}/.../{below}"[:_PATH_SHOWN]
