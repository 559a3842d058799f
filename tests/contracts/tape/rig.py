"""The client of the Tape REST API against the server of `testing`, with a tape library behind it that is moved by hand."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
from scicat_retriever.storage.lts.wlcg.store import WlcgTape
from stand_ins.tape.backend import Locality, Recall, TapeFile
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import Dialect, Received, TapeRestServer
from stand_ins.tape.serving import Tls, served
from tests.contracts.test_long_term_store import StoreRig

ROOT = "/archive/raw"
TOKEN = "a-token-of-the-grid"


class WlcgRig(StoreRig):
    """A server, its library, and a store that talks to it."""

    def __init__(
        self,
        dialect: Dialect | None = None,
        tls: Tls | None = None,
        tokens: tuple[str, ...] = (TOKEN,),
        **settings: Any,
    ) -> None:
        super().__init__()
        self.library = TapeLibrary()
        self.server = TapeRestServer(self.library, root=ROOT, dialect=dialect, tokens=tokens)
        self._stack = ExitStack()
        self.url = self._stack.enter_context(served(self.server.app, tls))
        login = {"token": TOKEN} if tokens and "token_file" not in settings else {}
        self.settings = WlcgTapeSettings.model_validate(
            {"kind": "wlcg_tape", "url": self.url, "root_path": ROOT, "answer_timeout": 20} | login | settings
        )
        self.store = WlcgTape(self.settings)

    def close(self) -> None:
        self._stack.close()

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        self.library.store(name(archive_id), content, tape="VB0001" if on_tape else "")

    def deliver(self, archive_id: str) -> None:
        while self.file(archive_id).locality is Locality.TAPE:
            self._go_on()

    def forbid(self, archive_id: str) -> None:
        self.server.forbidden.add(name(archive_id))

    def go_away(self) -> None:
        self._stack.close()

    def lose_for_good(self, archive_id: str) -> None:
        self.library.lose(name(archive_id))

    def fail_recall(self, archive_id: str, reason: str) -> None:
        self.library.fail(name(archive_id), 1, reason)
        while self.file(archive_id).recall is not Recall.FAILED:
            self._go_on()

    def file(self, archive_id: str) -> TapeFile:
        found = self.library.file(name(archive_id))
        assert found is not None
        return found

    def received(self, method: str, path: str) -> list[Received]:
        """Give the requests of a method whose path begins so, below the API."""
        return [
            each
            for each in self.server.received
            if each.method == method and each.path.startswith(f"/api/v1{path}")
        ]

    def _go_on(self) -> None:
        due = self.library.next_event()
        assert due is not None, "the library has nothing more to do"
        self.library.advance(due)


def name(archive_id: str) -> str:
    """Give the name that a file system would make of an archiveId."""
    return "/".join(step for step in archive_id.split("/") if step)
