"""What every ledger promises of claims: staging space for all datasets of a job, or for none of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scicat_retriever.domain.errors import JobNotFound
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ports.claims import PlaceInLine
from scicat_retriever.ports.inventory import Usage
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.samples import FAILURE, FLOW, JOB, P, Q, bring_to, copied, job, key
from tests.contracts.ledger.samples import staged as staged_evidence
from tests.contracts.ledger.space_samples import (
    SILENCE,
    A,
    B,
    C,
    claim,
    finish,
    grow,
    owners,
    plan,
    stage,
    wish,
)

R = DatasetPid("20.500.12345/r")
State = DatablockState


def claimed(ledger: Ledger) -> int:
    return ledger.inventory.usage().claimed


def test_an_empty_ledger_holds_claims_and_waits_for_nothing(ledger: Ledger) -> None:
    assert ledger.inventory.usage() == Usage(0, 0, 0, 0, 0, 0, 0, 0)
    assert ledger.claims.waiting_jobs() == []
    assert ledger.pins.bytes_by_group() == {}


def test_sizes_are_noted_once_for_each_dataset_in_the_order_asked_for(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, R, P, Q), FLOW)
    assert ledger.claims.datasets_without_size(JOB, 2) == [R, P]
    ledger.claims.note_sizes(JOB, {P: 0, DatasetPid("of another job"): 7})
    assert ledger.claims.datasets_without_size(JOB, 9) == [R, Q]
    assert ledger.claims.job_size(JOB) == 0


def test_a_job_is_as_large_as_noted_or_where_that_is_more_as_planned(ledger: Ledger) -> None:
    wish(ledger, A, {P: 500, Q: 500})
    assert ledger.claims.job_size(A) == 1000
    plan(ledger, P, 300, 300)
    plan(ledger, Q, 10)
    assert ledger.claims.job_size(A) == 600 + 500


def test_a_size_that_is_noted_again_takes_the_place_of_the_one_before(ledger: Ledger) -> None:
    wish(ledger, A, {P: 500})
    ledger.claims.note_sizes(A, {P: 200})
    assert ledger.claims.job_size(A) == 200


def test_space_is_given_to_the_last_byte_and_all_datasets_are_pinned(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60, Q: 40})
    assert claim(ledger, A, 100) == PlaceInLine(0, 0, 100)
    assert claimed(ledger) == 100
    assert [(pin.pid, pin.owner, pin.by_job, pin.until) for _, pin in ledger.pins.find()] == [
        (P, A, True, None),
        (Q, A, True, None),
    ]


def test_a_job_that_does_not_fit_gets_nothing_at_all(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60, Q: 41})
    assert claim(ledger, A, 100) == PlaceInLine(missing=1, place=1, needed=101)
    assert claimed(ledger) == 0
    assert ledger.pins.find() == []
    assert ledger.claims.waiting_jobs() == [(A, 101)]


def test_what_the_storage_says_is_free_counts_where_it_is_less(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60})
    assert claim(ledger, A, 100, 50) == PlaceInLine(10, 1, 60)
    assert claim(ledger, A, 100, 60).granted


def test_what_others_have_claimed_is_not_free(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 100)
    wish(ledger, B, {Q: 50})
    assert claim(ledger, B, 100) == PlaceInLine(10, 1, 50)
    assert claim(ledger, B, 110).granted


def test_what_is_written_of_a_claim_is_not_taken_off_twice_from_what_the_storage_has_free(
    ledger: Ledger,
) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 1000)
    (block,) = plan(ledger, P, 60)
    bring_to(ledger, block, State.COPYING)
    ledger.datablocks.note_progress(block, 25)
    wish(ledger, B, {Q: 50})
    # Of 75 bytes that the disk has free, 35 are still to be written by the first.
    assert claim(ledger, B, 1000, 75) == PlaceInLine(10, 1, 50)
    assert ledger.inventory.usage().written == 25


def test_what_is_written_after_the_room_was_measured_is_not_free(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 100}), 1000)
    (block,) = plan(ledger, P, 100)
    room = Room(1000, 150, ledger.inventory.unwritten())
    assert room.unwritten == 100
    bring_to(ledger, block, State.COPYING)
    ledger.datablocks.note_progress(block, 80)
    assert ledger.inventory.unwritten() == 20
    # The disk has 70 bytes by now, and 20 of them are still to be written by the first.
    assert ledger.claims.for_job(wish(ledger, B, {Q: 60}), room, silence=SILENCE) == PlaceInLine(10, 1, 60)
    assert ledger.claims.for_job(B, replace(room, free=160), silence=SILENCE).granted


@pytest.mark.parametrize("end", [State.COPYING, State.STAGED])
def test_a_dataset_does_not_grow_by_what_is_written_after_the_room_was_measured(
    ledger: Ledger, end: State
) -> None:
    claim(ledger, wish(ledger, A, {P: 100}), 1000)
    (block,) = plan(ledger, P, 100)
    room = Room(1000, 100, ledger.inventory.unwritten())
    if end is State.STAGED:
        bring_to(ledger, block, end, 100)
    else:
        bring_to(ledger, block, end)
        ledger.datablocks.note_progress(block, 80)
    plan(ledger, Q, 80)
    assert grow(ledger, Q, room) == 80


def test_writing_more_than_was_claimed_gives_nobody_else_space(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 1000)
    (block,) = plan(ledger, P, 60)
    bring_to(ledger, block, State.COPYING)
    ledger.datablocks.note_progress(block, 80)
    assert ledger.inventory.usage().written == 60
    assert claim(ledger, wish(ledger, B, {Q: 21}), 1000, 20).missing == 1


def test_a_dataset_that_several_jobs_ask_for_is_claimed_once(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 100)
    wish(ledger, B, {P: 60, Q: 40})
    assert claim(ledger, B, 100) == PlaceInLine(0, 0, 40)
    assert claimed(ledger) == 100
    assert owners(ledger, P) == [A, B]


def test_what_is_staged_needs_no_space(ledger: Ledger) -> None:
    stage(ledger, P, 30, 20)
    wish(ledger, A, {P: 60})
    assert claim(ledger, A, 60) == PlaceInLine(0, 0, 10)
    assert claimed(ledger) == 10


def test_a_job_whose_datasets_are_all_staged_passes_however_long_the_line_and_full_the_room(
    ledger: Ledger,
) -> None:
    stage(ledger, P, 60)
    claim(ledger, wish(ledger, A, {Q: 1000}), 100)
    assert claim(ledger, wish(ledger, B, {P: 60}), 10) == PlaceInLine(0, 0, 0)
    assert owners(ledger, P) == [B]


def test_a_job_without_datasets_needs_nothing(ledger: Ledger) -> None:
    ledger.jobs.add(job(), FLOW)
    assert claim(ledger, JOB, 0) == PlaceInLine(0, 0, 0)


def test_a_job_keeps_its_space_whatever_the_room_becomes(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 100)
    assert claim(ledger, A, 0, 0, quota=1).granted
    assert claimed(ledger) == 60


def test_a_job_that_has_its_space_gets_back_what_it_lacks(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60, Q: 40}), 100)
    # Nobody asks for it any more, so its claim ends; then it is asked for again.
    ledger.jobs.move_dataset(A, Q, DatasetState.FAILED, [FAILURE])
    ledger.claims.end(Q)
    assert claimed(ledger) == 60
    ledger.jobs.move_dataset(A, Q, DatasetState.SUBMITTED)
    assert claim(ledger, A, 0) == PlaceInLine(0, 0, 40)
    assert claimed(ledger) == 100
    assert owners(ledger) == [A, A]


def test_datasets_that_have_failed_for_a_job_need_no_space_and_no_pin(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60, Q: 40})
    ledger.jobs.move_dataset(A, Q, DatasetState.FAILED, [FAILURE])
    assert claim(ledger, A, 100) == PlaceInLine(0, 0, 60)
    assert [pin.pid for _, pin in ledger.pins.find()] == [P]


def test_datasets_that_were_retrieved_for_a_job_before_are_pinned_and_need_no_space(ledger: Ledger) -> None:
    wish(ledger, A, {P: 60, Q: 40})
    stage(ledger, P, 60)
    finish(ledger, A, P)
    ledger.jobs.retry(A, FLOW)
    assert claim(ledger, A, 100) == PlaceInLine(0, 0, 40)
    assert [pin.pid for _, pin in ledger.pins.find()] == [P, Q]


@pytest.mark.parametrize("told", [False, True])
def test_a_job_that_has_ended_gets_nothing(ledger: Ledger, told: bool) -> None:
    wish(ledger, A, {P: 60})
    finish(ledger, A, told=told)
    assert claim(ledger, A, 100) == PlaceInLine(0, 0, 0)
    assert (claimed(ledger), ledger.pins.find()) == (0, [])


def test_an_unknown_job_claims_nothing(ledger: Ledger) -> None:
    for step in (lambda: claim(ledger, A, 100), lambda: ledger.claims.note_sizes(A, {P: 1})):
        with pytest.raises(JobNotFound):
            step()
    assert ledger.claims.job_size(A) == 0
    assert ledger.claims.datasets_without_size(A, 9) == []


def test_a_retried_job_claims_anew(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60}), 100)
    finish(ledger, A)
    ledger.jobs.retry(A, FlowName("2", "again"))
    ledger.claims.end_idle()
    assert claimed(ledger) == 0
    assert claim(ledger, A, 59) == PlaceInLine(1, 1, 60)
    assert claim(ledger, A, 60).granted


def test_a_restarted_job_keeps_its_space_and_waits_for_nothing_while_it_holds_a_part(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 60, Q: 40}), 100)
    ledger.jobs.move_dataset(A, P, DatasetState.STARTED)
    ledger.job_flows.restart(A, FlowName("2", "again"), 1)
    assert ledger.claims.end_idle() == 0
    assert not claim(ledger, wish(ledger, B, {R: 10}), 100).granted
    assert claim(ledger, A, 100) == PlaceInLine(0, 0, 0)
    assert claimed(ledger) == 100


def test_a_claim_is_used_up_by_what_is_staged(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 100}), 100)
    first, second = plan(ledger, P, 60, 40)
    bring_to(ledger, first, State.STAGED, 60)
    usage = ledger.inventory.usage()
    assert (usage.staged, usage.claimed) == (60, 40)
    ledger.copies.save_staged(staged_evidence(copied(first, 60)))
    assert claimed(ledger) == 40
    bring_to(ledger, second, State.STAGED, 45)
    usage = ledger.inventory.usage()
    assert (usage.staged, usage.claimed) == (105, 0)


def test_a_dataset_s_claim_shrinks_to_what_is_planned_without_any_room(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 100}), 100)
    plan(ledger, P, 50, 30)
    assert grow(ledger, P, Room(0, 0)) == 0
    assert claimed(ledger) == 80
    assert grow(ledger, P, Room(0, 0)) == 0


def test_a_dataset_s_claim_grows_where_there_is_room_and_stays_where_there_is_none(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {P: 100}), 100)
    plan(ledger, P, 90, 50)
    assert grow(ledger, P, Room(130, None)) == 10
    assert claimed(ledger) == 100
    assert grow(ledger, P, Room(999, 135)) == 5
    assert grow(ledger, P, Room(140, None)) == 0
    assert claimed(ledger) == 140


def test_a_dataset_that_needs_more_does_not_stand_in_line(ledger: Ledger) -> None:
    claim(ledger, wish(ledger, A, {Q: 1000}), 100)
    plan(ledger, P, 60)
    assert grow(ledger, P, Room(100, None)) == 0


def test_a_dataset_that_is_staged_in_part_claims_the_rest(ledger: Ledger) -> None:
    first, _ = plan(ledger, P, 60, 40)
    bring_to(ledger, first, State.STAGED, 60)
    assert grow(ledger, P, Room(100, None)) == 0
    assert claimed(ledger) == 40


def test_the_store_s_word_on_a_size_counts(ledger: Ledger) -> None:
    (block,) = plan(ledger, P, 60)
    ledger.datablocks.note_progress(block, 0, 75)
    assert grow(ledger, P, Room(70, None)) == 5
    assert grow(ledger, P, Room(75, None)) == 0


def test_what_a_released_datablock_left_behind_is_held_until_its_files_are_gone(ledger: Ledger) -> None:
    (block,) = stage(ledger, P, 60)
    ledger.datablocks.move(block, State.RELEASED)
    usage = ledger.inventory.usage()
    assert (usage.staged, usage.cached, usage.datablocks) == (60, 0, 0)
    assert claim(ledger, wish(ledger, A, {Q: 50}), 100).missing == 10
    ledger.inventory.forget_files(block)
    assert claim(ledger, A, 100).granted


@pytest.mark.parametrize("state", [State.COPYING, State.COPIED])
def test_what_was_written_of_a_datablock_that_left_the_catalogue_is_held(
    ledger: Ledger, state: DatablockState
) -> None:
    _, block = plan(ledger, P, 10, 60)
    bring_to(ledger, block, State.COPYING)
    ledger.datablocks.note_progress(block, 60)
    if state is State.COPIED:
        ledger.copies.save(copied(block, 60), b"manifest")
    plan(ledger, P, 10)
    assert ledger.inventory.usage().staged == 60
    ledger.inventory.forget_files(block)
    assert ledger.inventory.usage().staged == 0


def test_what_is_planned_anew_holds_nothing(ledger: Ledger) -> None:
    stage(ledger, P, 60, 40)
    plan(ledger, P, 60, 41)
    assert ledger.inventory.usage().staged == 60
    ledger.datablocks.move(key(0), State.PLANNED, "its staged file is gone")
    assert ledger.inventory.usage().staged == 0
    assert ledger.inventory.recount() == 0


def test_sizes_beyond_an_exbibyte_or_below_nothing_are_taken_for_the_bound(ledger: Ledger) -> None:
    wish(ledger, A, {P: 2**80, Q: -1})
    assert ledger.claims.job_size(A) == 2**60
    assert claim(ledger, A, 100) == PlaceInLine(2**60 - 100, 1, 2**60)


def test_sums_of_impossible_sizes_are_no_error(ledger: Ledger) -> None:
    pids = [DatasetPid(f"p{number}") for number in range(20)]
    blocks = plan(ledger, R, 1, 1, 1)
    for block in blocks:
        ledger.datablocks.note_progress(block, 0, 2**62)
    for name in (A, B, C):
        wish(ledger, name, dict.fromkeys([*pids, R], 2**60))
        assert not claim(ledger, name, 2**50).granted
        assert ledger.claims.job_size(name) == 21 * 2**60
    assert ledger.inventory.usage().waiting >= 3 * 2**62
    assert grow(ledger, R, Room(100, None)) == 3 * 2**62 - 100
    assert ledger.needs.progress(A)[0].bytes_total == 3 * 2**62
    assert claim(ledger, wish(ledger, JobId("d"), {Q: 1}), 2**50).place == 4
