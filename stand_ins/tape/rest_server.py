"""A server of the WLCG Tape REST API v1 and of WebDAV, over a tape library.

It implements the reference document of the API, version 1; where servers in use differ, a `Dialect` says which way it goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from stand_ins.tape import webdav
from stand_ins.tape.backend import TapeBackend, TapeFile
from stand_ins.tape.stage_requests import (
    ON_DISK,
    NotOfRequest,
    StagedFile,
    StageRequests,
    UnknownRequest,
)

API = "/api/v1"
DISCOVERY = "/.well-known/wlcg-tape-rest-api"
DEFAULT_LIFETIME = 86400.0
"""Seconds on disk, where a request does not say."""

_DURATION = re.compile(r"P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")


@dataclass(frozen=True)
class Dialect:
    """In what servers differ.

    Attributes:
        progress: Whether the files of a stage request have `state` (dCache) or `onDisk` (EOS).
        archiveinfo_limit: Paths that archiveinfo answers; the rest is left out silently (dCache).
        strict_keys: Whether a key that is not of the specification is refused (dCache).
        on_tape: Status of a GET of what is on tape alone.
        missing: Whether archiveinfo has an error for a file that is not there, or the locality NONE.
        unsure: Whether archiveinfo's error is the same for a file that is not there and one that is forbidden (StoRM, EOS).
    """

    progress: Literal["state", "onDisk"] = "state"
    archiveinfo_limit: int | None = None
    strict_keys: bool = False
    on_tape: int = 409
    missing: Literal["error", "NONE"] = "error"
    unsure: bool = True


class Problem(Exception):
    """What is answered in place of what was asked (RFC 7807)."""

    def __init__(self, status: int, title: str, detail: str = "") -> None:
        super().__init__(title)
        self.status, self.title, self.detail = status, title, detail


@dataclass(frozen=True)
class Received:
    """A request that came in.

    Attributes:
        method: The HTTP method.
        path: Its path, as it was sent.
        headers: In lower case.
        body: Parsed JSON; None where there was none.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: Any = None


class TapeRestServer:
    """The server.

    Args:
        library: Where the files are.
        root: The folder that the library's files are in, as clients name it.
        dialect: In what it is like which server in use.
        tokens: Bearer tokens that are let in; empty lets everybody in.
        sitename: What discovery calls it.

    Attributes:
        app: The ASGI application.
        library: As given.
        dialect: As given; may be changed.
        tokens: As given; may be changed.
        forbidden: Names of files that nobody may read or recall.
        requests: The stage requests.
        received: The requests that came in, in order.
    """

    def __init__(
        self,
        library: TapeBackend,
        *,
        root: str = "/",
        dialect: Dialect | None = None,
        tokens: Sequence[str] = (),
        sitename: str = "test-site",
    ) -> None:
        self.library = library
        self.dialect = dialect or Dialect()
        self.tokens = set(tokens)
        self.forbidden: set[str] = set()
        self.requests = StageRequests(library)
        self.received: list[Received] = []
        self._root = "/" + "".join(f"{step}/" for step in root.split("/") if step)
        self._sitename = sitename
        self.app: ASGIApp = Starlette(
            routes=self._routes(), middleware=[Middleware(_TokenCheck, server=self)]
        )

    def _routes(self) -> list[Route]:
        return [
            Route(DISCOVERY, self._answered(self._discover), methods=["GET"]),
            Route(f"{API}/stage", self._answered(self._stage), methods=["POST"]),
            Route(f"{API}/stage/{{id}}", self._answered(self._look), methods=["GET"]),
            Route(f"{API}/stage/{{id}}", self._answered(self._delete), methods=["DELETE"]),
            Route(f"{API}/stage/{{id}}/cancel", self._answered(self._cancel), methods=["POST"]),
            Route(f"{API}/release/{{id}}", self._answered(self._release), methods=["POST"]),
            Route(f"{API}/archiveinfo", self._answered(self._archiveinfo), methods=["POST"]),
            Route("/{path:path}", self._answered(self._read), methods=["GET", "HEAD"]),
        ]

    def _answered(
        self, endpoint: Callable[[Request, Any], Response]
    ) -> Callable[[Request], Awaitable[Response]]:
        """Note the request, parse its body, and answer problems as RFC 7807 says."""

        async def answer(request: Request) -> Response:
            try:
                content = await request.body()
                body = _parsed(content) if content else None
                raw_path = request.scope["raw_path"].decode("ascii")
                self.received.append(Received(request.method, raw_path, dict(request.headers), body))
                return endpoint(request, body)
            except UnknownRequest:
                problem = Problem(404, "Not found", "there is no such stage request")
            except NotOfRequest as names:
                problem = Problem(400, "File missing from stage request", f"not of this request: {names}")
            except Problem as raised:
                problem = raised
            return problem_response(problem)

        return answer

    def _discover(self, request: Request, _: object) -> Response:
        endpoint = {"uri": str(request.base_url).rstrip("/") + API, "version": "v1", "metadata": {}}
        return JSONResponse(
            {
                "sitename": self._sitename,
                "description": "a tape library to test with",
                "endpoints": [endpoint],
            }
        )

    def _stage(self, request: Request, body: object) -> Response:
        lifetimes: dict[str, float] = {}
        for entry in self._list(body, "files"):
            if not isinstance(entry, dict):
                raise Problem(400, "Bad request", "a file is no object")
            self._refuse_unknown(entry, {"path", "diskLifetime", "targetedMetadata"})
            lifetimes[self._name(entry.get("path"))] = _seconds(entry.get("diskLifetime"))
        if not lifetimes:
            raise Problem(400, "Bad request", "request contains no files")
        if self.forbidden & lifetimes.keys():
            raise Problem(403, "Forbidden", "the token has no right to stage one of the files")
        made = self.requests.make(lifetimes)
        location = f"{str(request.base_url).rstrip('/')}{API}/stage/{made.id}"
        return JSONResponse({"requestId": made.id}, 201, {"Location": location})

    def _look(self, request: Request, _: object) -> Response:
        seen = self.requests.look(request.path_params["id"])
        files = [self._progress(file) for file in seen.files.values()]
        body: dict[str, object] = {"id": seen.id, "createdAt": int(seen.created_at), "files": files}
        started = [file.started_at for file in seen.files.values() if file.started_at is not None]
        finished = [file.finished_at for file in seen.files.values() if file.finished_at is not None]
        if started:
            body["startedAt"] = int(min(started))
        if len(finished) == len(files):
            body["completedAt"] = int(max(finished))
        return JSONResponse(body)

    def _progress(self, file: StagedFile) -> dict[str, object]:
        entry: dict[str, object] = {"path": self._root + file.name}
        if self.dialect.progress == "state":
            entry["state"] = file.state
        else:
            seen = self.library.file(file.name)
            entry["onDisk"] = seen is not None and seen.locality in ON_DISK
        times = {"startedAt": file.started_at, "finishedAt": file.finished_at}
        entry |= {key: int(time) for key, time in times.items() if time is not None}
        return entry | ({"error": file.error} if file.error else {})

    def _cancel(self, request: Request, body: object) -> Response:
        self.requests.cancel(request.path_params["id"], self._names(body))
        return Response()

    def _delete(self, request: Request, _: object) -> Response:
        self.requests.delete(request.path_params["id"])
        return Response()

    def _release(self, request: Request, body: object) -> Response:
        self.requests.release(request.path_params["id"], self._names(body))
        return Response()

    def _archiveinfo(self, _: Request, body: object) -> Response:
        paths = self._list(body, "paths")[: self.dialect.archiveinfo_limit]
        return JSONResponse([self._info(path) for path in paths])

    def _info(self, path: object) -> dict[str, object]:
        try:
            name = self._name(path)
        except Problem as problem:
            return {"path": path, "error": problem.detail}
        file = self.library.file(name)
        if file is None and self.dialect.missing == "NONE":
            return {"path": path, "locality": "NONE"}
        if file is None or name in self.forbidden:
            return {"path": path, "error": self._not_given(file)}
        return {"path": path, "locality": file.locality}

    def _not_given(self, file: TapeFile | None) -> str:
        if self.dialect.unsure:
            return "USER ERROR: file does not exist or is not accessible to you"
        return "no such file or directory" if file is None else "permission denied"

    def _read(self, request: Request, _: object) -> Response:
        name = self._name("/" + request.path_params["path"])
        if name in self.forbidden:
            raise Problem(403, "Forbidden")
        return webdav.answer(request, self.library, name, self.dialect.on_tape)

    def _names(self, body: object) -> list[str]:
        return [self._name(path) for path in self._list(body, "paths")]

    def _list(self, body: object, key: str) -> list[Any]:
        if not isinstance(body, dict) or not isinstance(body.get(key), list):
            raise Problem(400, "Bad request", f"request has no list of {key}")
        self._refuse_unknown(body, {key})
        return list(body[key])

    def _refuse_unknown(self, body: dict[str, object], known: set[str]) -> None:
        unknown = body.keys() - known
        if self.dialect.strict_keys and unknown:
            raise Problem(400, "Bad request", f"unrecognized payload element(s): {sorted(unknown)}")

    def _name(self, path: object) -> str:
        """Give the library's name of a file that a client names by its path."""
        if not isinstance(path, str) or not path.startswith("/") or "\0" in path:
            raise Problem(400, "Bad request", "a path must be absolute")
        steps = [step for step in path.split("/") if step not in {"", "."}]
        clean = "/" + "/".join(steps)
        if ".." in steps or not clean.startswith(self._root):
            raise Problem(400, "Bad request", "a path must lie below the root")
        return clean[len(self._root) :]


class _TokenCheck:
    """Answers 401 to who has no token, except for discovery."""

    def __init__(self, app: ASGIApp, server: TapeRestServer) -> None:
        self._app = app
        self._server = server

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._server.tokens and scope["path"] != DISCOVERY:
            kind, _, token = Request(scope).headers.get("Authorization", "").partition(" ")
            if kind.lower() != "bearer" or token not in self._server.tokens:
                denied = problem_response(Problem(401, "Unauthorized", "a valid token is needed"))
                denied.headers["WWW-Authenticate"] = "Bearer"
                await denied(scope, receive, send)
                return
        await self._app(scope, receive, send)


def problem_response(problem: Problem) -> Response:
    """Give the answer that a problem is told by."""
    body = {"type": "about:blank", "title": problem.title, "status": problem.status, "detail": problem.detail}
    return JSONResponse(body, problem.status, media_type="application/problem+json")


def _parsed(content: bytes) -> object:
    try:
        return json.loads(content)
    except ValueError:
        raise Problem(400, "Bad request", "the body is no JSON") from None


def _seconds(duration: object) -> float:
    """Give the seconds of an ISO 8601 duration of days, hours, minutes and seconds."""
    if duration is None:
        return DEFAULT_LIFETIME
    parts = _DURATION.fullmatch(duration) if isinstance(duration, str) else None
    if parts is None or not any(parts.groups()):
        raise Problem(400, "Bad request", "diskLifetime is no ISO 8601 duration")
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)
