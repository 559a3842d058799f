"""Pins: who keeps what in staging, and until when. Jobs pin what they ask for; operators may, too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from scicat_retriever.domain.errors import JobNotEnded, JobNotFound, NothingStaged
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.ports.ledger import Ledger


def pin(pid: DatasetPid, owner: str, until: datetime, ledger: Ledger) -> int:
    """Pin a staged dataset for somebody; gives how many of its datablocks are staged.

    Args:
        pid: The dataset.
        owner: Who wants it; asking again makes the time longer, never shorter.
        until: When the pin ends (UTC).
        ledger: The ledger.

    Raises:
        NothingStaged: None of its datablocks is staged.
    """
    staged = ledger.pins.pin(pid, owner, until)
    if not staged:
        raise NothingStaged(f"nothing of dataset {pid} is in staging: have it retrieved first")
    return staged


def extend(
    job_id: JobId, until: datetime, margin: timedelta, ledger: Ledger
) -> Mapping[DatasetPid, datetime]:
    """Keep what a job brought until then at least, and have SciCat told, with new links.

    Args:
        job_id: The job.
        until: When the links shall expire (UTC).
        margin: How much longer the datasets are pinned than their links live.
        ledger: The ledger.

    Returns:
        When the links to each dataset expire.

    Raises:
        JobNotFound: There is no such job.
        JobNotEnded: It is still being carried out: it keeps what it has until then.
        NothingStaged: It keeps nothing any more: the datasets have to be asked for again.
    """
    _require_ended(job_id, ledger)
    kept = ledger.pins.keep_for_job(job_id, until + margin)
    if not kept:
        raise NothingStaged(f"job {job_id} keeps nothing in staging any more: ask for its datasets again")
    ledger.reports.tell_job_again(job_id)
    return {pid: end - margin for pid, end in kept.items()}


def unpin(owner: str, ledger: Ledger, pid: DatasetPid | None = None) -> Sequence[DatasetPid]:
    """End the pins of a job or of somebody else, all or that on one dataset, and have SciCat told of a job's.

    What nobody pins then stays until its space is needed.

    Returns:
        The datasets that were pinned.

    Raises:
        JobNotEnded: The owner is a job that is still being carried out: cancel it instead.
        NothingStaged: The owner pins nothing of the kind.
    """
    job_id = JobId(owner)
    if ledger.jobs.get(job_id) is not None:
        _require_ended(job_id, ledger)
    unpinned = ledger.pins.unpin(owner, pid)
    if not unpinned:
        raise NothingStaged(f"{owner} pins {'nothing' if pid is None else f'no dataset {pid}'} in staging")
    if ledger.jobs.get(job_id) is not None:
        ledger.reports.tell_job_again(job_id)
    return unpinned


def _require_ended(job_id: JobId, ledger: Ledger) -> None:
    record = ledger.jobs.get(job_id)
    if record is None:
        raise JobNotFound(f"The service has no job {job_id}.")
    if not record.state.finished:
        raise JobNotEnded(f"The job {job_id} is still being carried out.")
