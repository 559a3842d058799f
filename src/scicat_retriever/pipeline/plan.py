"""Plan: which datablocks make up a dataset, and are they all there?"""

from __future__ import annotations

from scicat_retriever.domain.dataset import Dataset
from scicat_retriever.domain.errors import DatablocksMissing
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.ledger import Plan


def plan_dataset(pid: DatasetPid, run: str, tools: Toolbox) -> Plan:
    """Take down all datablocks of a dataset in the ledger; what is staged already and still right is kept.

    Args:
        pid: The dataset.
        run: Names this retrieval.
        tools: The ports.

    Raises:
        DatablocksMissing: There are none, or fewer files or bytes than the dataset declares.
        StoreNotConfigured: No long-term store has the datasets of its storage location.
    """
    dataset = tools.catalogue.dataset(pid)
    # First of all: what was just used is not evicted in the middle of the plan that counts on it.
    tools.ledger.note_used(pid)
    _forget_lost_files(pid, tools)
    store = tools.stores.of_location(dataset.storage_location)
    plan = tools.ledger.plan(pid, tools.catalogue.datablocks(pid), run, store)
    refuse_incomplete(dataset, plan)
    return plan


def _forget_lost_files(pid: DatasetPid, tools: Toolbox) -> None:
    """Call what is staged in the ledger alone planned, before the plan, which gives it to the new run."""
    for record in tools.ledger.datablocks(pid):
        staged = record.state is DatablockState.STAGED
        if staged and tools.staging.staged_size(record.key, record.partial) != record.bytes_total:
            tools.ledger.move_datablock(record.key, DatablockState.PLANNED, "its staged file is gone")


def refuse_incomplete(dataset: Dataset, plan: Plan) -> None:
    """See that the datablocks that the catalogue shows are all that the dataset declares.

    Raises:
        DatablocksMissing: There are none, or fewer files or bytes than the dataset declares.
    """
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
