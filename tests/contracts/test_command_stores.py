"""The stores that run commands keep the promises of every long-term store."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.command.store import CommandStore
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from scicat_retriever.storage.lts.programs.tape_positions import TapeCommand, with_tape_positions
from tests.contracts import hsm_command
from tests.contracts.test_long_term_store import (
    InMemoryRig,
    LongTermStoreContract,
    PosixRig,
    StoreRig,
    as_ordinary_user,
    wait_for,
)

HSM = [sys.executable, "-I", "-S", hsm_command.__file__]
WORDS = {
    "unreadable": "FORBIDDEN",
    "missing": "MISSING",
    "lost": "LOST",
    "recalling": "RECALLING",
    "offline": r"OFFLINE size=(?P<size>\d+)",
    "online": r"ONLINE size=(?P<size>\d+)",
    "exit_codes": {
        hsm_command.MISSING: "missing",
        hsm_command.FORBIDDEN: "unreadable",
        hsm_command.AWAY: "unavailable",
    },
}


def one_by_one(folder: Path) -> dict[str, object]:
    """A storage manager that is asked about each archive, and whose recall ends when the tape delivers."""
    commands = {
        verb: [*HSM, str(folder), verb, "--", "{archive_id}"] for verb in ("state", "recall", "fetch")
    }
    return {"kind": "command", "words": WORDS, **commands}


def by_lists(folder: Path) -> dict[str, object]:
    """A storage manager that takes lists, only notes recalls, knows its tapes, and fetches into a pipe."""
    lists = {"state": "states", "recall": "recalls", "release": "releases", "place": "places"}
    return {
        "kind": "command",
        "words": WORDS,
        **{key: [*HSM, str(folder), verb, "{list_file}"] for key, verb in lists.items()},
        "fetch": [*HSM, str(folder), "fetch", "--", "{archive_id}", "{target}"],
    }


class CommandRig(StoreRig):
    def __init__(self, folder: Path, settings: dict[str, object]) -> None:
        super().__init__()
        self.records = hsm_command.Records(str(folder))
        self.store: LongTermStore = CommandStore(CommandStoreSettings.model_validate(settings))

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        Path(self.records.content(archive_id)).write_bytes(content)
        self.records.set(archive_id, state="OFFLINE" if on_tape else "ONLINE", size=len(content))

    def deliver(self, archive_id: str) -> None:
        self.records.set(archive_id, state="ONLINE")

    def forbid(self, archive_id: str) -> None:
        self.records.set(archive_id, forbidden=True)

    def go_away(self) -> None:
        self.records.mark("away")

    def lose_for_good(self, archive_id: str) -> None:
        self.records.set(archive_id, state="LOST", reason="the tape is torn")

    def place(self, archive_id: str, tape: str, position: int) -> None:
        self.records.set(archive_id, tape=tape, position=position)


class WaitingCommandRig(CommandRig):
    def fail_recall(self, archive_id: str, reason: str) -> None:
        wait_for(lambda: (self.records.get(archive_id) or {}).get("waiting") == "1")
        self.records.set(archive_id, failure=reason)


class TestCommandStoreOneByOne(LongTermStoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> Iterator[StoreRig]:
        yield WaitingCommandRig(tmp_path, one_by_one(tmp_path))
        (tmp_path / "closed").touch()


class TestCommandStoreByLists(LongTermStoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> StoreRig:
        return CommandRig(tmp_path, by_lists(tmp_path))


class HsmShareRig(PosixRig):
    """A share whose HSM keeps the blocks of what is on tape: its own word is all that tells."""

    def __init__(self, root: Path, programs: Path) -> None:
        super().__init__(root)
        self.words = programs / "words"
        state, recall = programs / "hsm-state", programs / "hsm-recall"
        state.write_text('#!/bin/sh\nprintf \'%s: \' "$2"; cat "$1$2"\n')
        recall.write_text(
            '#!/bin/sh\nwhile IFS= read -r path; do word=$1$path; [ "$(cat "$word")" = OFFLINE ] || continue\n'
            'printf RECALLING > "$word.new"; mv "$word.new" "$word"; done < "$2"\n'
        )
        for program in (state, recall):
            program.chmod(0o755)
        words = {word: f"^: {word.upper()}$" for word in ("online", "offline", "recalling", "lost")}
        self.store = PosixShare(
            PosixShareSettings.model_validate(
                {
                    "root": root,
                    "probe": {
                        "kind": "command",
                        "command": [str(state), str(self.words), "{path}"],
                        "words": words,
                    },
                    "recall_command": [str(recall), str(self.words), "{paths_file}"],
                }
            )
        )

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        super().put(archive_id, content)
        self._say(archive_id, "OFFLINE" if on_tape else "ONLINE")

    def deliver(self, archive_id: str) -> None:
        wait_for(
            lambda: self._word(archive_id).read_text() != "OFFLINE"
        )  # or the recall would be noted afterwards
        self._say(archive_id, "ONLINE")

    def lose_for_good(self, archive_id: str) -> None:
        self._say(archive_id, "LOST")

    def _word(self, archive_id: str) -> Path:
        return Path(f"{self.words}{self.root.resolve() / archive_id}")

    def _say(self, archive_id: str, word: str) -> None:
        path = self._word(archive_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(path.name + ".said").write_text(word)
        path.with_name(path.name + ".said").replace(path)


class TestPosixShareWithItsHsmsWord(LongTermStoreContract):
    @pytest.fixture
    def rig(self) -> Iterator[StoreRig]:
        # A recall command may still be writing when the test ends.
        folders = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        with folders as folder, as_ordinary_user(Path(folder)):
            root = Path(folder) / "lts"
            root.mkdir()
            yield HsmShareRig(root, Path(folder))


class TapePositionsRig(InMemoryRig):
    """A store in memory whose tapes a command knows."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.known = CommandRig(folder, one_by_one(folder))
        command = (*HSM, str(folder), "place", "--", "{archive_id}")
        self.store = with_tape_positions(self.tape, TapeCommand(kind="command", command=command))

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        super().put(archive_id, content, on_tape=on_tape)
        self.known.put(archive_id, content, on_tape=on_tape)

    def place(self, archive_id: str, tape: str, position: int) -> None:
        self.known.place(archive_id, tape, position)


class TestTapePositions(LongTermStoreContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> StoreRig:
        return TapePositionsRig(tmp_path)
