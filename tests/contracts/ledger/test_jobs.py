"""What every ledger promises of jobs and their datasets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.errors import JobNotFound, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from tests.contracts.ledger.rig import Rig
from tests.contracts.ledger.samples import FAILURE, FLOW, HOUR, JOB, ODD, START, P, Q, job


def test_a_new_job_is_submitted_and_given_back_as_it_came(ledger: Ledger) -> None:
    asked = RetrieveJob(JOB, "retrieve", (Selection(P, ("a", "b")), Selection(Q)), "ada", None)
    expected = JobRecord(asked, FLOW, JobState.SUBMITTED, "", START, START)
    assert ledger.jobs.add(asked, FLOW) == expected
    assert ledger.jobs.get(JOB) == expected


def test_an_unknown_job_has_no_record(ledger: Ledger) -> None:
    assert ledger.jobs.get(JobId("nobody")) is None
    assert ledger.jobs.datasets(JobId("nobody")) == []
    assert ledger.needs.progress(JobId("nobody")) == []


def test_a_known_job_stays_as_it_is_and_is_given(rig: Rig) -> None:
    first = rig.ledger.jobs.add(job(JOB, P), FLOW)
    rig.clock.advance(HOUR)
    assert rig.ledger.jobs.add(job(JOB, Q), FlowName("another", "flow")) == first
    assert rig.ledger.jobs.get(JOB) == first
    assert [d.pid for d in rig.ledger.jobs.datasets(JOB)] == [P]


def test_a_refused_job_has_ended_with_a_report_and_is_not_started(rig: Rig) -> None:
    record = rig.ledger.jobs.refuse(job(JOB, P), FLOW, FAILURE)
    assert record == replace(
        JobRecord(job(JOB), FLOW, JobState.UNSUCCESSFUL, FAILURE.message, START, START), failure=FAILURE
    )
    assert rig.ledger.jobs.get(JOB) == record
    assert rig.ledger.jobs.datasets(JOB) == []
    assert rig.ledger.job_flows.to_start(9) == []
    assert [(report.subject, report.content) for report in rig.ledger.reports.find()] == [
        (Subject.job(JOB), JobState.UNSUCCESSFUL)
    ]
    book = [(each.subject, each.old, each.new, each.reason) for each in rig.transitions()]
    ended = ((JOB,), "jobSubmitted", "finishedUnsuccessful", FAILURE.message)
    assert book == [((JOB,), "", "jobSubmitted", ""), ended]


def test_a_job_is_refused_once(rig: Rig) -> None:
    first = rig.ledger.jobs.refuse(job(JOB), FLOW, FAILURE)
    rig.clock.advance(HOUR)
    assert rig.ledger.jobs.refuse(job(JOB), FLOW, replace(FAILURE, message="other words")) == first
    assert rig.ledger.jobs.add(job(JOB, P), FLOW) == first
    assert len(rig.ledger.reports.find()) == 1


def test_a_job_that_was_taken_is_not_refused_any_more(ledger: Ledger) -> None:
    taken = ledger.jobs.add(job(JOB, P), FLOW)
    assert ledger.jobs.refuse(job(JOB), FLOW, FAILURE) == taken
    assert (ledger.jobs.get(JOB), ledger.reports.find()) == (taken, [])


def test_a_refused_job_can_be_retried(ledger: Ledger) -> None:
    ledger.jobs.refuse(job(JOB), FLOW, FAILURE)
    assert ledger.jobs.retry(JOB, FlowName("again", "again")) == 0
    assert [each.attempt for each in ledger.job_flows.to_start(9)] == [2]
    again = ledger.jobs.get(JOB)
    assert again is not None
    assert (again.state, again.failure, again.attempt) == (JobState.SUBMITTED, None, 2)


def test_jobs_stored_at_once_are_as_if_stored_one_after_the_other(rig: Rig) -> None:
    known = rig.ledger.jobs.add(job("known", P), FLOW)
    given = [
        (job("b", P, Q), FlowName("uuid-b", "flow-b")),
        (job("known", Q), FlowName("other", "other")),
        (job("a"), FlowName("uuid-a", "flow-a")),
        (job("b", Q), FlowName("other", "other")),
    ]
    records = rig.ledger.jobs.add_all(given)
    assert [record.job.id for record in records] == ["b", "known", "a", "b"]
    assert (records[1], records[3]) == (known, records[0])
    assert [record.flow.uuid for record in records[::2]] == ["uuid-b", "uuid-a"]
    assert [rig.ledger.jobs.get(record.job.id) for record in records] == records
    assert [each.job_id for each in rig.ledger.job_flows.to_start(9)] == ["known", "b", "a"]
    assert [each.pid for each in rig.ledger.jobs.datasets(JobId("b"))] == [P, Q]
    book = [(each.subject, each.old, each.new) for each in rig.transitions()]
    assert sorted(book[2:]) == sorted(
        [
            (("b",), "", "jobSubmitted"),
            (("a",), "", "jobSubmitted"),
            (("b", P), "", "submitted"),
            (("b", Q), "", "submitted"),
        ]
    )


def test_storing_no_jobs_at_once_is_nothing(ledger: Ledger) -> None:
    assert ledger.jobs.add_all([]) == []
    assert ledger.job_flows.to_start(9) == []


def test_any_text_comes_back_as_it_went_in(ledger: Ledger) -> None:
    asked = RetrieveJob(
        JobId(ODD), ODD, (Selection(DatasetPid(ODD), (ODD, "\\u0000")), Selection(P)), ODD, "\\"
    )
    ledger.jobs.add(asked, FlowName(ODD, ODD))
    ledger.jobs.move(asked.id, JobState.IN_PROGRESS, ODD)
    failure = replace(FAILURE, message=ODD)
    ledger.jobs.move_dataset(asked.id, DatasetPid(ODD), DatasetState.FAILED, [failure])
    record = ledger.jobs.get(asked.id)
    assert record is not None
    assert (record.job, record.flow, record.message) == (asked, FlowName(ODD, ODD), ODD)
    expected = JobDatasetRecord(DatasetPid(ODD), DatasetState.FAILED, (failure,), chosen=True)
    assert ledger.jobs.datasets(asked.id, limit=1) == [expected]


def test_jobs_to_start_are_given_in_the_order_of_arrival_whatever_the_clock_said(rig: Rig) -> None:
    for number in range(3):
        rig.ledger.jobs.add(job(f"job {number}", P), FLOW)
        rig.clock.advance(-HOUR)
    assert [each.job_id for each in rig.ledger.job_flows.to_start(2)] == ["job 0", "job 1"]


def test_a_job_whose_flow_was_started_is_not_to_be_started(ledger: Ledger) -> None:
    ledger.jobs.add(job("a", P), FLOW)
    ledger.jobs.add(job("b", P), FLOW)
    ledger.job_flows.mark_started([JobId("a")])
    ledger.job_flows.mark_started([JobId("a")])
    assert ledger.job_flows.to_start(9) == [JobFlow(JobId("b"), FLOW)]


def test_jobs_whose_flows_were_started_are_marked_at_once(ledger: Ledger) -> None:
    ids = [JobId(name) for name in ("a", "b", "c")]
    ledger.jobs.add_all([(job(job_id), FlowName(f"uuid-{job_id}", job_id)) for job_id in ids])
    ledger.job_flows.mark_started([ids[2], ids[0]])
    assert [each.job_id for each in ledger.job_flows.to_start(9)] == ["b"]
    ledger.job_flows.mark_started([])
    ledger.job_flows.mark_started(ids)
    assert ledger.job_flows.to_start(9) == []


def test_of_jobs_among_which_one_is_unknown_none_is_marked(ledger: Ledger) -> None:
    ledger.jobs.add(job("a"), FLOW)
    with pytest.raises(JobNotFound):
        ledger.job_flows.mark_started([JobId("a"), JobId("nobody")])
    assert [each.job_id for each in ledger.job_flows.to_start(9)] == ["a"]


def test_a_job_that_has_ended_is_not_to_be_started(ledger: Ledger) -> None:
    ledger.jobs.add(job("a", P), FLOW)
    ledger.jobs.move(JobId("a"), JobState.UNSUCCESSFUL, "cancelled")
    assert ledger.job_flows.to_start(9) == []


def test_a_short_form_job_is_completed_once(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB), FLOW)
    ledger.jobs.complete(JOB, RetrieveJob(JOB, "retrieve", (Selection(Q), Selection(P, ("a",)))))
    ledger.jobs.complete(JOB, job(JOB, P))
    record = ledger.jobs.get(JOB)
    assert record is not None
    assert record.job.datasets == (Selection(Q), Selection(P, ("a",)))
    assert [d.pid for d in ledger.jobs.datasets(JOB)] == [Q, P]


def test_a_list_that_came_with_the_job_is_not_replaced(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.complete(JOB, job(JOB, Q))
    assert [d.pid for d in ledger.jobs.datasets(JOB)] == [P]


def test_datasets_asked_for_twice_are_listed_once_in_the_order_asked_for(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, Q, P, Q), FLOW)
    submitted = DatasetState.SUBMITTED
    assert ledger.jobs.datasets(JOB) == [JobDatasetRecord(Q, submitted), JobDatasetRecord(P, submitted)]


def test_datasets_are_paged_by_place(ledger: Ledger) -> None:
    pids = [DatasetPid(f"p{number}") for number in range(7)]
    ledger.jobs.add(job(JOB, *pids), FLOW)
    assert [d.pid for d in ledger.jobs.datasets(JOB, 2, 3)] == pids[2:5]
    assert [d.pid for d in ledger.jobs.datasets(JOB, 5)] == pids[5:]
    assert ledger.jobs.datasets(JOB, 7, 3) == []


def test_a_job_with_ten_thousand_datasets_is_stored(ledger: Ledger) -> None:
    pids = [DatasetPid(f"20.500.12345/{number}") for number in range(10_000)]
    ledger.jobs.add(job(JOB, *pids), FLOW)
    assert [d.pid for d in ledger.jobs.datasets(JOB)] == pids


def test_moving_a_job_keeps_its_state_message_and_time(rig: Rig) -> None:
    rig.ledger.jobs.add(job(JOB, P), FLOW)
    moved = rig.clock.advance(HOUR)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS, "2 datasets")
    expected = JobRecord(job(JOB, P), FLOW, JobState.IN_PROGRESS, "2 datasets", START, moved)
    assert rig.ledger.jobs.get(JOB) == expected


def test_repeating_a_job_state_changes_the_message_alone(rig: Rig) -> None:
    rig.ledger.jobs.add(job(JOB, P), FLOW)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS, "first")
    rig.clock.advance(HOUR)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS, "second")
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert (record.message, record.updated_at) == ("second", START)
    assert [t.new for t in rig.transitions() if t.subject == (JOB,)] == ["jobSubmitted", "inProgress"]


def test_the_time_of_a_job_never_goes_back_though_the_clock_does(rig: Rig) -> None:
    rig.ledger.jobs.add(job(JOB, P), FLOW)
    rig.clock.advance(-HOUR)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert record.updated_at == START


def test_a_finished_job_stays_finished(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, "deadline")
    with pytest.raises(TransitionIllegal):
        ledger.jobs.move(JOB, JobState.IN_PROGRESS, "again")
    record = ledger.jobs.get(JOB)
    assert record is not None
    assert (record.state, record.message) == (JobState.UNSUCCESSFUL, "deadline")


def test_a_dataset_keeps_its_state_and_failures(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P, Q), FLOW)
    without_archive = replace(FAILURE, archive_id=None)
    ledger.jobs.move_dataset(JOB, Q, DatasetState.STARTED)
    ledger.jobs.move_dataset(JOB, Q, DatasetState.FAILED, [FAILURE, without_archive])
    assert ledger.jobs.datasets(JOB) == [
        JobDatasetRecord(P, DatasetState.SUBMITTED),
        JobDatasetRecord(Q, DatasetState.FAILED, (FAILURE, without_archive)),
    ]


def test_a_dataset_that_failed_stays_so(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    ledger.jobs.move_dataset(JOB, P, DatasetState.FAILED, [FAILURE])
    with pytest.raises(TransitionIllegal):
        ledger.jobs.move_dataset(JOB, P, DatasetState.RETRIEVED)
    assert ledger.jobs.datasets(JOB) == [JobDatasetRecord(P, DatasetState.FAILED, (FAILURE,))]


def test_a_dataset_that_the_job_does_not_ask_for_cannot_be_moved(ledger: Ledger) -> None:
    ledger.jobs.add(job(JOB, P), FLOW)
    with pytest.raises(TransitionIllegal):
        ledger.jobs.move_dataset(JOB, Q, DatasetState.STARTED)


def test_the_same_dataset_in_two_jobs_is_moved_apart(ledger: Ledger) -> None:
    ledger.jobs.add(job("a", P), FLOW)
    ledger.jobs.add(job("b", P), FLOW)
    ledger.jobs.move_dataset(JobId("a"), P, DatasetState.FAILED, [FAILURE])
    assert ledger.jobs.datasets(JobId("b")) == [JobDatasetRecord(P, DatasetState.SUBMITTED)]


def test_an_unknown_job_cannot_be_changed(ledger: Ledger) -> None:
    nobody = JobId("nobody")
    with pytest.raises(JobNotFound):
        ledger.jobs.move(nobody, JobState.IN_PROGRESS)
    with pytest.raises(JobNotFound):
        ledger.jobs.move_dataset(nobody, P, DatasetState.STARTED)
    with pytest.raises(JobNotFound):
        ledger.job_flows.mark_started([nobody])
    with pytest.raises(JobNotFound):
        ledger.jobs.complete(nobody, job("nobody", P))


def test_every_change_of_a_job_and_its_datasets_is_in_the_book_with_its_time(rig: Rig) -> None:
    rig.ledger.jobs.add(job(JOB, P), FLOW)
    later = rig.clock.advance(HOUR)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS, "started")
    rig.ledger.jobs.move_dataset(JOB, P, DatasetState.FAILED, [FAILURE])
    assert [(t.at, t.subject, t.old, t.new, t.reason) for t in rig.transitions()] == [
        (START, (JOB,), "", "jobSubmitted", ""),
        (START, (JOB, P), "", "submitted", ""),
        (later, (JOB,), "jobSubmitted", "inProgress", "started"),
        (later, (JOB, P), "submitted", "failed", "checksum_mismatch"),
    ]


def test_a_refused_change_is_not_in_the_book(rig: Rig) -> None:
    rig.ledger.jobs.add(job(JOB, P), FLOW)
    before = list(rig.transitions())
    with pytest.raises(TransitionIllegal):
        rig.ledger.jobs.move(JOB, JobState.SUCCESSFUL)
    assert rig.transitions() == before
