from collections.abc import Iterator
from dataclasses import replace

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.jobs import plan
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.transfer import publish
from tests.fakes.catalogue import InMemoryCatalogue
from tests.unit.pipeline.rig import FILES, JOB, PID, RETENTION, START, Rig, tar
from tests.unit.pipeline.shown import page_of


def test_all_datablocks_of_a_dataset_are_planned() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, [rig.archive(number) for number in range(150)])
    planned = plan.plan_dataset(PID, "run-1", rig.tools)
    assert (planned.datablocks, planned.files) == (150, 150 * len(FILES))
    assert planned.packed_size == 150 * len(tar(FILES))
    assert {record.state for record in rig.ledger.datablocks.of(PID)} == {DatablockState.PLANNED}


def test_a_dataset_without_datablocks_is_an_error() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, [])
    with pytest.raises(errors.DatablocksMissing):
        rig.plan_again("run-1")


class BoastingCatalogue(InMemoryCatalogue):
    """A catalogue whose datasets declare more than their datablocks hold, and may list none."""

    def __init__(self, *, files: int = 0, packed_size: int = 0, lists: bool = True) -> None:
        super().__init__()
        self._files, self._packed_size, self._lists = files, packed_size, lists

    def dataset(self, pid: DatasetPid) -> Dataset:
        told = super().dataset(pid)
        return replace(
            told,
            files_archived=told.files_archived + self._files,
            packed_size=told.packed_size + self._packed_size,
        )

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        return super().datablocks(pid) if self._lists else iter(())


@pytest.mark.parametrize(
    ("catalogue", "message"),
    [
        (BoastingCatalogue(files=1), "declares 4 archived files, its 1 datablocks hold 3"),
        (BoastingCatalogue(packed_size=1), "archived bytes, its 1 datablocks hold"),
        (BoastingCatalogue(lists=False), "has no datablocks in the catalogue"),
    ],
    ids=["files", "bytes", "none listed"],
)
def test_fewer_datablocks_than_the_dataset_declares_are_an_error(
    catalogue: BoastingCatalogue, message: str
) -> None:
    rig = Rig(catalogue=catalogue)
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_declared_sums=True))
    with pytest.raises(errors.DatablocksMissing, match=message):
        rig.plan()


def test_a_dataset_whose_sums_drifted_is_planned_and_its_result_says_so() -> None:
    rig = Rig()
    rig.retrieved(PID)
    assert "remarks" not in report.job_result(JOB, None, {}, rig.tools).body
    assert page_of(rig)["remark"] is None
    rig.catalogue.declare(PID, files=99, packed_size=5)
    rig.plan_again("run-2")
    (remark,) = report.job_result(JOB, None, {}, rig.tools).body["remarks"]
    assert (remark["datasetId"], remark["code"]) == (PID, "sums_differ")
    held = f"its 1 datablocks hold {len(tar(FILES))}"
    assert remark["message"] == (
        f"declares 99 archived files, its 1 datablocks hold 3 and declares 5 archived bytes, {held}"
    )
    assert page_of(rig)["remark"] == remark["message"]
    rig.catalogue.declare(PID, files=0, packed_size=len(tar(FILES)))
    rig.plan_again("run-3")
    assert "remarks" not in report.job_result(JOB, None, {}, rig.tools).body


def test_a_dataset_that_declares_less_than_its_datablocks_hold_is_planned_in_any_case() -> None:
    rig = Rig()
    rig.tools = replace(rig.tools, archives=ArchivePolicy(check_declared_sums=True))
    rig.catalogue.add_dataset(PID, [rig.archive()])
    rig.catalogue.declare(PID, files=1, packed_size=1)
    assert len(rig.plan_again("run-1")) == 1


def test_datablocks_that_may_not_be_all_are_not_planned() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, [rig.archive(0), rig.archive(1)])
    rig.catalogue.show_only(PID, 1)
    with pytest.raises(errors.DatablocksInvisible):
        rig.plan_again("run-1")
    assert rig.ledger.datablocks.of(PID) == []


def test_an_unknown_dataset_is_an_error() -> None:
    with pytest.raises(errors.DatasetUnknown):
        Rig().plan_again("run-1")


def test_an_error_in_the_middle_of_the_list_plans_nothing() -> None:
    rig = Rig()
    rig.catalogue.add_dataset(PID, [rig.archive(0), rig.archive(1)])
    rig.catalogue.count_datablocks_as(PID, 3)
    with pytest.raises(errors.DatablocksMissing):
        rig.plan_again("run-1")
    assert rig.ledger.datablocks.of(PID) == []


def test_what_is_staged_and_still_right_is_kept_and_counts_as_used() -> None:
    rig = Rig()
    rig.staged_dataset()
    rig.clock.advance(RETENTION / 2)
    (record,) = rig.plan_again("run-2")
    assert record.state is DatablockState.STAGED
    assert record.used_at == START + RETENTION / 2
    assert record.run == "run-1"


@pytest.mark.parametrize("loss", ["gone", "shorter"])
def test_what_is_staged_in_the_ledger_alone_is_retrieved_again_by_the_new_run(loss: str) -> None:
    rig = Rig()
    (staged,) = rig.staged_dataset()
    if loss == "gone":
        rig.staging.delete(staged.key)
    else:
        rig.staging.damage_staged(staged.key, b"short")
    (record,) = rig.plan_again("run-2")
    assert (record.state, record.run) == (DatablockState.PLANNED, "run-2")
    rig.stage(record)
    publish.publish(PID, rig.tools)


def test_a_datablock_that_the_catalogue_changed_is_retrieved_again() -> None:
    rig = Rig()
    rig.staged_dataset()
    changed = rig.archive(content=tar({**FILES, "new": b"1"}), listed=())
    rig.catalogue.add_dataset(PID, [changed])
    (record,) = rig.plan_again("run-2")
    assert record.state is DatablockState.PLANNED
