"""Jobs that SciCat can never close, since it deleted a dataset of theirs; the rest of them is told.

SciCat refuses every update of such a job (404), and names all of its datasets, not the deleted ones. So those
are looked for, for people to read; and the datasets that were retrieved are told where they can be
downloaded, in their own `retrieveReturnMessage`, which who may read the dataset can read:

    {"status": "jobUnclosable", "jobId", "message",
     "result": [{"datasetId", "name", "size", "archiveId", "url", "checksum", "expires", "files", "integrity",
                 "matched_by"?, "passed_over"?, "replaced"?, "tars"?, "chosen"?, "asked_as"?}]}

These are links to single datablocks, and not the page of the retrieval: whoever may read this one dataset
would have all datasets of the job by that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueJobUnclosable,
    DatasetUnknown,
    StagedFileMissing,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.pipeline.delivery.names import download_names
from scicat_retriever.pipeline.delivery.remarks import remarks_on
from scicat_retriever.pipeline.jobs.selection import ChosenNames
from scicat_retriever.pipeline.reports.fitting import first_that_fit
from scicat_retriever.pipeline.reports.result import timestamp
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.publish import refuse_lost
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord

JOB_UNCLOSABLE = "jobUnclosable"
"""The `status` of the `retrieveReturnMessage` that gives a dataset's links, since its job cannot."""
LOOKED_FOR = 1000
"""Datasets of a job that are asked for, to find the deleted ones."""
NAMED = 5
"""Deleted datasets that are named."""
RESULT_LIMIT = 2**20
"""Longest `result` in bytes: it is kept in the dataset, of which SciCat's database takes 16 MB in all."""
DROPPED_BY_ITSELF = "dropped by the service after flow.undeliverable_kept"
log = structlog.get_logger(__name__)


def take_note(
    job_id: JobId, state: JobState, error: CatalogueJobUnclosable, tools: Toolbox
) -> CatalogueJobUnclosable:
    """See to it that as much as possible is told of a job that SciCat cannot update.

    Args:
        job_id: The job.
        state: What SciCat was to be told; at a job's end its datasets are told their links.
        error: What SciCat answered.
        tools: The ports.

    Returns:
        The error that names the deleted datasets, where they were found.

    Raises:
        LedgerUnavailable: The ledger does not answer.
    """
    deleted = _deleted(job_id, tools)
    if state.finished:
        kept = {pin.pid for _, pin in tools.ledger.pins.find(owner=job_id) if pin.by_job} - set(deleted)
        for dataset in tools.ledger.jobs.datasets(job_id):
            if dataset.state is DatasetState.RETRIEVED and dataset.pid in kept:
                message = {"status": JOB_UNCLOSABLE, "jobId": job_id}
                tools.ledger.reports.tell_dataset(dataset.pid, LifecycleUpdate(None, message))
    if not deleted:
        return error
    more = f" and {len(deleted) - NAMED} more" if len(deleted) > NAMED else ""
    return CatalogueJobUnclosable(
        f"SciCat cannot update job {job_id} any more: its dataset {', '.join(deleted[:NAMED])}{more} was deleted there"
    )


def _deleted(job_id: JobId, tools: Toolbox) -> Sequence[DatasetPid]:
    deleted = []
    for dataset in tools.ledger.jobs.datasets(job_id, limit=LOOKED_FOR):
        try:
            tools.catalogue.dataset(dataset.pid)
        except DatasetUnknown:
            deleted.append(dataset.pid)
        except CatalogueError as error:
            if error.retryable:  # SciCat is in trouble: it is not worth waiting for
                break
    return deleted


def with_links(pid: DatasetPid, update: LifecycleUpdate, tools: Toolbox) -> LifecycleUpdate:
    """Compose the report of a dataset in place of its job: fresh links to what is kept for the job."""
    job_id = JobId(update.return_message["jobId"])
    entries = _entries(pid, job_id, tools)
    result = first_that_fit(entries, RESULT_LIMIT)
    message = f"SciCat cannot close job {job_id}, since a dataset of it was deleted. "
    if result:
        message += (
            f"What it brought of this one can be downloaded until {min(each['expires'] for each in result)}"
        )
        message += (
            "" if len(result) == len(entries) else f" ({len(entries) - len(result)} more do not fit in)"
        )
    else:
        message += "What it brought of this one is not kept any more: ask for it again"
    return replace(update, return_message={**update.return_message, "message": message, "result": result})


def _entries(pid: DatasetPid, job_id: JobId, tools: Toolbox) -> list[dict[str, Any]]:
    until = next((pin.until for _, pin in tools.ledger.pins.find(pid, job_id) if pin.by_job), None)
    if until is None or until - tools.margin <= tools.clock():
        return []
    records = tools.ledger.needs.datablocks(job_id, pid)
    try:
        refuse_lost(records, tools)
    except StagedFileMissing:
        return []
    names = download_names((each.key, each.file_name) for each in records)
    chosen = ChosenNames(job_id, tools.ledger)
    return [_entry(each, names[each.key], until - tools.margin, chosen, tools) for each in records]


def _entry(
    record: DatablockRecord, name: str, expires: datetime, chosen: ChosenNames, tools: Toolbox
) -> dict[str, Any]:
    link = tools.links.link(record.key, name, expires)
    return {
        "datasetId": record.key.pid,
        "name": record.file_name,
        "size": record.bytes_total,
        "archiveId": record.datablock.archive_id,
        "url": link.url,
        "checksum": record.archive_checksum,
        "expires": timestamp(link.expires),
        "files": record.datablock.file_count,
        "integrity": record.integrity,
    } | remarks_on(record, chosen.held_by(record))


def drop_undeliverable(kept: timedelta, tools: Toolbox) -> int:
    """Give up reports that SciCat can never take and that have been parked for that long; gives how many."""
    dropped = tools.ledger.reports.drop_undeliverable(tools.clock() - kept, DROPPED_BY_ITSELF)
    for report in dropped:
        log.warning("SciCat will not be told any more", kind=report.subject.kind, name=report.subject.name)
    return len(dropped)
