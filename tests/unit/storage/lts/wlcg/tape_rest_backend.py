"""A Tape REST server that answers by a table, for tests without a network."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import httpx2

from scicat_retriever.domain.errors import RecallError
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, RecallState
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
from scicat_retriever.storage.lts.wlcg.store import WlcgTape

TOKEN = "the-secret-token"
API = "https://tape.example.org/api/v1"
A, B = ArchiveId("a.tar"), ArchiveId("b.tar")


class Server:
    """Answers by a table of method and path; keeps what it was asked."""

    def __init__(self, **answers: Callable[[httpx2.Request], httpx2.Response] | httpx2.Response) -> None:
        self.answers = answers
        self.asked: list[httpx2.Request] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request)
        last = request.url.path.split("/")[3] if request.url.path.startswith("/api/v1/") else "file"
        answer = self.answers.get(f"{request.method}_{last}", httpx2.Response(404, text="nothing here"))
        return streamed(answer if isinstance(answer, httpx2.Response) else answer(request))

    def store(self, now: Callable[[], float] = time.time, **settings: Any) -> WlcgTape:
        keys = {
            "kind": "wlcg_tape",
            "url": "https://door.example.org",
            "api_url": API,
            "token": TOKEN,
            "root_path": "/raw",
            **settings,
        }
        return WlcgTape(WlcgTapeSettings.model_validate(keys), httpx2.MockTransport(self), now)

    def paths_asked(self) -> list[list[str]]:
        bodies = [json.loads(request.content) for request in self.asked if request.content]
        return [body.get("paths") or [file["path"] for file in body["files"]] for body in bodies]


def streamed(answer: httpx2.Response) -> httpx2.Response:
    """Give an answer whose body is still to be read, as one from the network is."""
    if not answer.is_closed:
        return answer
    return httpx2.Response(
        answer.status_code, headers=answer.headers, content=(part for part in [answer.content])
    )


def archiveinfo(**words: str) -> Callable[[httpx2.Request], httpx2.Response]:
    def answer(request: httpx2.Request) -> httpx2.Response:
        paths = json.loads(request.content)["paths"]
        named = {f"/raw/{name}.tar": word for name, word in words.items()}
        return httpx2.Response(200, json=[{"path": path, "locality": named[path]} for path in paths])

    return answer


def word(store: WlcgTape, archive_id: ArchiveId = A, request: str = "") -> RecallState | RecallError:
    return store.recall_states([AskedArchive(archive_id, request)])[archive_id]


def state(store: WlcgTape, archive_id: ArchiveId = A, request: str = "") -> RecallState:
    answer = word(store, archive_id, request)
    assert isinstance(answer, RecallState)
    return answer
