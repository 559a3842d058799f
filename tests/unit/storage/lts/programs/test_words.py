from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from scicat_retriever.domain.errors import (
    ArchiveLost,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.programs.child import Finished
from scicat_retriever.storage.lts.programs.words import StoreWords

A = ArchiveId("a.tar")
WORDS = StoreWords.model_validate(
    {
        "offline": r"^on tape(, (?P<size>\d+) bytes)?",
        "online": r"^on disk",
        "exit_codes": {"3": "missing", "4": "unavailable", "5": "unreadable"},
    }
)


def test_the_line_that_tells_is_the_reason_and_its_size_is_given() -> None:
    assert WORDS.of_text("hello\non tape, 123 bytes \t at home\nbye", A) == RecallState(
        Locality.OFFLINE, 123, "on tape, 123 bytes at home"
    )


def test_of_several_that_match_the_worst_counts() -> None:
    words = StoreWords(lost="lost", offline="released", online="exists")
    answer = words.of_text("released exists lost", A)
    assert (type(answer), str(answer)) == (
        ArchiveLost,
        "the long-term store lost a.tar: released exists lost",
    )


@given(st.text())
def test_what_nothing_knows_is_an_error_never_a_guess(text: str) -> None:
    assert isinstance(StoreWords(online="^ONLINE!$").of_text(text.replace("!", ""), A), StoreUnavailable)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(4, StoreUnavailable), (5, DatablockUnreadable), (1, StoreUnavailable), (-9, StoreUnavailable)],
)
def test_an_exit_code_that_means_an_error_is_one_with_the_command_s_words(
    code: int, kind: type[RecallError]
) -> None:
    answer = WORDS.of_command(Finished(code, "on disk", "no route to host"), A)
    assert (type(answer), "no route to host" in str(answer)) == (kind, True)


def test_an_exit_code_in_the_table_counts_whatever_is_printed() -> None:
    answer = WORDS.of_command(Finished(3, "on disk", "nothing there"), A)
    assert (type(answer), str(answer)) == (
        DatablockMissing,
        "the long-term store has no a.tar: nothing there",
    )


def test_what_is_hidden_is_not_taken_for_a_word() -> None:
    answer = WORDS.of_command(Finished(0, "/lts/\non disk\non tape", ""), A, ["/lts/\non disk"])
    assert isinstance(answer, RecallState)
    assert answer.locality is Locality.OFFLINE


@pytest.mark.parametrize("size", ["9" * 19, "٣", "-1", ""])
def test_a_size_that_is_no_plain_number_is_none(size: str) -> None:
    answer = StoreWords(online="(?P<size>[^ ]*) bytes").of_text(f"{size} bytes", A)
    assert answer == RecallState(Locality.ONLINE, None, f"{size} bytes".strip())


def test_a_reason_is_one_printable_line_of_some_length() -> None:
    answer = StoreWords(online="ok").of_text("ok \x1b[31m" + "x" * 10_000, A)
    assert isinstance(answer, RecallState)
    assert answer.reason.isprintable()
    assert len(answer.reason) <= 200


@pytest.mark.parametrize(
    "wrong", [{"online": "("}, {"exit_codes": {"3": "gone"}}, {"exit_codes": {"x": "lost"}}, {"x": "y"}]
)
def test_words_that_cannot_be_used_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        StoreWords.model_validate(wrong)
