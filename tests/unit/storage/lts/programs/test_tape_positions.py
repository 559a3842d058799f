from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scicat_retriever.domain.errors import StoreTimedOut, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import LongTermStore, TapePosition
from scicat_retriever.storage.lts.programs.position_lookup import tape_position
from scicat_retriever.storage.lts.programs.tape_positions import TapeCommand, TapePattern, with_tape_positions
from tests.fakes.long_term_store import InMemoryLongTermStore

PATTERN = r"^(?P<tape>[A-Z]{2}\d{4})/(?P<position>\d+)-"


def ids(*names: str) -> list[ArchiveId]:
    return [ArchiveId(name) for name in names]


def by_command(script: str, field: str = "{archive_id}", **settings: object) -> LongTermStore:
    command = ["/bin/sh", "-c", script, "sh", field]
    return with_tape_positions(
        InMemoryLongTermStore(),
        TapeCommand.model_validate({"kind": "command", "command": command, **settings}),
    )


def test_a_pattern_reads_tape_and_position_of_what_it_matches() -> None:
    store = with_tape_positions(InMemoryLongTermStore(), TapePattern(kind="pattern", pattern=PATTERN))
    assert store.capabilities.tape_positions
    assert store.tape_positions(ids("VB1234/0017-a.tar", "other.tar", "VB1/2-b.tar")) == {
        "VB1234/0017-a.tar": TapePosition("VB1234", 17)
    }


def test_a_pattern_without_a_position_gives_tapes_alone() -> None:
    store = with_tape_positions(
        InMemoryLongTermStore(), TapePattern(kind="pattern", pattern=r"(?P<tape>VB\d+)")
    )
    assert store.tape_positions(ids("x/VB7/a")) == {"x/VB7/a": TapePosition("VB7", 0)}


@given(st.text(), st.text())
def test_whatever_is_said_of_a_position_its_tape_is_short_and_printable_and_its_position_fits(
    tape: str, position: str
) -> None:
    there = tape_position(tape, position)
    if there is not None:
        assert there.tape.isprintable()
        assert 0 < len(there.tape) <= 64
        assert 0 <= there.position < 10**18


@pytest.mark.parametrize(
    ("position", "expected"), [("9" * 18, 10**18 - 1), ("9" * 19, 0), ("-1", 0), ("٣", 0)]
)
def test_a_position_that_is_no_plain_number_is_none(position: str, expected: int) -> None:
    assert tape_position("VB1", position) == TapePosition("VB1", expected)


def test_a_command_is_asked_once_for_each_archive_and_its_answer_remembered(tmp_path: Path) -> None:
    store = by_command(f'echo "$1" >> \'{tmp_path}/asked\'; [ "$1" = a ] && echo VB1 5')
    for _ in range(3):
        assert store.tape_positions(ids("a", "b")) == {"a": TapePosition("VB1", 5)}
    assert sorted((tmp_path / "asked").read_text().split()) == ["a", "b", "b", "b"]


def test_no_more_positions_are_remembered_than_allowed(tmp_path: Path) -> None:
    store = by_command(f"echo \"$1\" >> '{tmp_path}/asked'; echo VB1 5", remembered=2)
    for name in ["a", "b", "a", "c", "a", "b"]:
        store.tape_positions(ids(name))
    assert (tmp_path / "asked").read_text().split() == ["a", "b", "c", "b"]


def test_a_command_may_take_a_list_and_answers_for_others_are_passed_over(tmp_path: Path) -> None:
    script = f"cat \"$1\" >> '{tmp_path}/asked'; printf 'a b\\tVB1\\t7\\nc\\tVB2\\nnot asked\\tVB3\\t1\\nnonsense\\n'"
    store = by_command(script, "{list_file}")
    assert store.tape_positions(ids("c", "a b", "d")) == {
        "a b": TapePosition("VB1", 7),
        "c": TapePosition("VB2", 0),
    }
    assert (tmp_path / "asked").read_text() == "c\na b\nd\n"


@pytest.mark.parametrize("name", ["-rf", "a\0b", "", "\ud800"])
def test_what_cannot_be_given_to_the_command_is_left_out(tmp_path: Path, name: str) -> None:
    store = by_command(f"echo >> '{tmp_path}/asked'; echo VB1 5")
    assert store.tape_positions(ids(name, "a")) == {"a": TapePosition("VB1", 5)}
    assert (tmp_path / "asked").read_text() == "\n"


def test_a_command_that_fails_knows_no_position() -> None:
    assert by_command("echo VB1 5; exit 1").tape_positions(ids("a")) == {}


def test_a_command_that_hangs_is_a_store_that_timed_out() -> None:
    with pytest.raises(StoreTimedOut):
        by_command("sleep 60", timeout=0.3).tape_positions(ids("a"))


def test_a_command_that_floods_is_a_store_that_is_unavailable() -> None:
    with pytest.raises(StoreUnavailable, match="printed more than 65 KiB"):
        by_command("yes", "{list_file}").tape_positions(ids("a"))


def test_without_settings_the_store_itself_answers() -> None:
    store = InMemoryLongTermStore()
    assert with_tape_positions(store, None) is store


@pytest.mark.parametrize(
    "wrong",
    [
        (TapePattern, {"pattern": "("}),
        (TapePattern, {"pattern": "(?P<position>x)"}),
        (TapeCommand, {"command": ["hsm"]}),
        (TapeCommand, {"command": ["hsm", "{path}"]}),
        (TapeCommand, {"command": ["hsm", "{archive_id}"], "timeout": 0}),
    ],
)
def test_settings_that_cannot_be_used_are_refused(
    wrong: tuple[type[TapePattern | TapeCommand], dict[str, object]],
) -> None:
    model, values = wrong
    with pytest.raises(ValidationError, match=r"pattern|command|timeout"):
        model.model_validate({"kind": "pattern" if model is TapePattern else "command", **values})
