"""Fetch commands that wait for a tape, or take their time to write a file: who reads waits with them, and not for ever."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.errors import SourceReadFailed, SourceStalled
from scicat_retriever.pipeline.transfer.reading import Opening
from scicat_retriever.storage.lts.command.fetched_archive import FetchPatience
from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.command.store import CommandStore

TARGETS = {
    "stdout": {"fetch": "SCRIPT"},
    "fifo": {"fetch": "{ SCRIPT; } > $2"},
    "file": {"fetch": "exec 3>&1; { SCRIPT; } > $2", "fetch_target": "file"},
}


def fetching(tmp_path: Path, script: str, target: str, **settings: object) -> CommandStore:
    """Make a store whose fetch command is a shell script that writes to its stdout, a named pipe or a file."""
    into = TARGETS[target]
    arguments = ["{archive_id}", *([] if target == "stdout" else ["{target}"])]
    commands = {
        "state": ["/bin/echo", "ONLINE", "{archive_id}"],
        "recall": ["true", "{archive_id}"],
        **into,
        "fetch": ["/bin/sh", "-c", into["fetch"].replace("SCRIPT", script), "sh", *arguments],
    }
    everything = {"kind": "command", "words": {"online": "ONLINE"}, "spool": tmp_path, **commands, **settings}
    return CommandStore(CommandStoreSettings.model_validate(everything))


def test_a_fetch_that_writes_its_file_says_so_to_who_waits_for_it(tmp_path: Path) -> None:
    clock = [0.0]
    patience = FetchPatience(None, tmp_path, lambda: clock[0])
    for size in (5, 1, 9):
        with (tmp_path / "archive").open("ab") as file:
            file.write(bytes(size))
        patience.tell_life()  # not at every look
        clock[0] += 1
        with pytest.raises(BlockingIOError):
            patience.tell_life()
    clock[0] += 1000
    patience.tell_life()


@pytest.mark.parametrize("folder", [True, False])
def test_a_fetch_may_wait_for_its_tape_as_long_as_the_settings_say_and_no_longer(
    tmp_path: Path, folder: bool
) -> None:
    clock = [0.0]
    patience = FetchPatience(3600, tmp_path if folder else None, lambda: clock[0])
    (tmp_path / "archive").touch()  # as some do before they wait
    for clock[0] in (1, 2000, 3600):
        with pytest.raises(BlockingIOError):
            patience.tell_life()
    clock[0] = 3601
    with pytest.raises(TimeoutError, match="gave nothing within 3600 s"):
        patience.tell_life()


@pytest.mark.parametrize("folder", [True, False])
def test_a_fetch_that_has_begun_is_not_waited_for_as_for_a_tape(tmp_path: Path, folder: bool) -> None:
    clock = [0.0]
    patience = FetchPatience(3600, tmp_path if folder else None, lambda: clock[0])
    patience.note_output()
    (tmp_path / "archive").write_bytes(b"first")
    clock[0] = 1
    if folder:
        with pytest.raises(BlockingIOError):
            patience.tell_life()
    clock[0] = 2
    patience.tell_life()


def test_what_a_fetch_into_a_file_prints_is_not_taken_for_its_beginning(tmp_path: Path) -> None:
    clock = [0.0]
    patience = FetchPatience(3600, tmp_path, lambda: clock[0])
    patience.note_output()
    clock[0] = 2
    with pytest.raises(BlockingIOError):
        patience.tell_life()


ARCHIVE = f"head -c {20 * 512} /dev/zero"
SLOW = "for i in 1 2 3 4 5 6 7 8 9 10; do head -c 1024 /dev/zero; sleep 0.4; SAY; done"
STALL = 3.0
"""So long that what is written or said twice a second is not late on a busy machine."""


def copied(store: CommandStore, partial: Path) -> int:
    """Copy an archive as the service does; gives its bytes."""
    with closing(Opening(lambda: store.open(ArchiveId("a.tar")))) as source:
        return copy_and_hash(
            source,
            partial,
            algorithm=ChecksumAlgorithm.SHA256,
            on_member=lambda _: None,
            stall_timeout=STALL,
        ).archive_bytes


@pytest.mark.parametrize("say", [":", "echo Retrieving >&3"], ids=["silent", "printing"])
def test_a_file_that_is_written_for_longer_than_a_read_may_stall_is_copied(tmp_path: Path, say: str) -> None:
    store = fetching(tmp_path, SLOW.replace("SAY", say), "file")
    assert copied(store, tmp_path / "partial") == 20 * 512


@pytest.mark.parametrize("target", TARGETS)
def test_a_fetch_that_waits_for_its_tape_for_longer_than_a_read_may_stall_is_copied_if_it_may(
    tmp_path: Path, target: str
) -> None:
    patient = fetching(tmp_path, f"sleep {STALL + 1}; {ARCHIVE}", target, first_byte_timeout=60)
    assert copied(patient, tmp_path / "partial") == 20 * 512


def test_a_fetch_that_gives_nothing_is_given_up_as_any_read(tmp_path: Path) -> None:
    with pytest.raises(SourceStalled):
        copied(fetching(tmp_path, "sleep 60", "stdout"), tmp_path / "partial")


@pytest.mark.parametrize("target", TARGETS)
def test_a_fetch_that_waits_for_too_long_is_given_up_and_the_setting_named(
    tmp_path: Path, target: str
) -> None:
    with pytest.raises(SourceReadFailed, match="first_byte_timeout"):
        copied(fetching(tmp_path, "sleep 60", target, first_byte_timeout=0.5), tmp_path / "partial")


def test_why_a_fetch_failed_is_told_with_the_copy(tmp_path: Path) -> None:
    with pytest.raises(SourceReadFailed, match="exit code 12: the tape is torn"):
        copied(fetching(tmp_path, "echo the tape is torn >&2; exit 12", "stdout"), tmp_path / "partial")
