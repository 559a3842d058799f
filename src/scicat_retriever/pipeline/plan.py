"""Plan: which datablocks make up a dataset, and are they all there?"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset
from scicat_retriever.domain.errors import DatablocksMissing
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.ledger import Plan


def plan_dataset(pid: DatasetPid, run: str, tools: Toolbox, alive: Callable[[], None]) -> Plan:
    """Take down all datablocks of a dataset in the ledger; what is staged already and still right is kept.

    Args:
        pid: The dataset.
        run: Names this retrieval.
        tools: The ports.
        alive: Called for each datablock read, so that a long list is not taken for a dead worker.

    Raises:
        DatablocksMissing: There are none, or fewer files or bytes than the dataset declares.
    """
    dataset = tools.catalogue.dataset(pid)
    plan = tools.ledger.plan(pid, _heard(tools.catalogue.datablocks(pid), alive), run)
    _refuse_incomplete(dataset, plan)
    tools.ledger.keep(pid, tools.clock() + tools.retention)
    for record in tools.ledger.datablocks(pid):
        staged = record.state is DatablockState.STAGED
        if staged and tools.staging.staged_size(record.key) != record.bytes_total:
            tools.ledger.move_datablock(record.key, DatablockState.PLANNED, "its staged file is gone")
    return plan


def _heard(blocks: Iterable[CataloguedDatablock], alive: Callable[[], None]) -> Iterator[CataloguedDatablock]:
    for block in blocks:
        alive()
        yield block


def _refuse_incomplete(dataset: Dataset, plan: Plan) -> None:
    if plan.datablocks == 0:
        raise DatablocksMissing(
            f"dataset {dataset.pid} has no datablocks in the catalogue: was it ever archived?"
        )
    for what, declared, found in (
        ("files", dataset.files_archived, plan.files),
        ("bytes", dataset.packed_size, plan.packed_size),
    ):
        if found < declared:
            raise DatablocksMissing(
                f"dataset {dataset.pid} declares {declared} archived {what}, "
                f"its {plan.datablocks} datablocks hold {found}"
            )
