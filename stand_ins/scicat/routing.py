"""Routing on the raw path: a pid is percent-encoded once, and only its own segment is decoded.

Express splits the path before it decodes: ``20.500.12345%2Fabc`` is one segment and ``20.500.12345/abc`` is
two, so that the latter finds no route. Fixed segments match in any case, and a trailing slash is ignored.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from urllib.parse import unquote

from stand_ins.scicat.answers import Answer
from stand_ins.scicat.call import Call

Handler = Callable[[Call], Awaitable[Answer]]
VERSIONS = ("v3", "v4")


@dataclass(frozen=True)
class Route:
    """A route below ``/api/``: method, pattern as ``{version}/datasets/{pid}``, and who answers."""

    method: str
    pattern: str
    handler: Handler


class Router:
    """Finds the route of a raw path; an earlier route wins over a later one."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes: dict[tuple[str, int], list[tuple[list[str], Handler]]] = defaultdict(list)
        for route in routes:
            segments = route.pattern.split("/")
            self._routes[route.method, len(segments)].append((segments, route.handler))

    def find(self, method: str, raw_path: str) -> tuple[Handler, dict[str, str]] | None:
        """Give the handler and the decoded variable segments (``version`` among them), or None."""
        start, _, rest = raw_path.lstrip("/").partition("/")
        if start.lower() != "api":
            return None
        segments = rest.rstrip("/").split("/")
        for pattern, handler in self._routes.get((method, len(segments)), ()):
            params = _match(pattern, segments)
            if params is not None:
                return handler, params
        return None


def _match(pattern: list[str], segments: list[str]) -> dict[str, str] | None:
    params: dict[str, str] = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            params[wanted[1:-1]] = unquote(given)
        elif wanted != given.lower():
            return None
    if params.get("version", "v3") not in VERSIONS:
        return None
    return params
