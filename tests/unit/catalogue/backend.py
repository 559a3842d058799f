"""A scripted SciCat behind httpx2's transport seam: answers by method and path, and keeps what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx2

from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.catalogue.settings import ScicatSettings

URL = "https://scicat.example.org"
PASSWORD = "very-secret-password"
LOGIN = "POST /api/v3/auth/login"

Reply = httpx2.Response | Exception | Callable[[httpx2.Request], httpx2.Response]


@dataclass
class Asked:
    line: str
    headers: Mapping[str, str]
    body: Any
    query: Mapping[str, str]


@dataclass
class Backend:
    """Gives each route's replies in turn, and the last of them for ever."""

    replies: dict[str, list[Reply]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    logins: int = 0

    def on(self, line: str, *replies: Reply) -> Backend:
        self.replies[line] = list(replies)
        return self

    def lines(self) -> list[str]:
        """What was asked, without logins."""
        return [one.line for one in self.asked if one.line != LOGIN]

    def bodies(self, line: str) -> list[Any]:
        return [one.body for one in self.asked if one.line == line]

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        line = f"{request.method} {request.url.raw_path.decode().partition('?')[0]}"
        content = request.read()
        body = json.loads(content) if content else None
        self.asked.append(Asked(line, dict(request.headers), body, dict(request.url.params)))
        if line == LOGIN and LOGIN not in self.replies:
            self.logins += 1
            return login_answer(f"token-{self.logins}")
        replies = self.replies.get(line)
        if replies is None:
            return failing(404, f"Cannot {line}")
        reply = replies.pop(0) if len(replies) > 1 else replies[0]
        if isinstance(reply, Exception):
            raise reply
        return reply if isinstance(reply, httpx2.Response) else reply(request)

    def client(
        self,
        clock: Callable[[], float] = lambda: 0.0,
        monotonic: Callable[[], float] = lambda: 0.0,
        longest_job: int | None = None,
        **settings: Any,
    ) -> Scicat:
        account = {} if "token" in settings else {"username": "archiveManager", "password": PASSWORD}
        config = ScicatSettings.model_validate({"url": URL, **account, **settings})
        transport = httpx2.MockTransport(self)
        return Scicat(config, clock=clock, transport=transport, longest_job=longest_job, monotonic=monotonic)


def login_answer(token: str, **fields: Any) -> httpx2.Response:
    """As recorded from SciCat: 201."""
    user = {"username": "archiveManager"}
    return httpx2.Response(
        201, json={"access_token": token, "id": token, "expires_in": 3600, "user": user, **fields}
    )


def ok(body: object, status: int = 200) -> httpx2.Response:
    return httpx2.Response(status, json=body)


def failing(status: int, message: object) -> httpx2.Response:
    """The first of SciCat's two error shapes."""
    return httpx2.Response(status, json={"message": message, "error": "x", "statusCode": status})


def failing_otherwise(status: int, message: str) -> httpx2.Response:
    """The second of SciCat's two error shapes."""
    return httpx2.Response(status, json={"status": status, "message": message})


def forbidden() -> httpx2.Response:
    return failing(403, "Forbidden resource")


def crash() -> httpx2.Response:
    """SciCat's 500 is a bare JSON string."""
    return httpx2.Response(500, json="Internal server error")


def breaking_off(content: Iterable[bytes], error: Exception) -> httpx2.Response:
    def pieces() -> Iterable[bytes]:
        yield from content
        raise error

    return httpx2.Response(200, content=pieces())
