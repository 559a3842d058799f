"""What every ledger promises of reserved staging space."""

from __future__ import annotations

import pytest

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import P, Q, bring_to, entries, entry, key

State = DatablockState


@pytest.fixture
def planned(ledger: Ledger) -> Ledger:
    """A ledger with three planned datablocks."""
    ledger.plan(P, entries(3), "run-1")
    return ledger


def still_free(ledger: Ledger, free: int) -> int:
    """How many of `free` bytes are not promised, as datablock 2 sees it."""
    return free - (ledger.reserve(key(2), 10**12, free) - (10**12 - free))


def test_space_is_given_to_the_last_byte(planned: Ledger) -> None:
    assert planned.reserve(key(0), 100, 100) == 0


def test_missing_bytes_are_counted_and_nothing_is_set_aside(planned: Ledger) -> None:
    assert planned.reserve(key(0), 100, 60) == 40
    assert still_free(planned, 60) == 60


def test_what_others_have_set_aside_is_taken_off(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    assert planned.reserve(key(1), 50, 100) == 10
    assert planned.reserve(key(1), 40, 100) == 0
    assert still_free(planned, 100) == 0


def test_what_others_have_written_is_not_taken_off_twice(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    bring_to(planned, key(0), State.COPYING)
    planned.note_progress(key(0), 25)
    # 25 bytes are on the disk: 75 are free, 35 of them promised.
    assert planned.reserve(key(1), 50, 75) == 10


def test_writing_more_than_was_set_aside_gives_nobody_else_space(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    bring_to(planned, key(0), State.COPYING)
    planned.note_progress(key(0), 80)
    assert still_free(planned, 20) == 20


def test_a_copy_begun_again_holds_all_of_its_space_again(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    bring_to(planned, key(0), State.COPYING)
    planned.note_progress(key(0), 50)
    planned.move_datablock(key(0), State.RECALLING)
    assert still_free(planned, 100) == 40


def test_a_reservation_is_replaced_not_added_to(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    assert planned.reserve(key(0), 80, 100) == 0
    assert still_free(planned, 100) == 20


def test_a_reservation_that_cannot_grow_is_given_back(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    assert planned.reserve(key(0), 120, 100) == 20
    assert still_free(planned, 100) == 100


@pytest.mark.parametrize("end", [State.PLANNED, State.FAILED, State.RELEASED])
def test_a_reservation_ends_with_the_datablock_s_way(planned: Ledger, end: DatablockState) -> None:
    planned.move_datablock(key(0), State.WAITING_FOR_SPACE)
    planned.reserve(key(0), 60, 100)
    planned.move_datablock(key(0), end)
    assert still_free(planned, 100) == 100


def test_a_reservation_ends_when_the_datablock_is_staged(planned: Ledger) -> None:
    planned.reserve(key(0), 2000, 2000)
    bring_to(planned, key(0), State.STAGED)
    assert still_free(planned, 2000) == 2000


def test_a_reservation_ends_when_the_dataset_is_planned_anew(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    planned.plan(P, entries(3), "run-2")
    assert still_free(planned, 100) == 100


def test_a_reservation_ends_when_the_catalogue_no_longer_lists_the_datablock(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    planned.plan(P, [entry(1), entry(2)], "run-1")
    assert still_free(planned, 100) == 100


def test_a_repeated_plan_keeps_the_reservations_of_its_run(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    planned.plan(P, entries(3), "run-1")
    assert still_free(planned, 100) == 40


def test_space_can_be_given_back(planned: Ledger) -> None:
    planned.reserve(key(0), 60, 100)
    planned.forget_reservation(key(0))
    planned.forget_reservation(key(0))
    planned.forget_reservation(key(7))
    assert still_free(planned, 100) == 100


@pytest.mark.parametrize("state", [State.STAGED, State.FAILED, State.RELEASED])
def test_what_has_ended_is_given_no_space(planned: Ledger, state: DatablockState) -> None:
    bring_to(planned, key(0), state)
    with pytest.raises(TransitionIllegal):
        planned.reserve(key(0), 1, 100)


def test_datasets_share_the_same_space(planned: Ledger) -> None:
    planned.plan(Q, [entry(0, Q)], "run-1")
    planned.reserve(key(0, Q), 70, 100)
    assert planned.reserve(key(0), 50, 100) == 20
