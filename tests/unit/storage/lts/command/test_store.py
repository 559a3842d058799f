"""The store of commands, with small scripts in place of an archive system."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from structlog.testing import capture_logs

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    ArchiveLost,
    DatablockMissing,
    NotYetOnline,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState, TapePosition
from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.command.store import CommandStore
from tests.contracts.test_long_term_store import read_all, recall_state, request_recall, wait_for
from tests.unit.storage.machine_troubles import hung_program

A = ArchiveId("a.tar")
HOSTILE = [
    "$(touch pwned)",
    "`touch pwned`",
    "a;touch pwned",
    "a|b",
    "a&b",
    "'",
    '"',
    "*",
    "~",
    "a  b",
    "$HOME",
    "\\",
]
Make = Callable[..., CommandStore]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Makes a store whose commands are shell scripts, which find the archiveId as `$1`, then the target."""

    def made(now: Callable[[], float] = time.monotonic, **settings: Any) -> CommandStore:
        scripts = {"state": "echo ONLINE", "recall": "exit 0", "fetch": "printf content"}
        commands: dict[str, object] = {}
        for verb in ("state", "recall", "fetch", "release", "place"):
            script = settings.pop(verb, scripts.get(verb))
            if script is not None:
                arguments = ["{archive_id}", *(["{target}"] if verb == "fetch" and "$2" in script else [])]
                commands[verb] = ["/bin/sh", "-c", f"cd '{tmp_path}'; {script}", "sh", *arguments]
        words = {word: f"^{word.upper()}" for word in ("online", "offline", "recalling", "missing", "lost")}
        everything = {"kind": "command", "words": words, "spool": tmp_path, **commands, **settings}
        return CommandStore(CommandStoreSettings.model_validate(everything), now)

    return made


def changed(store: CommandStore, **settings: Any) -> CommandStore:
    """Makes a store with some of another one's settings replaced."""
    return CommandStore(
        CommandStoreSettings.model_validate({**store._settings.model_dump(exclude_unset=True), **settings})
    )


# What commands are given


@pytest.mark.parametrize("archive_id", HOSTILE)
def test_an_archive_id_is_never_more_than_one_argument(make: Make, tmp_path: Path, archive_id: str) -> None:
    note = 'printf "%s\\n" "$#" "$1" >> seen'
    store = make(state=f"{note}; echo OFFLINE", recall=note)
    request_recall(store, archive_id)
    wait_for(lambda: (tmp_path / "seen").read_text() == f"1\n{archive_id}\n" * 2)
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize("archive_id", ["-rf", "--help", "a\nb", "a\x1b[2Jb", "\0", "x" * 5000, "\ud800"])
def test_an_archive_id_that_might_be_taken_for_something_else_never_reaches_a_command(
    make: Make, tmp_path: Path, archive_id: str
) -> None:
    store = make(state="touch ran; echo ONLINE", fetch="touch ran", release="touch ran", place="touch ran")
    with pytest.raises(ArchiveIdUnsafe):
        recall_state(store, archive_id)
    with pytest.raises(ArchiveIdUnsafe):
        request_recall(store, archive_id)
    with pytest.raises(ArchiveIdUnsafe):
        read_all(store, archive_id)
    store.let_go([AskedArchive(ArchiveId(archive_id))])
    assert store.tape_positions([ArchiveId(archive_id)]) == {}
    assert not (tmp_path / "ran").exists()


def test_only_archive_ids_that_are_allowed_reach_a_command(make: Make) -> None:
    store = make(archive_ids=r"[A-Za-z0-9._/]+")
    assert recall_state(store, "run_7/a.tar").locality is Locality.ONLINE
    with pytest.raises(ArchiveIdUnsafe, match="archive_ids"):
        recall_state(store, "a.tar; delete everything")


def test_a_path_is_made_of_the_root_and_the_template(tmp_path: Path) -> None:
    settings = {
        "kind": "command",
        "state": ["/bin/echo", "{path}"],
        "recall": ["true", "{path}"],
        "fetch": ["/bin/echo", "-n", "{path}"],
        "words": {"online": "^$"},
        "root": "/hpss/archive",
        "catalogued_root": "/old",
        "path_template": "{archive_id[0:2]}/{archive_id}.tar",
    }
    store = CommandStore(CommandStoreSettings.model_validate(settings))
    assert read_all(store, "abc") == b"/hpss/archive/ab/abc.tar"
    assert read_all(store, "/old/x/y.tar") == b"/hpss/archive/x/y.tar"


def test_a_list_holds_an_archive_id_a_line_and_is_removed(tmp_path: Path) -> None:
    settings = {
        "kind": "command",
        "state": [
            "/bin/sh",
            "-c",
            'cp "$1" "$2"; sed "s/$/\\tON/" "$1"',
            "sh",
            "{list_file}",
            str(tmp_path / "seen"),
        ],
        "recall": ["true", "{list_file}"],
        "fetch": ["true", "{archive_id}"],
        "words": {"online": "^ON$"},
        "spool": tmp_path / "spool",
    }
    (tmp_path / "spool").mkdir()
    store = CommandStore(CommandStoreSettings.model_validate(settings))
    asked = [ArchiveId("b c"), ArchiveId("a"), ArchiveId("-rf"), ArchiveId(os.fsdecode(b"caf\xe9"))]
    answers = store.recall_states([AskedArchive(each) for each in asked])
    assert answers == {each: RecallState(Locality.ONLINE, None, "ON") for each in asked}
    assert (tmp_path / "seen").read_bytes() == b"b c\na\n-rf\ncaf\xe9\n"
    assert list((tmp_path / "spool").iterdir()) == []


def test_a_line_break_in_an_archive_id_never_makes_two_lines(make: Make, tmp_path: Path) -> None:
    note = ["/bin/sh", "-c", f"cat \"$1\" >> '{tmp_path}/seen'", "sh", "{list_file}"]
    store = make(archive_ids="(?s).+", state="echo OFFLINE")
    settings = CommandStoreSettings.model_validate({**store._settings.model_dump(), "recall": note})
    with pytest.raises(ArchiveIdUnsafe, match="line break"):
        request_recall(CommandStore(settings), "a.tar\nb.tar")
    assert not (tmp_path / "seen").exists()


def test_a_tab_in_an_archive_id_never_makes_an_answer_of_another_s_line(make: Make) -> None:
    state = ["/bin/sh", "-c", 'sed "s/$/\\tOFFLINE/" "$1"', "sh", "{list_file}"]
    store = changed(make(archive_ids="(?s).+"), state=state)
    answers = store.recall_states([AskedArchive(A), AskedArchive(ArchiveId(f"{A}\tONLINE"))])
    assert getattr(answers[A], "locality", None) is Locality.OFFLINE
    assert isinstance(answers[ArchiveId(f"{A}\tONLINE")], ArchiveIdUnsafe)


# What commands answer


@pytest.mark.parametrize(
    "state", ["echo the tape drive is cleaned; exit 9", "exit 75", "echo neither"], ids=str
)
@pytest.mark.parametrize("many", [False, True])
def test_what_one_archive_alone_is_answered_is_no_word_on_the_whole_store(
    make: Make, state: str, many: bool
) -> None:
    words = {"online": "ONLINE", "exit_codes": {75: "unavailable"}}
    store = make(state=state, words=words)
    if many:
        store = changed(store, state=["/bin/sh", "-c", state, "sh", "{list_file}"])
    assert isinstance(store.recall_states([AskedArchive(A)])[A], StoreUnavailable)
    assert isinstance(store.request_recalls([A])[A], StoreUnavailable)
    with pytest.raises(StoreUnavailable):
        store.recall_states([AskedArchive(A), AskedArchive(ArchiveId("b"))])


@pytest.mark.parametrize("field", ["{archive_id}", "{list_file}"])
def test_a_state_program_that_is_not_there_is_a_store_that_is_away(make: Make, field: str) -> None:
    store = changed(make(), state=["/not/there", field])
    with pytest.raises(StoreUnavailable, match="cannot be started"):
        store.recall_states([AskedArchive(A)])


@pytest.mark.parametrize("archive_id", ["LOST.tar", "x/LOST", "a.tar\u2028LOST"])
@pytest.mark.parametrize("said", ["$1: ONLINE", "${1##*/} ONLINE"])
def test_the_name_of_an_archive_is_never_taken_for_its_state(make: Make, archive_id: str, said: str) -> None:
    words = {"lost": "LOST", "online": "ONLINE"}
    assert recall_state(make(state=f'echo "{said}"', words=words), archive_id).locality is Locality.ONLINE


def test_the_name_of_an_archive_is_taken_out_of_a_list_s_words_too(make: Make) -> None:
    state = ["/bin/sh", "-c", r'''sed 's/.*/&\t& is ONLINE/' "$1"''', "sh", "{list_file}"]
    store = changed(make(words={"lost": "LOST", "online": "ONLINE"}), state=state)
    assert recall_state(store, "LOST.tar").locality is Locality.ONLINE


def test_a_name_within_another_word_is_left_there(make: Make) -> None:
    state = recall_state(make(state="echo 1: ONLINE 1012", words={"online": r"ONLINE (?P<size>\d+)"}), "1")
    assert state.size == 1012


def test_a_long_list_of_states_is_read_to_its_end(make: Make) -> None:
    state = ["/bin/sh", "-c", r'''sed 's/.*/&\tONLINE and some more words/' "$1"''', "sh", "{list_file}"]
    asked = [AskedArchive(ArchiveId(f"{number:080}")) for number in range(1000)]
    answers = changed(make(), state=state).recall_states(asked)
    assert {getattr(each, "locality", each) for each in answers.values()} == {Locality.ONLINE}


def test_a_list_command_that_prints_without_end_is_stopped(make: Make) -> None:
    store = changed(make(), state=["/bin/sh", "-c", "exec yes", "sh", "{list_file}"])
    with pytest.raises(StoreUnavailable, match="printed more than"):
        store.recall_states([AskedArchive(A), AskedArchive(ArchiveId("b"))])


def test_a_state_command_that_hangs_is_a_store_that_timed_out(make: Make) -> None:
    begun = time.monotonic()
    with pytest.raises(StoreTimedOut):
        recall_state(make(state="sleep 60", answer_timeout=0.3), A)
    assert time.monotonic() - begun < 10


def test_a_state_command_that_hangs_for_one_archive_keeps_no_other_from_an_answer(make: Make) -> None:
    store = make(state='[ "$1" = bad ] && sleep 60; echo ONLINE', answer_timeout=3)
    answers = store.recall_states([AskedArchive(ArchiveId("bad")), AskedArchive(A)])
    assert isinstance(answers[ArchiveId("bad")], StoreTimedOut)
    assert answers[A] == recall_state(store, A)


@pytest.mark.parametrize("state", ["yes", "echo neither", "echo no licence >&2; exit 9", "kill -9 $$"])
def test_a_state_command_without_a_known_answer_is_a_store_that_is_unavailable(
    make: Make, state: str
) -> None:
    with pytest.raises(StoreUnavailable):
        recall_state(make(state=state), A)


def test_no_more_commands_run_at_once_than_allowed(make: Make, tmp_path: Path) -> None:
    state = "mkdir slot1 2>/dev/null || mkdir slot2 || exit 9; sleep 0.05; rmdir slot2 2>/dev/null || rmdir slot1; echo ONLINE"
    store = make(state=state, answers_at_once=2)
    answers = store.recall_states([AskedArchive(ArchiveId(str(number))) for number in range(10)])
    assert {getattr(answer, "locality", answer) for answer in answers.values()} == {Locality.ONLINE}


def test_a_recall_that_ended_well_goes_on_until_it_is_to_be_asked_for_again(make: Make) -> None:
    clock = [0.0]
    store = make(now=lambda: clock[0], state="echo OFFLINE; : > asked", ask_again_after=100)
    request_recall(store, A)
    wait_for(lambda: not store._recalls.last(A).under_way)
    clock[0] = 99
    assert recall_state(store, A).locality is Locality.RECALLING
    clock[0] = 100
    assert recall_state(store, A).locality is Locality.OFFLINE


def test_a_recall_command_that_hangs_is_killed_and_told(make: Make) -> None:
    store = make(state="echo OFFLINE", recall="sleep 60", recall_timeout=2)
    request_recall(store, A)
    wait_for(lambda: recall_state(store, A).locality is Locality.OFFLINE)
    assert "took longer than 2 s" in recall_state(store, A).reason


def test_a_recall_that_is_under_way_is_not_asked_for_again(make: Make, tmp_path: Path) -> None:
    store = make(state="echo OFFLINE", recall="echo >> asked; while [ ! -e go ]; do sleep 0.02; done")
    for _ in range(5):
        request_recall(store, A)
    wait_for((tmp_path / "asked").exists)
    (tmp_path / "go").touch()
    wait_for(lambda: not store._recalls.last(A).under_way)
    assert (tmp_path / "asked").read_text() == "\n"


def test_release_runs_its_command_for_each(make: Make, tmp_path: Path) -> None:
    make(release='echo "$1" >> released').let_go(
        [AskedArchive(A), AskedArchive(ArchiveId("../b")), AskedArchive(ArchiveId("c"))]
    )
    assert sorted((tmp_path / "released").read_text().split()) == ["a.tar", "c"]


def test_a_release_that_fails_for_one_archive_is_logged_and_the_others_are_released(
    make: Make, tmp_path: Path
) -> None:
    store = make(release='[ "$1" = bad ] && { echo busy >&2; exit 2; }; echo "$1" >> released')
    with capture_logs() as logs:
        store.let_go([AskedArchive(ArchiveId("bad"))])
        store.let_go([AskedArchive(ArchiveId("bad")), AskedArchive(A)])
    assert (tmp_path / "released").read_text().split() == ["a.tar"]
    told = [(each["log_level"], each["archive_id"], "busy" in each["why"]) for each in logs]
    assert told == [("warning", "bad", True)] * 2


def test_a_release_that_fails_for_all_of_several_is_told(make: Make) -> None:
    with pytest.raises(StoreUnavailable, match="no connection"):
        make(release="echo no connection >&2; exit 2").let_go([AskedArchive(A), AskedArchive(ArchiveId("b"))])


@pytest.mark.parametrize("broken", [["/not/there", "{archive_id}"], ["/not/there", "{list_file}"]])
def test_a_release_that_cannot_be_run_at_all_is_told_of_one_archive_too(
    make: Make, broken: list[str]
) -> None:
    with pytest.raises(StoreUnavailable, match="cannot be started"):
        changed(make(), release=broken).let_go([AskedArchive(A)])


def test_recalls_that_still_wait_for_a_slot_are_taken_back_by_release(make: Make, tmp_path: Path) -> None:
    recall = 'echo "$1" >> asked; while [ ! -e go ]; do sleep 0.02; done'
    store = make(state="echo OFFLINE", recall=recall, recall_requests=1)
    a, b, c, d = (ArchiveId(each) for each in "abcd")
    store.request_recalls([a, b, c])
    wait_for(lambda: (tmp_path / "asked").exists() and (tmp_path / "asked").read_text() == "a\n")
    store.let_go([AskedArchive(c), AskedArchive(b), AskedArchive(a)])
    assert recall_state(store, b).locality is Locality.OFFLINE
    store.request_recalls([c, d])
    (tmp_path / "go").touch()
    wait_for(lambda: not store._recalls.last(d).under_way)
    assert (tmp_path / "asked").read_text().split() == ["a", "c", "d"]


def test_a_recall_that_hangs_and_that_nobody_wants_any_more_keeps_no_other_waiting(
    make: Make, tmp_path: Path
) -> None:
    recall = 'echo "$1" >> asked; [ "$1" = other ] || while [ ! -e go ]; do sleep 0.02; done'
    store = make(state="echo OFFLINE", recall=recall, recall_requests=1, recall_timeout=3600)
    hangs, other = ArchiveId("hangs"), ArchiveId("other")
    store.request_recalls([hangs, other])
    wait_for((tmp_path / "asked").exists)
    assert "waits for a slot" in recall_state(store, other).reason
    store.let_go([AskedArchive(hangs)])
    wait_for(lambda: (tmp_path / "asked").read_text().split() == [hangs, other])
    (tmp_path / "go").touch()
    wait_for(lambda: not store._recalls.last(hangs).under_way)


def test_an_archive_that_was_released_is_left_out_of_a_list_that_waits(make: Make, tmp_path: Path) -> None:
    script = f"cd '{tmp_path}'; cat \"$1\" >> asked; while [ ! -e go ]; do sleep 0.02; done"
    recall = ["/bin/sh", "-c", script, "sh", "{list_file}"]
    store = changed(make(state="echo OFFLINE"), recall=recall, recall_requests=1)
    store.request_recalls([ArchiveId("a")])
    store.request_recalls([ArchiveId("b"), ArchiveId("c")])
    wait_for((tmp_path / "asked").exists)
    store.let_go([AskedArchive(ArchiveId("b"))])
    (tmp_path / "go").touch()
    wait_for(lambda: not store._recalls.last(ArchiveId("c")).under_way)
    assert (tmp_path / "asked").read_text().split() == ["a", "c"]


def test_releasing_what_is_missing_is_no_failure(make: Make) -> None:
    words = {"online": "ONLINE", "exit_codes": {2: "missing"}}
    make(release="exit 2", words=words).let_go([AskedArchive(A)])


@pytest.mark.parametrize("field", ["{archive_id}", "{list_file}"])
def test_a_program_whose_start_hangs_holds_nobody_up_for_longer_than_the_answer_may_take(
    make: Make, tmp_path: Path, field: str
) -> None:
    store = make(answer_timeout=0.3)
    with hung_program(tmp_path) as program:
        hung, begun = [str(program), field], time.monotonic()
        with pytest.raises(StoreTimedOut):
            changed(store, state=hung).recall_states([AskedArchive(A)])
        with pytest.raises(StoreTimedOut):
            changed(store, release=hung).let_go([AskedArchive(A)])
        with pytest.raises(StoreTimedOut):
            changed(store, place=hung).tape_positions([A])
        assert time.monotonic() - begun < 10


def test_places_are_what_the_command_prints(make: Make) -> None:
    store = make(place='[ "$1" = a.tar ] && echo VB1234 17')
    assert store.capabilities.tape_positions
    assert store.tape_positions([A, ArchiveId("b")]) == {A: TapePosition("VB1234", 17)}


# Fetching


def test_what_is_on_tape_or_lost_is_not_fetched(make: Make, tmp_path: Path) -> None:
    with pytest.raises(NotYetOnline, match="OFFLINE"):
        read_all(make(state="echo OFFLINE", fetch="touch ran"), A)
    with pytest.raises(ArchiveLost):
        read_all(make(state="echo LOST", fetch="touch ran"), A)
    assert not (tmp_path / "ran").exists()


TARGETS = [
    {"fetch": "SCRIPT"},
    {"fetch": "{ SCRIPT; } > $2"},
    {"fetch": "{ SCRIPT; } > $2", "fetch_target": "file"},
]


def fetching(settings: dict[str, str], script: str) -> dict[str, str]:
    return {key: value.replace("SCRIPT", script) for key, value in settings.items()}


@pytest.mark.parametrize("settings", TARGETS, ids=["stdout", "fifo", "file"])
def test_a_large_archive_comes_whole_and_nothing_is_left(
    make: Make, tmp_path: Path, settings: dict[str, str]
) -> None:
    (tmp_path / "large").write_bytes(content := os.urandom(3_000_001))
    assert read_all(make(**fetching(settings, "cat large")), A, chunk=123_457) == content
    assert [each.name for each in tmp_path.iterdir()] == ["large"]


@pytest.mark.parametrize("settings", TARGETS, ids=["stdout", "fifo", "file"])
@pytest.mark.parametrize("written", ["printf short", "true"])
def test_an_archive_whose_fetch_fails_is_never_taken_for_whole(
    make: Make, settings: dict[str, str], written: str
) -> None:
    store = make(**fetching(settings, f"{written}; echo working >&2; echo the tape is torn >&2; exit 12"))
    with pytest.raises(OSError, match="exit code 12: the tape is torn"):
        read_all(store, A)


@pytest.mark.parametrize("settings", TARGETS, ids=["stdout", "fifo", "file"])
def test_an_archive_whose_fetch_ends_with_a_warning_is_taken_where_that_is_allowed(
    make: Make, settings: dict[str, str]
) -> None:
    script = "printf content; exit 8"
    with pytest.raises(OSError, match="exit code 8"):
        read_all(make(**fetching(settings, script), accepted_exit_codes=[4]), A)
    assert read_all(make(**fetching(settings, script), accepted_exit_codes=[4, 8]), A) == b"content"


@pytest.mark.parametrize("settings", TARGETS[:2], ids=["stdout", "fifo"])
def test_bytes_come_while_the_command_still_writes(
    make: Make, tmp_path: Path, settings: dict[str, str]
) -> None:
    script = "printf first; while [ ! -e go ]; do sleep 0.02; done; printf second"
    buffer = memoryview(bytearray(100))
    with make(**fetching(settings, script)).open(A) as source:
        assert bytes(buffer[: source.readinto(buffer)]) == b"first"
        (tmp_path / "go").touch()
        assert bytes(buffer[: source.readinto(buffer)]) == b"second"
        assert source.readinto(buffer) == 0
        assert source.readinto(buffer) == 0


@pytest.mark.parametrize("settings", TARGETS, ids=["stdout", "fifo", "file"])
def test_closing_early_kills_the_command_and_all_that_it_started(
    make: Make, tmp_path: Path, settings: dict[str, str]
) -> None:
    script = "echo $$ > pid; sleep 60 & echo $! > child; printf first; wait"
    with make(**fetching(settings, script)).open(A):
        wait_for(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text() != "")
    for name in ("pid", "child"):
        pid = (tmp_path / name).read_text().strip()
        wait_for(lambda pid=pid: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]
    assert {each.name for each in tmp_path.iterdir()} == {"pid", "child"}


@pytest.mark.parametrize("settings", TARGETS, ids=["stdout", "fifo", "file"])
def test_a_reader_that_is_left_blocked_finds_the_archive_closed(make: Make, settings: dict[str, str]) -> None:
    found, reading = list[OSError](), threading.Event()
    with make(**fetching(settings, "sleep 60")).open(A) as source:

        def read() -> None:
            reading.set()
            try:
                source.readinto(memoryview(bytearray(10)))
            except OSError as error:
                found.append(error)

        reader = threading.Thread(target=read)
        reader.start()
        reading.wait(60)
    reader.join(60)
    assert len(found) == 1


def test_complaints_in_masses_do_not_stop_the_fetch(make: Make) -> None:
    assert read_all(make(fetch="yes complaint | head -c 1000000 >&2; printf content"), A) == b"content"


def test_a_fetch_that_closes_its_output_and_then_fails_has_failed(make: Make) -> None:
    with pytest.raises(OSError, match="exit code 5"):
        read_all(make(fetch="printf content; exec >&-; sleep 0.3; exit 5"), A)


def test_a_fetch_whose_child_goes_on_writing_is_read_to_the_end(make: Make) -> None:
    assert read_all(make(fetch="{ sleep 0.3; printf content; } & exit 0"), A) == b"content"


def test_a_fetch_program_that_is_not_there_is_a_store_that_is_unavailable(make: Make) -> None:
    settings = make()._settings.model_dump()
    store = CommandStore(
        CommandStoreSettings.model_validate({**settings, "fetch": ["/not/there", "{archive_id}"]})
    )
    with pytest.raises(StoreUnavailable, match="/not/there cannot be started"):
        read_all(store, A)


def test_a_spool_folder_that_is_not_there_is_told(make: Make, tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailable, match="spool"):
        read_all(make(fetch="cat > $2", spool=tmp_path / "spool"), A)


def test_what_is_missing_is_named_also_where_the_command_says_no_word(make: Make) -> None:
    words = {"online": "ONLINE", "exit_codes": {8: "missing"}}
    silent = make(
        state="exit 8", words=words, root="/archive", path_template="{archive_id[0:2]}/{archive_id}"
    )
    told = "the long-term store has no abc: the state command says that there is no /archive/ab/abc"
    with pytest.raises(DatablockMissing, match=f"^{told}$"):
        recall_state(silent, "abc")
    with pytest.raises(DatablockMissing, match="/archive/ab/abc"):
        read_all(silent, "abc")
    with pytest.raises(DatablockMissing, match=f"^the long-term store has no {A}: not found$"):
        recall_state(make(state="echo not found >&2; exit 8", words=words), A)


def test_a_link_in_place_of_the_fetched_file_is_not_followed(make: Make, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    with pytest.raises(OSError, match="symbolic links"):
        read_all(make(fetch="ln -s ../secret $2", fetch_target="file"), A)


CRASHING = """
import sys
from pathlib import Path
from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.command.store import CommandStore
settings = CommandStoreSettings.model_validate_json(Path(sys.argv[1]).read_text())
with CommandStore(settings).open("a.tar") as source:
    source.readinto(memoryview(bytearray(10)))
"""


def test_of_a_service_that_was_killed_no_fetch_goes_on_and_nothing_is_left(
    make: Make, tmp_path: Path
) -> None:
    script = "echo $$ > pid; while :; do printf more >> $2; sleep 0.02; done"
    settings = make(fetch=script, fetch_target="file")._settings
    (tmp_path / "settings").write_text(settings.model_dump_json(exclude_unset=True))
    service = subprocess.Popen([sys.executable, "-c", CRASHING, str(tmp_path / "settings")])
    try:
        wait_for(lambda: any(each.stat().st_size for each in tmp_path.glob("*/archive")), 60)
    finally:
        service.send_signal(signal.SIGKILL)
        service.wait(60)
    pid = int((tmp_path / "pid").read_text())
    wait_for(lambda: not Path(f"/proc/{pid}/exe").exists())
    assert list(tmp_path.glob("retriever-fetch-*"))
    assert read_all(make(fetch="printf content > $2", fetch_target="file"), A) == b"content"
    assert not list(tmp_path.glob("retriever-*"))


def test_the_target_of_a_fetch_that_goes_on_is_nobody_s_to_remove(make: Make, tmp_path: Path) -> None:
    buffer = memoryview(bytearray(100))
    with make(fetch="printf content > $2", fetch_target="file").open(A) as source:
        assert read_all(make(fetch="printf other > $2", fetch_target="file"), A) == b"other"
        assert bytes(buffer[: source.readinto(buffer)]) == b"content"
    assert not list(tmp_path.glob("retriever-*"))


def test_links_in_the_spool_lead_nobody_to_remove_what_is_elsewhere(make: Make, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / "retriever-fetch-link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "retriever-fetch-left").mkdir()
    (tmp_path / "retriever-fetch-left" / "link").symlink_to(tmp_path / "elsewhere")
    read_all(make(fetch="printf content > $2", fetch_target="file"), A)
    assert (tmp_path / "elsewhere" / "kept").exists()
    assert not (tmp_path / "retriever-fetch-left").exists()


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"state": []},
        {"state": ["hsm", "state"]},
        {"recall": ["hsm", "{archive_id}", "{list_file}"]},
        {"fetch": ["hsm", "{list_file}"]},
        {"fetch": ["hsm", "{target}"]},
        {"archive_ids": "("},
        {"root": "relative"},
        {"spool": "relative"},
        {"answer_timeout": 0},
        {"words": {"online": "("}},
        {"words": {}},
        {"state": ["hsm", "{paths_file}"]},
        {"place": ["hsm", "{paths_file}"]},
        {"unknown": 1},
    ],
)
def test_settings_that_cannot_be_used_are_refused_and_the_key_is_named(wrong: dict[str, object]) -> None:
    good = {"kind": "command", "words": {"online": "x"}}
    good |= {verb: ["hsm", "{archive_id}"] for verb in ("state", "recall", "fetch")}
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        CommandStoreSettings.model_validate({**good, **wrong})


@pytest.mark.parametrize("fields", [["{path}"], ["{list_file}"], ["{paths_file}", "{list_file}"]])
def test_answers_may_be_about_one_archive_or_begin_with_its_id(fields: list[str]) -> None:
    commands = {verb: ["hsm", *fields] for verb in ("state", "place")}
    others = {verb: ["hsm", "{path}"] for verb in ("recall", "fetch")}
    CommandStoreSettings.model_validate({"kind": "command", "words": {"online": "x"}, **commands, **others})


def test_what_is_to_be_added_to_a_list_of_paths_is_told() -> None:
    commands = {verb: ["hsm", "{path}"] for verb in ("recall", "fetch")}
    with pytest.raises(ValidationError, match=r"add \{list_file\}"):
        CommandStoreSettings.model_validate(
            {"kind": "command", "words": {"online": "x"}, "state": ["hsm", "{paths_file}"], **commands}
        )
