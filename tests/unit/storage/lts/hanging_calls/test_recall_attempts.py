"""Recalls that are asked for in the background: those that hang keep no others waiting for ever."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from scicat_retriever.domain.errors import StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.hanging_calls.recall_attempts import SPARE, RecallAttempts
from tests.contracts.test_long_term_store import wait_for
from tests.unit.storage.machine_troubles import no_thread_can_be_started

ON_TAPE = RecallState(Locality.OFFLINE, 10)
A, B, C = (ArchiveId(each) for each in "abc")


class Tape:
    """Has every attempt hang until it is let go, and notes what was attempted."""

    def __init__(self) -> None:
        self.attempted: list[ArchiveId] = []
        self.let_go = threading.Event()

    def __call__(self, archive_ids: Sequence[ArchiveId]) -> None:
        self.attempted += archive_ids
        self.let_go.wait(60)


@pytest.fixture
def tape() -> Iterator[Tape]:
    tape = Tape()
    yield tape
    tape.let_go.set()


def recalls(at_once: int = 1, patience: float = 1000.0) -> RecallAttempts:
    return RecallAttempts(at_once, 1000.0, patience, time.monotonic)


def begun(attempts: RecallAttempts, tape: Callable[[Sequence[ArchiveId]], None], *names: str) -> None:
    for name in names:
        attempts.begin([ArchiveId(name)], tape)


def test_a_recall_that_waits_for_a_slot_says_so_and_since_when_nothing_came(tape: Tape) -> None:
    attempts = recalls(2)
    begun(attempts, tape, "a", "b", "c")
    wait_for(lambda: len(tape.attempted) == 2)
    first, last = attempts.weigh(A, ON_TAPE), attempts.weigh(C, ON_TAPE)
    assert {first.locality, last.locality} == {Locality.RECALLING}
    assert "slot" not in first.reason
    assert "waits for a slot: 2 before it have given nothing since 2" in last.reason


def test_a_recall_that_hangs_and_that_nobody_wants_any_more_gives_its_slot_away(tape: Tape) -> None:
    attempts = recalls()
    begun(attempts, tape, "a", "b", "c")
    wait_for(lambda: tape.attempted == [A])
    attempts.forget(A)
    wait_for(lambda: tape.attempted == [A, B])
    attempts.forget(C)
    assert not attempts.last(C).under_way


def test_a_list_gives_its_slot_away_when_nobody_wants_any_of_it(tape: Tape) -> None:
    attempts = recalls()
    attempts.begin([A, B], tape)
    begun(attempts, tape, "c")
    wait_for(lambda: tape.attempted == [A, B])
    attempts.forget(A)
    assert "slot" in attempts.weigh(C, ON_TAPE).reason
    attempts.forget(B)
    wait_for(lambda: tape.attempted == [A, B, C])


def test_a_recall_that_gives_nothing_for_too_long_gives_its_slot_away(tape: Tape) -> None:
    attempts = recalls(patience=0.05)
    begun(attempts, tape, "a", "b")

    def second_is_attempted() -> bool:
        attempts.weigh(B, ON_TAPE)  # as the desk asks now and then
        return tape.attempted == [A, B]

    wait_for(second_is_attempted)
    assert attempts.last(A).under_way


def test_no_more_attempts_hang_than_the_spare_slots_allow(tape: Tape) -> None:
    attempts, most = recalls(), 1 + SPARE
    names = [ArchiveId(str(number)) for number in range(most + 2)]
    begun(attempts, tape, *names)
    for count, name in enumerate(names[:most], 1):
        wait_for(lambda count=count: len(tape.attempted) == count)  # type: ignore[misc]
        attempts.forget(name)
    reason = attempts.weigh(names[-1], ON_TAPE).reason
    assert (len(tape.attempted), f"slot: {most} before it" in reason) == (most, True)
    tape.let_go.set()
    wait_for(lambda: not attempts.last(names[-1]).under_way)


def test_a_recall_that_hangs_is_not_begun_again_and_one_wanted_again_has_its_outcome_noted(
    tape: Tape,
) -> None:
    attempts = recalls()
    begun(attempts, tape, "a")
    wait_for(lambda: tape.attempted == [A])
    attempts.forget(A)
    begun(attempts, tape, "a")
    tape.let_go.set()
    wait_for(lambda: attempts.last(A).asked)
    assert tape.attempted == [A]


def test_how_a_recall_ended_that_nobody_wants_is_not_noted(tape: Tape) -> None:
    attempts = recalls()
    begun(attempts, tape, "a")
    wait_for(lambda: tape.attempted == [A])
    attempts.forget(A)
    tape.let_go.set()
    wait_for(lambda: not attempts.last(A).under_way)
    assert attempts.weigh(A, ON_TAPE).locality is Locality.OFFLINE


def test_a_recall_for_which_no_thread_can_be_started_is_refused_and_may_be_begun_later(tape: Tape) -> None:
    attempts = recalls()
    with no_thread_can_be_started(), pytest.raises(StoreUnavailable, match="no thread can be started"):
        attempts.begin([A], tape)
    assert not attempts.last(A).under_way
    attempts.begin([A], tape)
    wait_for(lambda: tape.attempted == [A])
