import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.states import JobState
from scicat_retriever.pipeline.jobs.status import STARTED
from scicat_retriever.pipeline.reports.start import start_job
from tests.unit.pipeline.rig import JOB, PID, Rig


def rig_with_job() -> Rig:
    rig = Rig()
    rig.catalogue.add_dataset(PID, (rig.archive(),))
    rig.submit(PID, measure=False)
    return rig


def told(rig: Rig) -> JobState:
    return rig.catalogue.held_job(JOB).state


def test_scicat_holds_that_a_job_is_in_progress_when_it_is_started() -> None:
    rig = rig_with_job()
    start_job(JOB, rig.teller(), rig.tools)
    assert told(rig) is JobState.IN_PROGRESS
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert record.message == STARTED


def test_a_job_is_not_started_before_scicat_was_told() -> None:
    rig = rig_with_job()
    rig.catalogue.fail(errors.CatalogueUnavailable("503"), "update_job")
    with pytest.raises(errors.CatalogueUnavailable):
        start_job(JOB, rig.teller(), rig.tools)
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    assert record.message == "waiting for SciCat: 503"


def test_a_job_of_which_scicat_cannot_be_asked_now_is_told_to_be_in_progress() -> None:
    rig = rig_with_job()
    rig.catalogue.fail(errors.CatalogueUnavailable("503"), "job")
    start_job(JOB, rig.teller(), rig.tools)
    assert told(rig) is JobState.IN_PROGRESS


def test_a_job_of_which_a_dataset_was_deleted_is_started_all_the_same() -> None:
    rig = rig_with_job()
    rig.catalogue.fail(errors.CatalogueJobUnclosable("a dataset is gone"), "update_job")
    start_job(JOB, rig.teller(), rig.tools)
