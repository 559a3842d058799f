import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.domain.dataset import RetrieveJob, Selection
from scicat_retriever.domain.errors import CatalogueJobUnknown, DatasetListEmpty
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline import intake
from tests.unit.pipeline.rig import JOB, PID, Rig

SHORT = RetrieveJob(JOB, "retrieve")
WHOLE = RetrieveJob(JOB, "retrieve", (Selection(PID), Selection(DatasetPid("20.500.12345/q"), ("a",))))


def test_accepting_a_job_again_gives_the_first_record() -> None:
    rig = Rig()
    first = intake.accept(WHOLE, rig.ledger)
    rig.ledger.move_job(JOB, JobState.IN_PROGRESS)
    again = intake.accept(SHORT, rig.ledger)
    assert (again.flow, again.job, again.state) == (first.flow, WHOLE, JobState.IN_PROGRESS)


@given(st.text(min_size=1), st.text(min_size=1))
def test_each_job_has_a_flow_of_its_own_that_never_changes(one: str, two: str) -> None:
    assert intake.job_flow(JobId(one)) == intake.job_flow(JobId(one))
    assert (intake.job_flow(JobId(one)) == intake.job_flow(JobId(two))) == (one == two)
    assert uuid.UUID(intake.job_flow(JobId(one)).uuid).version == 5


def test_the_names_of_a_job_and_of_a_dataset_never_meet() -> None:
    assert intake.job_flow(JobId("x")).name != intake.dataset_flow(DatasetPid("x"))


def test_a_job_with_a_dataset_list_is_opened_without_asking_the_catalogue() -> None:
    rig = Rig()
    intake.accept(WHOLE, rig.ledger)
    assert intake.open_job(JOB, rig.tools) == 2


def test_a_short_jobs_dataset_list_is_read_from_the_catalogue() -> None:
    rig = Rig()
    rig.catalogue.add_job(WHOLE)
    intake.accept(SHORT, rig.ledger)
    assert intake.open_job(JOB, rig.tools) == 2
    assert [each.pid for each in rig.ledger.job_datasets(JOB)] == [each.pid for each in WHOLE.datasets]


def test_a_short_job_that_names_no_dataset_in_the_catalogue_either_is_an_error() -> None:
    rig = Rig()
    rig.catalogue.add_job(SHORT)
    intake.accept(SHORT, rig.ledger)
    with pytest.raises(DatasetListEmpty):
        intake.open_job(JOB, rig.tools)


def test_a_short_job_that_the_catalogue_does_not_know_is_an_error() -> None:
    rig = Rig()
    intake.accept(SHORT, rig.ledger)
    with pytest.raises(CatalogueJobUnknown):
        intake.open_job(JOB, rig.tools)
