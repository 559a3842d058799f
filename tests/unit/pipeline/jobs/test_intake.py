import uuid
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueForbidden,
    CatalogueJobUnknown,
    CatalogueUnavailable,
    DatasetListEmpty,
    JobNotEnded,
    JobNotFound,
    NothingToRetry,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.ports.job_flows import JobFlow
from tests.unit.pipeline.rig import JOB, PID, Rig

SHORT = RetrieveJob(JOB, "retrieve")
Q = DatasetPid("20.500.12345/q")
WHOLE = RetrieveJob(JOB, "retrieve", (Selection(PID), Selection(Q, ("a",))))
attempts = st.integers(1, 10**6)


def test_accepting_a_job_again_gives_the_first_record() -> None:
    rig = Rig()
    first = intake.accept(WHOLE, rig.ledger.jobs)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    again = intake.accept(SHORT, rig.ledger.jobs)
    assert (again.flow, again.job, again.state) == (first.flow, WHOLE, JobState.IN_PROGRESS)


@given(st.text(min_size=1), st.text(min_size=1))
def test_each_job_has_a_flow_of_its_own_that_never_changes(one: str, two: str) -> None:
    assert intake.job_flow(JobId(one)) == intake.job_flow(JobId(one))
    assert (intake.job_flow(JobId(one)) == intake.job_flow(JobId(two))) == (one == two)
    assert uuid.UUID(intake.job_flow(JobId(one)).uuid).version == 5


@given(st.text(min_size=1), st.text(min_size=1), attempts, attempts)
def test_each_attempt_of_each_job_has_a_flow_of_its_own(one: str, two: str, first: int, second: int) -> None:
    assume((one, first) != (two, second))
    flow, other = intake.job_flow(JobId(one), first), intake.job_flow(JobId(two), second)
    assert flow.uuid != other.uuid
    assert flow.name != other.name


def test_the_names_of_a_job_and_of_a_dataset_never_meet() -> None:
    assert intake.job_flow(JobId("x")).name != intake.dataset_flow(DatasetPid("x"))


def test_a_job_with_a_dataset_list_is_opened_without_asking_the_catalogue() -> None:
    rig = Rig()
    intake.accept(WHOLE, rig.ledger.jobs)
    assert intake.open_job(JOB, rig.tools) == 2


def with_quotas() -> Rig:
    """Give a rig with quotas, and a job that came without the group whose quota it counts in."""
    rig = Rig()
    rig.tools = replace(rig.tools, cache=replace(rig.tools.cache, quotas={"p1": 10**9}))
    intake.accept(WHOLE, rig.ledger.jobs)
    rig.catalogue.add_job(replace(WHOLE, owner_group="p1"))
    return rig


def group(rig: Rig) -> str | None:
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    return record.job.owner_group


def test_whose_quota_a_job_counts_in_is_asked_again_where_the_catalogue_is_away() -> None:
    rig = with_quotas()
    rig.catalogue.fail(CatalogueUnavailable("it is being restarted"))
    with pytest.raises(CatalogueUnavailable):
        intake.open_job(JOB, rig.tools)
    assert intake.open_job(JOB, rig.tools) == 2
    assert group(rig) == "p1"


@pytest.mark.parametrize("error", [CatalogueForbidden, CatalogueJobUnknown])
def test_a_job_of_which_the_catalogue_does_not_tell_the_group_is_carried_out(
    error: type[CatalogueError],
) -> None:
    rig = with_quotas()
    rig.catalogue.fail(error("it does not tell"))
    assert intake.open_job(JOB, rig.tools) == 2
    assert group(rig) is None


def test_a_job_that_the_catalogue_has_otherwise_by_now_is_carried_out_as_it_came() -> None:
    rig = with_quotas()
    rig.catalogue.add_job(SHORT)
    assert intake.open_job(JOB, rig.tools) == 2
    assert group(rig) is None


def test_a_short_jobs_dataset_list_is_read_from_the_catalogue() -> None:
    rig = Rig()
    rig.catalogue.add_job(WHOLE)
    intake.accept(SHORT, rig.ledger.jobs)
    assert intake.open_job(JOB, rig.tools) == 2
    assert [each.pid for each in rig.ledger.jobs.datasets(JOB)] == [each.pid for each in WHOLE.datasets]


def test_a_short_job_that_names_no_dataset_in_the_catalogue_either_is_an_error() -> None:
    rig = Rig()
    rig.catalogue.add_job(SHORT)
    intake.accept(SHORT, rig.ledger.jobs)
    with pytest.raises(DatasetListEmpty):
        intake.open_job(JOB, rig.tools)


def test_a_short_job_that_the_catalogue_does_not_know_is_an_error() -> None:
    rig = Rig()
    intake.accept(SHORT, rig.ledger.jobs)
    with pytest.raises(CatalogueJobUnknown):
        intake.open_job(JOB, rig.tools)


def ended(*retrieved: DatasetPid) -> Rig:
    """A job that ended, some of its datasets there and the others failed."""
    rig = Rig()
    intake.accept(WHOLE, rig.ledger.jobs)
    rig.ledger.job_flows.mark_started([JOB])
    for pid in (PID, Q):
        if pid in retrieved:
            (record,) = rig.staged_dataset(pid=pid)
            if pid == Q:
                rig.ledger.needs.note_choice(JOB, Q, [record.key.id], 0, None)
        state = DatasetState.RETRIEVED if pid in retrieved else DatasetState.FAILED
        rig.ledger.jobs.move_dataset(JOB, pid, state)
    rig.ledger.jobs.move(JOB, JobState.IN_PROGRESS)
    whole = set(retrieved) == {PID, Q}
    rig.ledger.jobs.move(JOB, JobState.SUCCESSFUL if whole else JobState.WITH_DATASET_ERRORS)
    return rig


def states(rig: Rig) -> list[DatasetState]:
    return [each.state for each in rig.ledger.jobs.datasets(JOB)]


def test_a_retried_job_is_to_be_started_with_a_flow_of_its_own() -> None:
    rig = ended()
    record = intake.retry(JOB, rig.ledger.jobs)
    assert (record.state, record.attempt, record.flow) == (JobState.SUBMITTED, 2, intake.job_flow(JOB, 2))
    assert rig.ledger.jobs.get(JOB) == record
    assert rig.ledger.job_flows.to_start(9) == [JobFlow(JOB, record.flow, 2)]


def test_a_retry_retrieves_what_is_not_there() -> None:
    rig = ended(PID)
    intake.retry(JOB, rig.ledger.jobs)
    assert states(rig) == [DatasetState.RETRIEVED, DatasetState.SUBMITTED]


def test_a_retry_retrieves_what_it_was_asked_for_alone() -> None:
    rig = ended()
    intake.retry(JOB, rig.ledger.jobs, {Q})
    assert states(rig) == [DatasetState.FAILED, DatasetState.SUBMITTED]


def test_a_job_of_which_all_is_there_is_not_retried() -> None:
    rig = ended(PID, Q)
    with pytest.raises(NothingToRetry):
        intake.retry(JOB, rig.ledger.jobs)


def test_a_job_that_has_not_ended_is_not_retried() -> None:
    rig = Rig()
    intake.accept(WHOLE, rig.ledger.jobs)
    with pytest.raises(JobNotEnded):
        intake.retry(JOB, rig.ledger.jobs)


def test_an_unknown_job_is_not_retried() -> None:
    with pytest.raises(JobNotFound):
        intake.retry(JOB, Rig().ledger.jobs)


def test_a_job_that_lost_its_flow_gets_the_next_one() -> None:
    rig = Rig()
    lost = JobFlow(JOB, intake.accept(WHOLE, rig.ledger.jobs).flow)
    rig.ledger.job_flows.mark_started([JOB])
    assert intake.restart(lost, rig.ledger.job_flows)
    assert [each.flow for each in rig.ledger.job_flows.to_start(9)] == [intake.job_flow(JOB, 2)]


def test_a_lost_flow_is_replaced_once() -> None:
    rig = Rig()
    lost = JobFlow(JOB, intake.accept(WHOLE, rig.ledger.jobs).flow)
    intake.restart(lost, rig.ledger.job_flows)
    assert not intake.restart(lost, rig.ledger.job_flows)
    assert [each.attempt for each in rig.ledger.job_flows.to_start(9)] == [2]


def test_a_job_that_has_ended_gets_no_new_flow() -> None:
    rig = ended()
    lost = JobFlow(JOB, intake.job_flow(JOB, 1))
    assert not intake.restart(lost, rig.ledger.job_flows)
