"""What every ledger promises of jobs that are restarted, retried and cancelled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scicat_retriever.domain.errors import DatasetNotOfJob, JobEnded, JobNotEnded, JobNotFound, NothingToRetry
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import (
    FAILURE,
    FLOW,
    HOUR,
    JOB,
    ODD,
    START,
    P,
    Q,
    bring_to,
    end,
    entries,
    entry,
    job,
    key,
)

NEXT, THIRD = FlowName("22222222-2222-4222-8222-222222222222", "again"), FlowName("3", "and again")
NOBODY = JobId("nobody")
SUBMITTED, FAILED, RETRIEVED = DatasetState.SUBMITTED, DatasetState.FAILED, DatasetState.RETRIEVED
AGAIN = "to be retrieved again"


def record_of(ledger: Ledger, job_id: JobId = JOB) -> JobRecord:
    found = ledger.jobs.get(job_id)
    assert found is not None
    return found


def ids(flows: list[JobFlow]) -> list[str]:
    return [flow.job_id for flow in flows]


def started(ledger: Ledger, *names: str) -> None:
    """Jobs whose flows the engine has."""
    for name in names:
        ledger.jobs.add(job(name, P), FLOW)
        ledger.job_flows.mark_started([JobId(name)])


def ended(ledger: Ledger, state: JobState = JobState.WITH_DATASET_ERRORS) -> None:
    """A job whose first dataset is there and whose second failed, told to SciCat."""
    ledger.jobs.add(job(JOB, P, Q), FLOW)
    ledger.job_flows.mark_started([JOB])
    ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(ledger, key(), DatablockState.STAGED)
    ledger.jobs.move_dataset(JOB, P, RETRIEVED)
    ledger.jobs.move_dataset(JOB, Q, FAILED, [FAILURE])
    end(ledger, JOB, state)


def states(ledger: Ledger) -> list[DatasetState]:
    return [each.state for each in ledger.jobs.datasets(JOB)]


def test_jobs_under_way_are_those_whose_flow_was_started_and_that_have_not_ended(ledger: Ledger) -> None:
    started(ledger, "a", "b", "c")
    ledger.jobs.add(job("d", P), FLOW)
    ledger.jobs.move(JobId("b"), JobState.UNSUCCESSFUL)
    assert ids([flow for _, flow in ledger.job_flows.started(0, 9)]) == ["a", "c"]


def test_jobs_under_way_are_paged_by_number(ledger: Ledger) -> None:
    started(ledger, *"abcde")
    first = ledger.job_flows.started(0, 2)
    second = ledger.job_flows.started(first[-1][0], 2)
    third = ledger.job_flows.started(second[-1][0], 2)
    assert [ids([flow for _, flow in page]) for page in (first, second, third)] == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]
    assert ledger.job_flows.started(third[-1][0], 2) == []


def test_a_restarted_job_has_a_new_flow_that_is_to_be_started(ledger: Ledger) -> None:
    started(ledger, JOB)
    before = record_of(ledger)
    assert ledger.job_flows.restart(JOB, NEXT, 1)
    assert record_of(ledger) == replace(before, flow=NEXT, attempt=2)
    assert ledger.job_flows.to_start(9) == [JobFlow(JOB, NEXT, 2)]
    assert ledger.job_flows.started(0, 9) == []


def test_a_lost_attempt_is_restarted_once(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.job_flows.restart(JOB, NEXT, 1)
    assert not ledger.job_flows.restart(JOB, THIRD, 1)
    assert record_of(ledger).flow == NEXT


def test_a_job_that_has_ended_is_not_restarted(ledger: Ledger) -> None:
    ended(ledger)
    before = record_of(ledger)
    assert not ledger.job_flows.restart(JOB, NEXT, 1)
    assert record_of(ledger) == before


def test_a_restart_is_no_change_of_state(rig: Rig) -> None:
    started(rig.ledger, JOB)
    rig.ledger.jobs.move_dataset(JOB, P, DatasetState.STARTED)
    book = list(rig.transitions())
    rig.ledger.job_flows.restart(JOB, NEXT, 1)
    assert rig.transitions() == book


def test_a_retried_job_is_submitted_with_a_new_flow(rig: Rig) -> None:
    ended(rig.ledger)
    now = rig.clock.advance(HOUR)
    assert rig.ledger.jobs.retry(JOB, NEXT) == 1
    expected = JobRecord(job(JOB, P, Q), NEXT, JobState.SUBMITTED, AGAIN, START, now, attempt=2)
    assert record_of(rig.ledger) == expected
    assert rig.ledger.job_flows.to_start(9) == [JobFlow(JOB, NEXT, 2)]


def test_what_is_there_is_not_retrieved_again(ledger: Ledger) -> None:
    ended(ledger)
    ledger.jobs.retry(JOB, NEXT)
    assert ledger.jobs.datasets(JOB) == [JobDatasetRecord(P, RETRIEVED), JobDatasetRecord(Q, SUBMITTED)]


@pytest.mark.parametrize("loss", [DatablockState.RELEASED, DatablockState.PLANNED])
def test_what_was_retrieved_and_is_gone_is_retrieved_again(ledger: Ledger, loss: DatablockState) -> None:
    ended(ledger)
    ledger.datablocks.move(key(), loss)
    assert ledger.jobs.retry(JOB, NEXT) == 2
    assert states(ledger) == [SUBMITTED, SUBMITTED]


def test_what_was_retrieved_and_has_a_datablock_more_by_now_is_retrieved_again(ledger: Ledger) -> None:
    ended(ledger)
    ledger.datablocks.plan(P, entries(2), "run-2")
    assert ledger.jobs.retry(JOB, NEXT, {P}) == 1


def test_what_was_retrieved_and_has_no_datablocks_any_more_is_retrieved_again(ledger: Ledger) -> None:
    ended(ledger)
    ledger.datablocks.plan(P, [], "run-2")
    assert ledger.jobs.retry(JOB, NEXT, {P}) == 1


def test_a_datablock_that_is_no_longer_listed_need_not_be_there(ledger: Ledger) -> None:
    ended(ledger)
    ledger.datablocks.plan(P, [entry(0), entry(1)], "run-2")
    ledger.datablocks.plan(P, [entry(0)], "run-2")
    with pytest.raises(NothingToRetry):
        ledger.jobs.retry(JOB, NEXT, {P})


@pytest.mark.parametrize("state", [SUBMITTED, DatasetState.STARTED])
def test_a_dataset_that_its_job_did_not_come_to_is_retrieved(ledger: Ledger, state: DatasetState) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move_dataset(JOB, P, state)
    end(ledger)
    assert ledger.jobs.retry(JOB, NEXT) == 1
    assert states(ledger) == [SUBMITTED]


def test_a_retry_is_for_the_datasets_that_are_named(ledger: Ledger) -> None:
    ended(ledger)
    ledger.datablocks.move(key(), DatablockState.RELEASED)
    assert ledger.jobs.retry(JOB, NEXT, [Q]) == 1
    assert states(ledger) == [RETRIEVED, SUBMITTED]


def test_a_dataset_that_is_not_the_job_s_is_named_and_nothing_is_retried(rig: Rig) -> None:
    ended(rig.ledger)
    rig.ledger.datablocks.move(key(), DatablockState.RELEASED)
    before = (record_of(rig.ledger), list(rig.transitions()))
    foreign = [DatasetPid(f"foreign-{number}") for number in range(9)]
    for pids, named in (([Q, foreign[0]], "foreign-0."), (foreign, "foreign-4 and 4 more.")):
        with pytest.raises(DatasetNotOfJob, match=named):
            rig.ledger.jobs.retry(JOB, NEXT, pids)
    assert (record_of(rig.ledger), rig.transitions()) == before


@pytest.mark.parametrize("pids", [[], [P]])
def test_where_all_that_is_named_is_there_nothing_is_retried(rig: Rig, pids: list[DatasetPid]) -> None:
    ended(rig.ledger)
    before = (record_of(rig.ledger), list(rig.transitions()))
    with pytest.raises(NothingToRetry):
        rig.ledger.jobs.retry(JOB, NEXT, pids)
    assert (record_of(rig.ledger), rig.transitions()) == before


@pytest.mark.parametrize("state", [JobState.SUBMITTED, JobState.IN_PROGRESS])
def test_a_job_that_has_not_ended_is_not_retried(ledger: Ledger, state: JobState) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, state)
    before = record_of(ledger)
    with pytest.raises(JobNotEnded):
        ledger.jobs.retry(JOB, NEXT)
    assert record_of(ledger) == before


@pytest.mark.parametrize("state", [state for state in JobState if state.finished])
def test_a_job_can_be_retried_however_it_ended(ledger: Ledger, state: JobState) -> None:
    ended(ledger, state)
    assert ledger.jobs.retry(JOB, NEXT) == 1


def test_a_retry_is_in_the_book(rig: Rig) -> None:
    ended(rig.ledger)
    before = len(rig.transitions())
    now = rig.clock.advance(HOUR)
    rig.ledger.jobs.retry(JOB, NEXT)
    new = rig.transitions()[before:]
    assert [(t.at, t.subject, t.old, t.new, t.reason) for t in new] == [
        (now, (JOB, Q), "failed", "submitted", AGAIN),
        (now, (JOB,), "finishedWithDatasetErrors", "jobSubmitted", AGAIN),
    ]


def test_that_a_job_is_retried_is_told_when_it_is_in_progress(ledger: Ledger) -> None:
    ended(ledger)
    ledger.jobs.retry(JOB, NEXT)
    assert ledger.reports.find() == []
    ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    assert [report.content for report in ledger.reports.find()] == [JobState.IN_PROGRESS]


def test_a_retry_forgets_why_the_job_failed(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, "too late", FAILURE)
    assert record_of(ledger).failure == FAILURE
    ledger.jobs.retry(JOB, NEXT)
    assert record_of(ledger).failure is None


def test_a_retry_forgets_who_cancelled(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.jobs.cancel(JOB, "ada")
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    ledger.jobs.retry(JOB, NEXT)
    ledger.job_flows.mark_started([JOB])
    assert record_of(ledger).cancelled_by == ""
    assert ledger.job_flows.to_cancel(9) == []


def test_a_job_is_retried_as_often_as_asked_for(ledger: Ledger) -> None:
    ended(ledger)
    ledger.jobs.retry(JOB, NEXT)
    end(ledger)
    ledger.jobs.retry(JOB, THIRD)
    assert (record_of(ledger).attempt, record_of(ledger).flow) == (3, THIRD)


def test_a_cancelled_job_goes_on_until_its_flow_ends_it(ledger: Ledger) -> None:
    started(ledger, JOB)
    before = record_of(ledger)
    ledger.jobs.cancel(JOB, ODD)
    assert record_of(ledger) == replace(before, cancelled_by=ODD)


def test_who_cancelled_first_stays(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.jobs.cancel(JOB, "ada")
    ledger.jobs.cancel(JOB, "bob")
    assert record_of(ledger).cancelled_by == "ada"


def test_a_job_that_has_ended_cannot_be_cancelled(ledger: Ledger) -> None:
    ended(ledger)
    with pytest.raises(JobEnded):
        ledger.jobs.cancel(JOB, "ada")
    assert record_of(ledger).cancelled_by == ""


def test_flows_of_cancelled_jobs_are_to_be_told_in_the_order_of_arrival(ledger: Ledger) -> None:
    started(ledger, *"abc")
    for name in "cba":
        ledger.jobs.cancel(JobId(name), "ada")
    assert ids(list(ledger.job_flows.to_cancel(2))) == ["a", "b"]


def test_a_flow_that_was_told_is_not_told_again(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.jobs.cancel(JOB, "ada")
    ledger.job_flows.mark_cancel_told(JOB, 1)
    assert ledger.job_flows.to_cancel(9) == []


def test_a_new_flow_of_a_cancelled_job_is_told_again(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.jobs.cancel(JOB, "ada")
    ledger.job_flows.mark_cancel_told(JOB, 1)
    ledger.job_flows.restart(JOB, NEXT, 1)
    assert ledger.job_flows.to_cancel(9) == []
    ledger.job_flows.mark_started([JOB])
    assert ids(list(ledger.job_flows.to_cancel(9))) == [JOB]


def test_the_flow_of_a_job_is_the_one_of_its_present_attempt(ledger: Ledger) -> None:
    started(ledger, JOB)
    assert ledger.job_flows.of(JOB) == FLOW
    ledger.job_flows.restart(JOB, NEXT, 1)
    assert ledger.job_flows.of(JOB) == NEXT
    assert ledger.job_flows.of(NOBODY) is None


def test_a_late_word_on_a_flow_before_does_not_silence_the_next(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.jobs.cancel(JOB, "ada")
    ledger.job_flows.restart(JOB, NEXT, 1)
    ledger.job_flows.mark_started([JOB])
    ledger.job_flows.mark_cancel_told(JOB, 1)
    assert ids(list(ledger.job_flows.to_cancel(9))) == [JOB]


def test_a_job_that_failed_before_its_datasets_were_known_is_retried(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB), FLOW)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, "no right", FAILURE)
    assert ledger.jobs.retry(JOB, NEXT) == 0
    record = ledger.jobs.get(JOB)
    assert record is not None
    assert (record.state, record.attempt) == (JobState.SUBMITTED, 2)


def test_the_datasets_of_a_job_that_failed_as_a_whole_fail_with_it(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P, Q), FLOW)
    ledger.jobs.move_dataset(JOB, P, DatasetState.STARTED)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, "too late", FAILURE)
    datasets = [(each.state, each.failures) for each in ledger.jobs.datasets(JOB)]
    assert datasets == [(DatasetState.FAILED, (FAILURE,))] * 2


def test_a_job_without_a_flow_is_told_when_it_has_one(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.cancel(JOB, "ada")
    assert ledger.job_flows.to_cancel(9) == []
    ledger.job_flows.mark_started([JOB])
    assert ids(list(ledger.job_flows.to_cancel(9))) == [JOB]


def test_a_cancelled_job_that_has_ended_is_not_told(ledger: Ledger) -> None:
    started(ledger, JOB)
    ledger.jobs.cancel(JOB, "ada")
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    assert ledger.job_flows.to_cancel(9) == []


def test_an_unknown_job_can_be_neither_restarted_nor_retried_nor_cancelled(ledger: Ledger) -> None:
    with pytest.raises(JobNotFound):
        ledger.job_flows.restart(NOBODY, NEXT, 1)
    with pytest.raises(JobNotFound):
        ledger.jobs.retry(NOBODY, NEXT)
    with pytest.raises(JobNotFound):
        ledger.jobs.cancel(NOBODY, "ada")
    with pytest.raises(JobNotFound):
        ledger.job_flows.mark_cancel_told(NOBODY, 1)


@pytest.mark.parametrize(
    "state",
    [
        DatablockState.WAITING_FOR_SPACE,
        DatablockState.RECALLING,
        DatablockState.COPYING,
        DatablockState.COPIED,
    ],
)
def test_what_is_on_its_way_for_nobody_is_abandoned(ledger: Ledger, state: DatablockState) -> None:
    for pid in (P, Q):
        ledger.datablocks.plan(pid, entries(2, pid), f"run of {pid}")
        bring_to(ledger, key(1, pid), state)
    started(ledger, JOB)
    ledger.jobs.move_dataset(JOB, P, DatasetState.STARTED)
    assert list(ledger.datablocks.abandoned(10)) == [(Q, f"run of {Q}")]
    end(ledger, JOB)
    assert sorted(ledger.datablocks.abandoned(10)) == sorted([(P, f"run of {P}"), (Q, f"run of {Q}")])
    assert len(ledger.datablocks.abandoned(1)) == 1


@pytest.mark.parametrize(
    "state", [DatablockState.PLANNED, DatablockState.STAGED, DatablockState.FAILED, DatablockState.RELEASED]
)
def test_what_is_not_on_its_way_is_not_abandoned(ledger: Ledger, state: DatablockState) -> None:
    ledger.datablocks.plan(P, entries(1), "run-1")
    bring_to(ledger, key(), state)
    assert list(ledger.datablocks.abandoned(10)) == []
