from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.errors import JobMalformed
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.jobs import reconcile as regular
from scicat_retriever.pipeline.jobs.reconcile import FINDING, Differences, Verdict, reconcile, verdict
from scicat_retriever.ports.catalogue import OPEN, JobUpdate, ListedJob, Visibility
from scicat_retriever.ports.jobs import FlowName, JobRecord
from tests.fakes.catalogue import ACCOUNT, InMemoryCatalogue
from tests.unit.pipeline.rig import JOB, PID, START, Rig

LATER = timedelta(minutes=1)
SUBMITTED, IN_PROGRESS = JobState.SUBMITTED, JobState.IN_PROGRESS
WHOLE = RetrieveJob(JOB, "retrieve", (Selection(PID),), "ada", "p17")
FAULT = JobMalformed("the job has no type", "$.type").failure()
records = st.builds(
    JobRecord,
    st.just(WHOLE),
    st.just(FlowName("uuid", "flow")),
    st.sampled_from(JobState),
    st.just(""),
    st.just(START),
    st.just(START),
)
listed_jobs = st.builds(
    ListedJob,
    st.just(JOB),
    st.sampled_from(OPEN),
    st.sampled_from([None, ACCOUNT, "somebody"]),
    st.just(WHOLE) | st.none(),
)
accounts = st.sampled_from([None, ACCOUNT])


@given(listed_jobs, records | st.none(), accounts)
def test_a_job_is_taken_in_only_if_the_ledger_does_not_know_it(
    listed: ListedJob, record: JobRecord | None, account: str | None
) -> None:
    if verdict(listed, record, account) is Verdict.MISSED:
        assert record is None
        assert listed.job is not None


@given(listed_jobs, records | st.none(), accounts)
def test_an_unknown_job_is_taken_in_only_if_nobody_else_works_on_it(
    listed: ListedJob, record: JobRecord | None, account: str | None
) -> None:
    if verdict(listed, record, account) is Verdict.MISSED and listed.status == IN_PROGRESS:
        assert account is not None
        assert listed.updated_by == account


@given(listed_jobs, records, accounts)
def test_a_usable_job_that_has_ended_here_is_told_again(
    listed: ListedJob, record: JobRecord, account: str | None
) -> None:
    if listed.job is not None and record.state.finished:
        assert verdict(listed, record, account) is Verdict.UNTOLD


@given(listed_jobs, records, accounts)
def test_what_scicat_knows_already_is_not_told_again(
    listed: ListedJob, record: JobRecord, account: str | None
) -> None:
    if listed.job is not None and listed.status == record.state:
        assert verdict(listed, record, account) is Verdict.AGREES


@given(listed_jobs, records, accounts)
def test_what_the_ledger_does_not_hold_is_never_told(
    listed: ListedJob, record: JobRecord, account: str | None
) -> None:
    if verdict(listed, record, account) is Verdict.UNTOLD:
        assert record.state is not SUBMITTED


class AnotherAccount(InMemoryCatalogue):
    """A catalogue whose jobs are updated by somebody else."""

    def account(self) -> str | None:
        return "another account"


class BreaksOff(InMemoryCatalogue):
    """A catalogue whose list breaks off after the first job."""

    def open_jobs(self, types: Collection[str]) -> Iterator[ListedJob]:
        yield next(super().open_jobs(types))
        raise errors.CatalogueUnavailable("the answer broke off")


def rig_with_job(
    state: JobState = SUBMITTED,
    *,
    known: bool = False,
    job: RetrieveJob = WHOLE,
    catalogue: InMemoryCatalogue | None = None,
) -> Rig:
    """A job in SciCat in a state, which the ledger knows as submitted, or not at all."""
    rig = Rig(catalogue=catalogue or InMemoryCatalogue())
    rig.catalogue.add_dataset(PID, ())
    rig.catalogue.add_job(job)
    if state is not SUBMITTED:
        rig.catalogue.update_job(job.id, JobUpdate(state, ""))
    if known:
        intake.accept(job, rig.ledger.jobs)
    return rig


def forget_reports(rig: Rig) -> None:
    """Have the outbox emptied though SciCat was told nothing."""
    for report in rig.ledger.reports.find():
        rig.ledger.reports.delivered(report.number)


def differences(**counts: int) -> Differences:
    """What a look finds that sees one job, and no differences but these."""
    none = {"open": 1, "missed": 0, "told_again": 0, "foreign": 0, "unusable": 0}
    return Differences(**(none | counts), visibility=Visibility.VISIBLE)


def look(rig: Rig) -> Differences:
    rig.clock.advance(LATER)
    return reconcile(["retrieve"], rig.tools)


def test_a_job_that_the_service_was_never_told_of_is_taken_in() -> None:
    rig = rig_with_job()
    assert look(rig) == differences(missed=1)
    assert [each.job_id for each in rig.ledger.job_flows.to_start(9)] == [JOB]


def test_a_job_that_was_taken_in_gets_its_datasets_from_the_catalogue() -> None:
    rig = rig_with_job()
    look(rig)
    assert intake.open_job(JOB, rig.tools) == 1


def test_a_second_look_finds_that_both_agree() -> None:
    rig = rig_with_job()
    look(rig)
    assert look(rig) == differences()


def test_a_job_of_ours_that_the_ledger_lost_is_taken_in() -> None:
    rig = rig_with_job(IN_PROGRESS)
    assert look(rig) == differences(missed=1)


def test_a_job_that_somebody_else_works_on_is_left_alone() -> None:
    rig = rig_with_job(IN_PROGRESS, catalogue=AnotherAccount())
    assert look(rig).foreign == 1
    assert rig.ledger.jobs.get(JOB) is None


def test_jobs_of_other_types_are_not_looked_at() -> None:
    rig = rig_with_job(job=replace(WHOLE, type="archive"))
    assert look(rig).open == 0
    assert rig.ledger.jobs.get(JOB) is None


def test_a_job_that_ended_here_and_not_there_is_told_again() -> None:
    rig = rig_with_job(known=True)
    rig.ledger.jobs.move(JOB, JobState.UNSUCCESSFUL, "cancelled")
    forget_reports(rig)
    assert look(rig) == differences(told_again=1)
    assert [report.content for report in rig.ledger.reports.find()] == [JobState.UNSUCCESSFUL]


def test_a_job_in_progress_here_and_only_submitted_there_is_told_again() -> None:
    rig = rig_with_job(known=True)
    rig.ledger.jobs.move(JOB, IN_PROGRESS)
    forget_reports(rig)
    look(rig)
    assert [report.content for report in rig.ledger.reports.find()] == [IN_PROGRESS]


def test_what_waits_to_be_told_anyway_is_not_written_again() -> None:
    rig = rig_with_job(known=True)
    rig.ledger.jobs.move(JOB, IN_PROGRESS)
    assert look(rig) == differences()
    assert len(rig.ledger.reports.find()) == 1


def test_what_is_parked_is_not_tried_again_by_looking() -> None:
    rig = rig_with_job(known=True)
    rig.ledger.jobs.move(JOB, IN_PROGRESS)
    rig.ledger.reports.park(1, errors.CatalogueJobUnclosable("a dataset is gone").failure())
    assert look(rig) == differences()
    assert rig.ledger.reports.count() == (0, 1)


def test_a_job_that_changed_while_the_list_was_read_is_not_told_again() -> None:
    rig = rig_with_job(known=True)
    rig.ledger.jobs.move(JOB, IN_PROGRESS)
    forget_reports(rig)
    assert reconcile(["retrieve"], rig.tools) == differences()
    assert rig.ledger.reports.find() == []


def test_a_job_that_cannot_be_worked_with_is_counted_and_stops_no_other() -> None:
    rig = Rig()
    rig.catalogue.add_malformed_job(JobId("odd"), FAULT)
    rig.catalogue.add_job(WHOLE)
    assert look(rig) == differences(open=2, missed=1, unusable=1)


def test_an_empty_list_is_believed_where_an_older_job_can_be_seen() -> None:
    rig = rig_with_job(JobState.SUCCESSFUL, known=True)
    assert look(rig) == differences(open=0)


def test_an_empty_list_for_lack_of_rights_is_told_from_one_for_lack_of_work() -> None:
    rig = rig_with_job(known=True)
    rig.catalogue.hide_jobs()
    assert look(rig) == replace(differences(open=0), visibility=Visibility.HIDDEN)


def test_of_an_empty_list_nothing_is_known_before_there_ever_was_a_job() -> None:
    assert look(Rig()) == replace(differences(open=0), visibility=Visibility.UNKNOWN)


def test_what_was_taken_in_before_the_list_broke_off_stays() -> None:
    rig = rig_with_job(catalogue=BreaksOff())
    with pytest.raises(errors.CatalogueUnavailable):
        look(rig)
    assert rig.ledger.jobs.get(JOB) is not None


def test_what_was_found_is_kept_in_plain_words() -> None:
    assert look(rig_with_job()).as_finding() == {
        "open": 1,
        "missed": 1,
        "told_again": 0,
        "foreign": 0,
        "unusable": 0,
        "visibility": "visible",
    }


def test_the_regular_look_counts_what_it_mends_and_keeps_what_it_found() -> None:
    rig = rig_with_job()
    assert regular.look(["retrieve"], rig.tools) == 1
    found = rig.ledger.findings.latest()[FINDING].found
    assert found == differences(missed=1).as_finding()
    assert regular.look(["retrieve"], rig.tools) == 0


def test_a_regular_look_that_breaks_off_says_so_in_place_of_what_the_last_one_found() -> None:
    rig = rig_with_job(catalogue=BreaksOff())
    with pytest.raises(errors.CatalogueUnavailable) as failed:
        regular.look(["retrieve"], rig.tools)
    found = rig.ledger.findings.latest()[FINDING].found
    assert found == {"error": failed.value.code, "message": "the answer broke off"}
