"""What every ledger promises of reports: what SciCat has to hear and was not told yet."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from scicat_retriever.domain.errors import JobNotFound, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, JobState, LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Report, Subject
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
    entries,
    job,
    key,
    tell_all,
)

STARTED = LifecycleUpdate(LifecycleWord.STARTED)
RETRIEVED = LifecycleUpdate(LifecycleWord.RETRIEVED, retrievable=True, integrity_check=True)
FAILED = LifecycleUpdate(
    LifecycleWord.FAILED, {"status": "retrievalFailed", "code": "x"}, integrity_check=False
)
OF_JOB, OF_P, OF_Q = Subject.job(JOB), Subject.dataset(P), Subject.dataset(Q)
CLAIM = timedelta(seconds=5)


def only(ledger: Ledger) -> Report:
    (found,) = ledger.reports.find()
    return found


def told(ledger: Ledger) -> list[object]:
    return [report.content for report in ledger.reports.find()]


def test_a_new_state_of_a_job_is_to_be_told(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    expected = Report(only(ledger).number, OF_JOB, JobState.IN_PROGRESS, START, START)
    assert only(ledger) == expected


def test_a_job_that_is_stored_is_known_to_the_catalogue_already(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    assert ledger.reports.find() == []


def test_a_state_that_stays_is_not_told_again(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS, "said again")
    assert told(ledger) == [JobState.IN_PROGRESS]


def test_a_state_that_was_refused_is_not_told(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    with pytest.raises(TransitionIllegal):
        ledger.jobs.move(JOB, JobState.SUCCESSFUL)
    assert ledger.reports.find() == []


@pytest.mark.parametrize("update", [STARTED, FAILED, LifecycleUpdate(LifecycleWord.FAILED, {"message": ODD})])
def test_what_is_told_of_a_dataset_comes_back_as_it_was(ledger: Ledger, update: LifecycleUpdate) -> None:
    ledger.reports.tell_dataset(DatasetPid(ODD), update)
    assert (only(ledger).subject.name, only(ledger).content) == (ODD, update)


def test_a_dataset_that_is_staged_is_told_as_retrieved(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    for number in range(2):
        bring_to(ledger, key(number), DatablockState.STAGED)
    ledger.reports.tell_dataset(P, RETRIEVED)
    assert told(ledger) == [RETRIEVED]


def test_a_dataset_that_is_not_all_staged_is_never_told_as_retrieved(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(0), DatablockState.STAGED)
    bring_to(ledger, key(1), DatablockState.COPIED)
    with pytest.raises(TransitionIllegal):
        ledger.reports.tell_dataset(P, RETRIEVED)
    assert ledger.reports.find() == []


def test_a_dataset_without_datablocks_is_never_told_as_retrieved(ledger: Ledger) -> None:
    with pytest.raises(TransitionIllegal):
        ledger.reports.tell_dataset(P, RETRIEVED)


def test_a_datablock_that_is_no_longer_listed_does_not_count(ledger: Ledger) -> None:
    ledger.datablocks.plan(P, entries(2), "run-1")
    bring_to(ledger, key(0), DatablockState.STAGED)
    ledger.datablocks.plan(P, entries(1), "run-1")
    ledger.reports.tell_dataset(P, RETRIEVED)
    assert told(ledger) == [RETRIEVED]


def test_reports_are_given_in_their_order(ledger: Ledger) -> None:
    for update in (STARTED, FAILED, STARTED):
        ledger.reports.tell_dataset(P, update)
        ledger.reports.tell_dataset(Q, update)
    assert [report.content for report in ledger.reports.find(OF_P)] == [STARTED, FAILED, STARTED]
    numbers = [report.number for report in ledger.reports.find()]
    assert numbers == sorted(numbers)


def test_reports_are_paged_by_number(ledger: Ledger) -> None:
    for _ in range(5):
        ledger.reports.tell_dataset(P, STARTED)
    numbers = [report.number for report in ledger.reports.find()]
    assert [report.number for report in ledger.reports.find(after=numbers[1], limit=2)] == numbers[2:4]
    assert ledger.reports.find(after=numbers[4]) == []


def test_the_reports_of_a_subject_are_paged_by_number(ledger: Ledger) -> None:
    for pid in (P, Q, P, Q, P):
        ledger.reports.tell_dataset(pid, STARTED)
    first, second, third = (report.number for report in ledger.reports.find(OF_P))
    assert [report.number for report in ledger.reports.find(OF_P, after=first, limit=1)] == [second]
    assert [report.number for report in ledger.reports.find(OF_P, after=second)] == [third]


def test_a_job_and_a_dataset_of_one_name_are_two_subjects(ledger: Ledger) -> None:
    ledger.jobs.add(job(P, P), FLOW)
    ledger.jobs.move(JobId(P), JobState.IN_PROGRESS)
    ledger.reports.tell_dataset(P, STARTED)
    assert [report.content for report in ledger.reports.find(Subject.job(JobId(P)))] == [JobState.IN_PROGRESS]
    assert [report.content for report in ledger.reports.find(OF_P)] == [STARTED]


def test_what_was_told_is_forgotten(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.delivered(only(ledger).number)
    assert ledger.reports.find() == []


def test_that_a_forgotten_report_was_told_changes_nothing(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    number = only(ledger).number
    ledger.reports.delivered(number)
    ledger.reports.delivered(number)
    ledger.reports.postpone(number, FAILURE, START)
    ledger.reports.park(number, FAILURE)
    assert ledger.reports.find() == []


def test_a_number_is_never_used_again(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    first = only(ledger).number
    ledger.reports.delivered(first)
    ledger.reports.tell_dataset(Q, STARTED)
    assert only(ledger).number > first


def test_a_vain_attempt_is_noted_with_its_reason_and_the_next_time(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    before = only(ledger)
    failure = replace(FAILURE, message=ODD)
    ledger.reports.postpone(before.number, failure, START + HOUR)
    assert only(ledger) == replace(before, attempts=1, failure=failure, due_at=START + HOUR)


def test_vain_attempts_are_counted_and_the_last_reason_stays(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    other = replace(FAILURE, code="another", archive_id=None)
    ledger.reports.postpone(only(ledger).number, FAILURE, START)
    ledger.reports.postpone(only(ledger).number, other, START)
    assert (only(ledger).attempts, only(ledger).failure) == (2, other)


def test_a_parked_report_keeps_its_reason(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    before = only(ledger)
    ledger.reports.park(before.number, FAILURE)
    assert only(ledger) == replace(before, attempts=1, failure=FAILURE, parked=True)


def test_reports_that_wait_and_that_are_parked_are_counted(ledger: Ledger) -> None:
    for _ in range(3):
        ledger.reports.tell_dataset(P, STARTED)
    assert ledger.reports.count() == (3, 0)
    ledger.reports.park(ledger.reports.find()[0].number, FAILURE)
    assert ledger.reports.count() == (2, 1)
    tell_all(ledger, OF_P)
    assert ledger.reports.count() == (0, 0)


def test_an_unparked_report_is_as_new_but_for_its_attempts(rig: Rig) -> None:
    rig.ledger.reports.tell_dataset(P, STARTED)
    parked = only(rig.ledger)
    rig.ledger.reports.park(parked.number, FAILURE)
    now = rig.clock.advance(HOUR)
    assert rig.ledger.reports.unpark() == 1
    expected = replace(parked, attempts=1, failure=FAILURE, created_at=now, due_at=now)
    assert only(rig.ledger) == expected


def test_the_parked_reports_of_one_subject_are_unparked(ledger: Ledger) -> None:
    for pid in (P, Q, P):
        ledger.reports.tell_dataset(pid, STARTED)
    for report in ledger.reports.find():
        ledger.reports.park(report.number, FAILURE)
    assert ledger.reports.unpark(OF_P) == 1, "the later one overtook the first"
    assert [report.subject for report in ledger.reports.find() if report.parked] == [OF_Q]


def test_reports_that_are_not_parked_are_not_unparked(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.postpone(only(ledger).number, FAILURE, START + HOUR)
    assert ledger.reports.unpark() == 0
    assert only(ledger).due_at == START + HOUR


def test_parked_reports_that_are_older_than_one_that_was_told_are_forgotten(ledger: Ledger) -> None:
    for pid, update in ((P, STARTED), (Q, STARTED), (P, FAILED), (P, STARTED)):
        ledger.reports.tell_dataset(pid, update)
    first, _, _, last = (report.number for report in ledger.reports.find())
    for report in (first, last):
        ledger.reports.park(report, FAILURE)
    second = ledger.reports.find(OF_P)[1].number
    ledger.reports.delivered(second)
    assert [report.number for report in ledger.reports.find(OF_P)] == [last]
    assert len(ledger.reports.find(OF_Q)) == 1


def test_an_older_report_that_waits_is_not_forgotten_with_a_later_one(ledger: Ledger) -> None:
    ledger.reports.tell_dataset(P, STARTED)
    ledger.reports.tell_dataset(P, FAILED)
    ledger.reports.delivered(ledger.reports.find()[1].number)
    assert told(ledger) == [STARTED]


def test_a_job_is_told_again_as_it_is(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL)
    tell_all(ledger, OF_JOB)
    assert ledger.reports.tell_job_again(JOB)
    assert told(ledger) == [JobState.UNSUCCESSFUL]


@pytest.mark.parametrize("parked", [False, True])
def test_a_job_that_waits_to_be_told_or_is_parked_is_not_told_again(ledger: Ledger, *, parked: bool) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    if parked:
        ledger.reports.park(only(ledger).number, FAILURE)
    assert not ledger.reports.tell_job_again(JOB)
    assert told(ledger) == [JobState.IN_PROGRESS]


def test_an_unknown_job_is_not_told_again(ledger: Ledger) -> None:
    with pytest.raises(JobNotFound):
        ledger.reports.tell_job_again(JOB)
