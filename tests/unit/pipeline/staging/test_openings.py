from collections.abc import Iterator
from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.pipeline.jobs.status import STARTED
from scicat_retriever.pipeline.staging import openings
from scicat_retriever.pipeline.tools.attempts import FORBIDDEN_ATTEMPTS
from tests.fakes.catalogue import InMemoryCatalogue
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.pipeline.rig import FILES, JOB, PID, Rig, tar

SIZE = len(tar(FILES))
Q = DatasetPid("20.500.12345/q")


def rig_of(datablocks: float, *pids: DatasetPid, catalogue: InMemoryCatalogue | None = None) -> Rig:
    """Staging with room for so many datablocks, and a job for datasets of one datablock each, none measured."""
    rig = Rig(staging=InMemoryStagingArea(int(datablocks * SIZE)), catalogue=catalogue or InMemoryCatalogue())
    for pid in pids:
        rig.catalogue.add_dataset(pid, (rig.archive(pid=pid),))
    rig.submit(*pids, measure=False)
    return rig


def status(rig: Rig) -> str:
    record = rig.ledger.jobs.get(JOB)
    assert record is not None
    return record.message


def waits(rig: Rig) -> str:
    return rig.ledger.jobs.datasets(JOB)[0].reason


class OddCatalogue(InMemoryCatalogue):
    """Has no usable answer for the datablocks of one dataset, whose size it does not declare."""

    def dataset(self, pid: DatasetPid) -> Dataset:
        return replace(super().dataset(pid), packed_size=0)

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        if pid == Q:
            raise errors.CatalogueUnavailable("500")
        return super().datablocks(pid)


def test_a_job_is_opened_once_its_datasets_are_measured() -> None:
    rig = rig_of(3, PID, Q)
    assert openings.open_job(JOB, 1, rig.tools) == 2
    assert rig.ledger.claims.datasets_without_size(JOB, 9) == []


def test_a_job_whose_dataset_may_not_be_read_waits_until_scicat_is_believed() -> None:
    rig = rig_of(3, PID)
    rig.catalogue.fail(errors.CatalogueForbidden("403"), "dataset", times=2)
    with pytest.raises(errors.CatalogueForbidden):
        openings.open_job(JOB, FORBIDDEN_ATTEMPTS - 1, rig.tools)
    assert status(rig) == "waiting for SciCat: 403"
    assert openings.open_job(JOB, FORBIDDEN_ATTEMPTS, rig.tools) == 1


def test_an_odd_dataset_holds_up_the_job_until_the_eighth_attempt() -> None:
    rig = rig_of(3, PID, Q, catalogue=OddCatalogue())
    with pytest.raises(errors.CatalogueUnavailable):
        openings.open_job(JOB, openings.ODD_ATTEMPTS - 1, rig.tools)
    assert openings.open_job(JOB, openings.ODD_ATTEMPTS, rig.tools) == 2


def test_a_job_that_waits_for_space_says_so_and_one_that_has_it_is_retrieved() -> None:
    rig = rig_of(1, Q)
    rig.catalogue.add_dataset(PID, (rig.archive(),))
    rig.job(PID, name=JobId("other"))
    openings.open_job(JOB, 1, rig.tools)
    with pytest.raises(errors.NoSpaceYet) as why:
        openings.claim_job(JOB, rig.tools)
    assert status(rig) == str(why.value)
    rig.ledger.jobs.move(JobId("other"), JobState.UNSUCCESSFUL)
    rig.ledger.claims.end_idle()
    openings.claim_job(JOB, rig.tools)
    assert status(rig) == STARTED


def test_a_dataset_that_scicat_does_not_answer_for_says_so() -> None:
    rig = rig_of(1, PID)
    rig.ledger.jobs.move_dataset(JOB, PID, DatasetState.STARTED)
    rig.catalogue.fail(errors.CatalogueUnavailable("503"), "dataset")
    with pytest.raises(errors.CatalogueUnavailable):
        openings.open_dataset(PID, "run-1", rig.tools)
    assert waits(rig) == "waiting for SciCat: 503"
    assert openings.open_dataset(PID, "run-1", rig.tools) == openings.Opening(1, staged=False, claimed=True)
    assert waits(rig) == ""


def test_a_dataset_without_space_is_opened_all_the_same() -> None:
    rig = rig_of(1.5, PID, Q)
    openings.open_dataset(PID, "run-1", rig.tools)
    assert openings.open_dataset(Q, "run-2", rig.tools) == openings.Opening(1, staged=False, claimed=False)
    with pytest.raises(errors.NoSpaceYet):
        openings.claim_dataset(Q, rig.tools)


def test_a_dataset_of_which_all_is_staged_is_opened_as_staged() -> None:
    rig = Rig()
    rig.retrieved(PID)
    assert openings.open_dataset(PID, "run-2", rig.tools) == openings.Opening(1, staged=True, claimed=True)
