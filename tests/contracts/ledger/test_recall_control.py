"""What every ledger promises of who plans recalls, of priorities, and of the store that is read from."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scicat_retriever.domain.errors import JobEnded, JobNotFound, TransitionIllegal
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.recall_samples import (
    OTHER_JOB,
    RECALLABLE,
    State,
    block,
    only,
    start,
)
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    JOB,
    P,
    Q,
    bring_to,
    copied,
    entries,
    entry,
    job,
    key,
)


def test_one_planner_leads_a_store(rig: Rig) -> None:
    ledger = rig.ledger
    assert ledger.recalls.lead("lts", "one", HOUR)
    rig.clock.advance(HOUR / 2)
    assert not ledger.recalls.lead("lts", "two", HOUR)
    assert ledger.recalls.lead("lts", "one", HOUR)
    rig.clock.advance(HOUR * 0.9)
    assert not ledger.recalls.lead("lts", "two", HOUR)


def test_the_lead_of_a_planner_that_is_silent_ends(rig: Rig) -> None:
    assert rig.ledger.recalls.lead("lts", "one", HOUR)
    rig.clock.advance(HOUR)
    assert rig.ledger.recalls.lead("lts", "two", HOUR)
    assert not rig.ledger.recalls.lead("lts", "one", HOUR)


def test_each_store_has_a_planner_of_its_own(ledger: Ledger) -> None:
    assert ledger.recalls.lead("lts", "one", HOUR)
    assert ledger.recalls.lead("mirror", "two", HOUR)
    assert not ledger.recalls.lead("lts", "two", HOUR)


def test_a_lead_that_was_noted_by_a_clock_ahead_of_ours_is_over(rig: Rig) -> None:
    assert rig.ledger.recalls.lead("lts", "one", HOUR)
    rig.clock.advance(-timedelta(minutes=4))
    assert not rig.ledger.recalls.lead("lts", "two", HOUR)
    rig.clock.advance(-timedelta(minutes=2))
    assert rig.ledger.recalls.lead("lts", "two", HOUR)


def test_a_planner_that_leaves_makes_room_for_another_wherever_it_led(ledger: Ledger) -> None:
    for store in ("lts", "mirror"):
        assert ledger.recalls.lead(store, "one", HOUR)
    assert ledger.recalls.lead("third", "two", HOUR)
    ledger.recalls.leave("one")
    assert ledger.recalls.lead("lts", "two", HOUR)
    assert ledger.recalls.lead("mirror", "two", HOUR)
    assert not ledger.recalls.lead("third", "one", HOUR)


@pytest.mark.parametrize("state", [*RECALLABLE, State.FAILED])
def test_a_datablock_that_is_read_from_another_store_is_planned_again(
    planned: Ledger, state: DatablockState
) -> None:
    bring_to(planned, key(), state)
    planned.datablocks.note_progress(key(), 7, 2000)
    planned.datablocks.read_from(key(), "mirror", "lost on tape")
    assert block(planned) == DatablockRecord(
        entry().datablock, 0, State.PLANNED, 0, 1000, "lost on tape", run="run-1", store="mirror"
    )
    assert planned.copies.get(key()) is None


def test_that_a_datablock_is_read_from_another_store_is_in_the_book(rig: Rig) -> None:
    rig.ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(rig.ledger, key(), State.COPIED)
    rig.ledger.datablocks.read_from(key(), "mirror", "lost on tape")
    last = rig.transitions()[-1]
    assert (last.old, last.new, last.reason) == (State.COPIED, State.PLANNED, "lost on tape")


def test_of_a_datablock_that_is_read_from_that_store_already_nothing_changes(planned: Ledger) -> None:
    planned.datablocks.read_from(key(), "mirror", "lost on tape")
    bring_to(planned, key(), State.COPIED)
    planned.datablocks.read_from(key(), "mirror", "lost on tape")
    assert planned.copies.get(key()) == copied(key())


@pytest.mark.parametrize("state", [State.STAGED, State.RELEASED])
def test_what_is_staged_or_released_is_not_read_from_another_store(
    planned: Ledger, state: DatablockState
) -> None:
    bring_to(planned, key(), state)
    before = block(planned)
    with pytest.raises(TransitionIllegal):
        planned.datablocks.read_from(key(), "mirror", "")
    assert block(planned) == before


def test_an_unknown_datablock_is_read_from_no_store(planned: Ledger) -> None:
    with pytest.raises(TransitionIllegal):
        planned.datablocks.read_from(key(9), "mirror", "")


def test_the_other_datablocks_of_the_dataset_are_read_from_where_they_were(planned: Ledger) -> None:
    planned.datablocks.read_from(key(1), "mirror", "")
    assert [record.store for record in planned.datablocks.of(P)] == ["lts", "mirror", "lts"]


def test_what_stays_as_planned_keeps_its_store(planned: Ledger) -> None:
    planned.datablocks.read_from(key(1), "mirror", "")
    bring_to(planned, key(2), State.STAGED)
    planned.datablocks.plan(P, entries(4), "run-1", "third")
    assert [record.store for record in planned.datablocks.of(P)] == ["lts", "mirror", "lts", "third"]


def test_what_is_planned_anew_is_read_from_the_store_of_the_plan(planned: Ledger) -> None:
    planned.datablocks.read_from(key(1), "mirror", "")
    planned.datablocks.plan(P, entries(3), "run-2", "third")
    assert [record.store for record in planned.datablocks.of(P)] == ["third"] * 3


def test_a_job_has_the_priority_that_it_was_given(planned: Ledger) -> None:
    start(planned, JOB, "p17", P)
    before = planned.jobs.get(JOB)
    assert before is not None
    assert before.priority == 0
    planned.recalls.set_priority(JOB, 7)
    assert planned.jobs.get(JOB) == replace(before, priority=7)


def test_a_priority_raises_the_open_recalls_of_the_jobs_datasets(ledger: Ledger) -> None:
    for pid in (P, Q):
        ledger.datablocks.plan(pid, entries(1, pid), "run-1")
        ledger.recalls.want([key(0, pid)])
    start(ledger, JOB, "p17", P)
    ledger.recalls.set_priority(JOB, 7)
    assert [record.priority for record in ledger.recalls.of_store("lts")] == [7, 0]


def test_a_recall_has_the_highest_priority_of_the_jobs_that_wait_for_its_dataset(wanted: Ledger) -> None:
    for name, priority in ((JOB, 7), (OTHER_JOB, 2)):
        start(wanted, name, "p17", P)
        wanted.recalls.set_priority(name, priority)
    assert only(wanted).priority == 7
    wanted.recalls.set_priority(JOB, -5)
    assert only(wanted).priority == 2


@pytest.mark.parametrize("state", [DatasetState.RETRIEVED, DatasetState.FAILED])
def test_a_priority_raises_no_recall_of_a_dataset_that_has_ended_for_the_job(
    wanted: Ledger, state: DatasetState
) -> None:
    start(wanted, JOB, "p17", P)
    wanted.jobs.move_dataset(JOB, P, state)
    wanted.recalls.set_priority(JOB, 7)
    assert only(wanted).priority == 0


def test_a_job_that_has_ended_gets_no_priority(planned: Ledger) -> None:
    planned.jobs.add(job(), FLOW)
    planned.jobs.move(JOB, JobState.UNSUCCESSFUL)
    with pytest.raises(JobEnded):
        planned.recalls.set_priority(JOB, 7)
    found = planned.jobs.get(JOB)
    assert found is not None
    assert found.priority == 0


def test_an_unknown_job_gets_no_priority(ledger: Ledger) -> None:
    with pytest.raises(JobNotFound):
        ledger.recalls.set_priority(JOB, 7)
