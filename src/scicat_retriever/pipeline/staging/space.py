"""Space: a job claims staging space for all its datasets before one is recalled, or waits in line."""

from __future__ import annotations

from dataclasses import replace

import structlog

from scicat_retriever.domain.amounts import in_words, ordinal
from scicat_retriever.domain.dataset import Selection
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueForbidden,
    JobLargerThanStaging,
    JobNotFound,
    LargerThanStaging,
    NoSpaceYet,
    SpaceGivenBack,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.pipeline.jobs.selection import chosen_of, resolve
from scicat_retriever.pipeline.staging.eviction import make_room
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.claims import Growth, PlaceInLine
from scicat_retriever.ports.staging_area import Room

_MEASURED_TOGETHER = 20
_LOOKS = 3
"""How often chosen files are looked for, while SciCat answers for other datasets, before they fail."""
_WITNESSES = 4
"""Other datasets of the job that are asked for, to tell one dataset's trouble from SciCat's own."""
log = structlog.get_logger(__name__)


def measure_job(
    job_id: JobId, tools: Toolbox, *, forbidden_is_final: bool = True, odd_fail_alone: bool = False
) -> None:
    """Note how large the job's datasets are, as the catalogue declares it; a repetition goes on where it was.

    Where the job chose files of a dataset, the datablocks that hold them are what counts: they are looked for
    now. A dataset that cannot be read, or that is larger than the whole staging area, is taken for an empty
    one: its own retrieval will say what is wrong with it, and the others go on.

    Args:
        job_id: The job.
        tools: The ports.
        forbidden_is_final: Whether to believe SciCat that the service may not read a dataset.
        odd_fail_alone: Whether to go on without a dataset that SciCat gives no usable answer for while it
            answers for others: it waits, or fails, by itself.

    Raises:
        CatalogueError: SciCat does not answer; asking again may help.
    """
    chosen = chosen_of(job_id, tools.ledger)
    while pids := tools.ledger.claims.datasets_without_size(job_id, _MEASURED_TOGETHER):
        sizes: dict[DatasetPid, int] = {}
        try:
            for pid in pids:
                try:
                    if pid in chosen:
                        resolve(job_id, chosen[pid], tools)
                    else:
                        sizes[pid] = _size_of(job_id, pid, tools)
                except CatalogueError as error:
                    final = forbidden_is_final and isinstance(error, CatalogueForbidden)
                    if error.retryable and not final:
                        witness = _witness(job_id, pid, tools) if odd_fail_alone else None
                        if witness is None:
                            raise
                        log.warning(
                            "SciCat has no usable answer for a dataset",
                            job_id=job_id,
                            pid=pid,
                            why=str(error),
                        )
                        if pid in chosen:
                            _resolve_or_fail(job_id, chosen[pid], witness, tools)
                            continue
                    sizes[pid] = 0
        finally:
            tools.ledger.claims.note_sizes(job_id, sizes)


def _resolve_or_fail(job_id: JobId, selection: Selection, witness: DatasetPid, tools: Toolbox) -> None:
    """Look for the chosen files of a dataset some more times; if in vain, it fails for the job.

    Which of its datablocks the job needs is looked for before the dataset's own retrieval alone, so it cannot
    be left to that. It fails where SciCat answers for the witness whenever it is asked between the looks, and
    never for the dataset. A backend that answers now and then, as with one dead replica of two, fails for the
    witness, too: that is waited for.

    Args:
        job_id: The job.
        selection: What it chose of the dataset.
        witness: Another dataset of the job, for which SciCat has just answered.
        tools: The ports.

    Raises:
        CatalogueError: SciCat does not answer for the witness any more; asking again may help.
    """
    for look in range(1, _LOOKS + 1):
        try:
            resolve(job_id, selection, tools)
        except CatalogueError as error:
            if error.retryable and look < _LOOKS:
                # Once more each time: a proxy that takes replicas in turn could have each look meet the one
                # that is dead.
                if all(_answers_for(witness, tools) for _ in range(look + 1)):
                    continue
                raise
            tools.ledger.jobs.move_dataset(job_id, selection.pid, DatasetState.FAILED, [error.failure()])
            tools.ledger.claims.note_sizes(job_id, {selection.pid: 0})
        return


def _size_of(job_id: JobId, pid: DatasetPid, tools: Toolbox) -> int:
    """Give the bytes that a dataset will take; none of one among others that can never be staged."""
    whole = tools.staging.room().total
    declared = tools.catalogue.dataset(pid).packed_size
    if 0 < declared <= whole:
        return declared
    # Some catalogues declare it of the datablocks alone, and the sums of others are wrong.
    size = sum(each.datablock.packed_size for each in tools.catalogue.datablocks(pid))
    alone = len(tools.ledger.jobs.datasets(job_id, 0, 2)) == 1
    return size if size <= whole or alone else 0


def _witness(job_id: JobId, odd: DatasetPid, tools: Toolbox) -> DatasetPid | None:
    """Name another dataset of the job that SciCat answers for, perhaps that it is unknown; else None."""
    for other in tools.ledger.jobs.datasets(job_id, 0, _WITNESSES + 1):
        if other.pid != odd and _answers_for(other.pid, tools):
            return other.pid
    return None


def _answers_for(pid: DatasetPid, tools: Toolbox) -> bool:
    try:
        tools.catalogue.dataset(pid)
    except CatalogueError as error:
        return not error.retryable
    return True


def claim_job(job_id: JobId, tools: Toolbox) -> None:
    """Claim the space of all datasets of a job, or nothing, and pin what is staged of them already.

    Raises:
        JobLargerThanStaging: Never, as the staging area is.
        QuotaExceeded: Its owner group has pinned too much.
        NoSpaceYet: Not now; the message says how much is missing, and how many jobs are before it.
    """
    whole = tools.staging.room().total
    size = tools.ledger.claims.job_size(job_id)
    if size > whole:
        raise JobLargerThanStaging(
            f"the job asks for {in_words(size)}, and the staging area holds {in_words(whole)} in all: "
            "ask for fewer datasets at once"
        )
    line = _stand_in_line(job_id, tools)
    # Only the first in line may have others' copies removed, and only where that helps it now: they may be
    # asked for.
    if line.place == 1 and _can_be_freed(line.missing, tools) and make_room(line.missing, tools):
        line = _stand_in_line(job_id, tools)
    if not line.granted:
        raise NoSpaceYet(
            f"waiting for {in_words(line.needed)} of staging space, {ordinal(line.place)} in line"
            + (f"; {in_words(line.missing)} more must become free" if line.missing else "")
        )


def _can_be_freed(missing: int, tools: Toolbox) -> bool:
    return missing <= tools.ledger.cache.size(tools.clock() - tools.cache.spared_time)


def _stand_in_line(job_id: JobId, tools: Toolbox) -> PlaceInLine:
    record = tools.ledger.jobs.get(job_id)
    if record is None:
        raise JobNotFound(f"the service has no job {job_id}")
    quota = tools.cache.quota(record.job.owner_group)
    return tools.ledger.claims.for_job(job_id, _measured_room(tools), silence=tools.silence, quota=quota)


def claim_dataset(pid: DatasetPid, tools: Toolbox) -> None:
    """Have the claim of a planned dataset be what its datablocks really need.

    Raises:
        LargerThanStaging: It would not fit even if the staging area were empty.
        SpaceGivenBack: It needs more than was claimed for it, and must not wait for that: its jobs give back
            what they have.
        NoSpaceYet: It needs more than was claimed for it, and that is not free now.
    """
    growth = _grow(pid, tools)
    missing = growth.missing
    if missing and _can_be_freed(missing, tools) and make_room(missing, tools):
        growth = _grow(pid, tools)
    if not growth.missing:
        return
    size = sum(record.bytes_total for record in tools.ledger.datablocks.of(pid) if record.wanted)
    whole = tools.staging.room().total
    if size > whole:
        raise LargerThanStaging(
            f"what is asked for of dataset {pid} has {in_words(size)}, and the staging area holds {in_words(whole)} in all: "
            "enlarge it, or lower what is kept free"
        )
    if growth.gives_back:
        raise SpaceGivenBack(
            f"dataset {pid} needs {in_words(growth.missing)} more of staging space than was claimed and is free, and others wait "
            "for what its jobs hold: these stand in the line again, for all that they need"
        )
    raise NoSpaceYet(
        f"waiting for {in_words(growth.missing)} of staging space, beside what was claimed for the dataset"
    )


def _grow(pid: DatasetPid, tools: Toolbox) -> Growth:
    return tools.ledger.claims.for_dataset(pid, _measured_room(tools), silence=tools.silence)


def _measured_room(tools: Toolbox) -> Room:
    """Measure the room, after the ledger said what is still to be written: copies go on meanwhile."""
    unwritten = tools.ledger.inventory.unwritten()
    return replace(tools.staging.room(), unwritten=unwritten)
