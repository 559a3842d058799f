"""Plan: which datablocks make up a dataset, and are they all there?"""

from __future__ import annotations

from scicat_retriever.domain.dataset import Dataset
from scicat_retriever.domain.errors import DatablocksMissing
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablocks import Plan
from scicat_retriever.ports.titles import Title


def plan_dataset(pid: DatasetPid, run: str, tools: Toolbox) -> Plan:
    """Take down all datablocks of a dataset in the ledger; what is staged already and still right is kept.

    Args:
        pid: The dataset.
        run: Names this retrieval.
        tools: The ports.

    Raises:
        DatablocksMissing: There are none, or they hold less than the dataset declares and the settings ask
            for that.
        StoreNotConfigured: No long-term store has the datasets of its storage location.
    """
    dataset = tools.catalogue.dataset(pid)
    # First of all: what was just used is not evicted in the middle of the plan that counts on it.
    tools.ledger.cache.note_used(pid)
    _forget_lost_files(pid, tools)
    store = tools.stores.of_location(dataset.storage_location)
    plan = tools.ledger.datablocks.plan(pid, tools.catalogue.datablocks(pid), run, store)
    if plan.datablocks == 0:
        raise DatablocksMissing(f"dataset {pid} has no datablocks in the catalogue: was it ever archived?")
    refuse_less_than_declared(dataset, plan, tools)
    tools.ledger.remarks.note(pid, sums_that_differ(dataset, plan))
    tools.ledger.titles.note(pid, Title(dataset.name, dataset.source_folder))
    return plan


def _forget_lost_files(pid: DatasetPid, tools: Toolbox) -> None:
    """Call what is staged in the ledger alone planned, before the plan, which gives it to the new run."""
    for record in tools.ledger.datablocks.of(pid):
        staged = record.state is DatablockState.STAGED
        if staged and tools.staging.staged_size(record.key, record.partial) != record.bytes_total:
            tools.ledger.datablocks.move(record.key, DatablockState.PLANNED, "its staged file is gone")


def refuse_less_than_declared(dataset: Dataset, plan: Plan, tools: Toolbox) -> None:
    """See that the datablocks hold all that the dataset declares, where the settings ask for that.

    That these are all datablocks is proved (`Catalogue.datablocks`), so the declared sums are wrong: SciCat
    does not correct them when datablocks are removed or changed.

    Raises:
        DatablocksMissing: They hold fewer files or bytes.
    """
    less = any(found < declared for _, declared, found in _sums(dataset, plan))
    if less and tools.archives.check_declared_sums:
        raise DatablocksMissing(f"dataset {dataset.pid}: {sums_that_differ(dataset, plan)}")


def sums_that_differ(dataset: Dataset, plan: Plan) -> str:
    """Say where the sums that a dataset declares differ from those of its datablocks; else empty.

    A sum of 0 declares nothing.
    """
    differ = [
        f"declares {declared} archived {what}, its {plan.datablocks} datablocks hold {found}"
        for what, declared, found in _sums(dataset, plan)
        if declared not in {0, found}
    ]
    return " and ".join(differ)


def _sums(dataset: Dataset, plan: Plan) -> tuple[tuple[str, int, int], ...]:
    return (
        ("files", dataset.files_archived, plan.files),
        ("bytes", dataset.packed_size, plan.packed_size),
    )
