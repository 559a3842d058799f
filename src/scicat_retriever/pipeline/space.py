"""Space: staging space is claimed for all datasets of a job before any of them is recalled, and waited for in a line."""

from __future__ import annotations

from scicat_retriever.domain.amounts import in_words, ordinal
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueForbidden,
    JobLargerThanStaging,
    JobNotFound,
    LargerThanStaging,
    NoSpaceYet,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.eviction import make_room
from scicat_retriever.pipeline.selection import chosen_of, resolve
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.space import Line

_MEASURED_TOGETHER = 20


def measure_job(job_id: JobId, tools: Toolbox, *, forbidden_is_final: bool = True) -> None:
    """Note how large the job's datasets are, as the catalogue declares it; a repetition goes on where it was.

    Where the job chose files of a dataset, the datablocks that hold them are what counts: they are looked for now. A dataset that cannot be read is taken for an empty one: its own retrieval will say what is wrong with it.

    Args:
        job_id: The job.
        tools: The ports.
        forbidden_is_final: Whether to believe SciCat that the service may not read a dataset.

    Raises:
        CatalogueError: SciCat does not answer; asking again may help.
    """
    chosen = chosen_of(job_id, tools)
    while pids := tools.ledger.datasets_without_size(job_id, _MEASURED_TOGETHER):
        sizes = {}
        for pid in pids:
            try:
                if pid in chosen:
                    resolve(job_id, chosen[pid], tools)
                else:
                    sizes[pid] = _declared(pid, tools)
            except CatalogueError as error:
                final = forbidden_is_final and isinstance(error, CatalogueForbidden)
                if error.retryable and not final:
                    raise
                sizes[pid] = 0
        tools.ledger.note_sizes(job_id, sizes)


def _declared(pid: DatasetPid, tools: Toolbox) -> int:
    declared = tools.catalogue.dataset(pid).packed_size
    if declared:
        return declared
    # Some catalogues declare it of the datablocks alone.
    return sum(each.datablock.packed_size for each in tools.catalogue.datablocks(pid))


def claim_job(job_id: JobId, tools: Toolbox) -> None:
    """Claim the space that the job's datasets need, all of it or nothing, and pin what is staged of them already.

    Raises:
        JobLargerThanStaging: Never, as the staging area is.
        QuotaExceeded: Its owner group has pinned too much.
        NoSpaceYet: Not now; the message says how much is missing, and how many jobs are before it.
    """
    whole = tools.staging.room().total
    size = tools.ledger.job_size(job_id)
    if size > whole:
        raise JobLargerThanStaging(
            f"the job asks for {in_words(size)}, and the staging area holds {in_words(whole)} in all: "
            "ask for fewer datasets at once"
        )
    line = _stand_in_line(job_id, tools)
    # Only the first in line may have others' copies removed, and only where that helps it now: they may be asked for.
    if line.place == 1 and _can_be_freed(line.missing, tools) and make_room(line.missing, tools):
        line = _stand_in_line(job_id, tools)
    if not line.granted:
        raise NoSpaceYet(
            f"waiting for {in_words(line.needed)} of staging space, {ordinal(line.place)} in line"
            + (f"; {in_words(line.missing)} more must become free" if line.missing else "")
        )


def _can_be_freed(missing: int, tools: Toolbox) -> bool:
    return missing <= tools.ledger.cached_bytes(tools.clock() - tools.cache.spared)


def _stand_in_line(job_id: JobId, tools: Toolbox) -> Line:
    record = tools.ledger.job(job_id)
    if record is None:
        raise JobNotFound(f"the ledger has no job {job_id}")
    quota = tools.cache.quota(record.job.owner_group)
    return tools.ledger.claim_job(job_id, tools.staging.room(), silence=tools.cache.silence, quota=quota)


def claim_dataset(pid: DatasetPid, tools: Toolbox) -> None:
    """Have the claim of a planned dataset be what its datablocks really need.

    Raises:
        LargerThanStaging: It would not fit even if the staging area were empty.
        NoSpaceYet: It needs more than was claimed for it, and that is not free now.
    """
    missing = tools.ledger.claim_dataset(pid, tools.staging.room())
    if missing and _can_be_freed(missing, tools) and make_room(missing, tools):
        missing = tools.ledger.claim_dataset(pid, tools.staging.room())
    if not missing:
        return
    size = sum(record.bytes_total for record in tools.ledger.datablocks(pid) if record.wanted)
    whole = tools.staging.room().total
    if size > whole:
        raise LargerThanStaging(
            f"what is asked for of dataset {pid} has {in_words(size)}, and the staging area holds {in_words(whole)} in all: "
            "enlarge it, or lower what is kept free"
        )
    raise NoSpaceYet(
        f"waiting for {in_words(missing)} of staging space, beside what was claimed for the dataset"
    )
