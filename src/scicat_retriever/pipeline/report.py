"""Report: what SciCat is told, in the shapes that its pages and e-mails read.

Job: `statusCode`, `statusMessage` and `jobResultObject`

    {"result": [{"datasetId", "name", "size", "archiveId", "url", "checksum", "expires", "files", "integrity"}],
     "errors": [{"datasetId", "archiveId"?, "code", "who", "message"}]}

with one entry of `result` for each datablock. Dataset: the lifecycle's `retrieveStatusMessage`,
`retrieveReturnMessage` = `{"status": "retrievalFailed", "code", "message"}`, `retrievable`, `retrieveIntegrityCheck`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scicat_retriever.domain.errors import Cause, Failure, InternalError, StagedFileMissing
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate
from scicat_retriever.ports.ledger import JobDatasetRecord

RESULT_LIMIT = 14 * 2**20
"""Longest `jobResultObject` in bytes: SciCat refuses a body over 16 MB, and the links count in it."""
SHORTENED_LIMIT = 10_000
"""Most entries and most errors of a result that had to be shortened."""
MESSAGE_LIMIT = 500
"""Longest message told to SciCat, in characters; the ledger and the log have the whole."""


def job_started(job_id: JobId, tools: Toolbox) -> None:
    """Tell SciCat that the job is being worked on; of one that has ended, a belated repetition tells nothing."""
    record = tools.ledger.job(job_id)
    if record is not None and record.state.finished:
        return
    tools.catalogue.update_job(job_id, JobUpdate(JobState.IN_PROGRESS, "The datasets are being retrieved."))
    tools.ledger.move_job(job_id, JobState.IN_PROGRESS)


def dataset_started(pid: DatasetPid, tools: Toolbox) -> None:
    """Tell SciCat that the dataset is being retrieved, and take an old error back."""
    tools.catalogue.update_lifecycle(pid, LifecycleUpdate(LifecycleWord.STARTED))


def dataset_retrieved(pid: DatasetPid, integrity: Integrity, tools: Toolbox) -> None:
    """Tell SciCat that the dataset is there, and whether its bytes were compared with catalogued checksums."""
    update = LifecycleUpdate(
        LifecycleWord.RETRIEVED, retrievable=True, integrity_check=integrity is Integrity.VERIFIED
    )
    tools.catalogue.update_lifecycle(pid, update)


def dataset_failed(pid: DatasetPid, failures: Sequence[Failure], tools: Toolbox) -> None:
    """Tell SciCat why the dataset could not be retrieved: the first failure, and how many more there are."""
    first = failures[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    word = LifecycleWord.SYSTEM_ERROR if first.cause is Cause.SYSTEM else LifecycleWord.FAILED
    message = {"status": "retrievalFailed", "code": first.code, "message": _short(first.message, more)}
    tools.catalogue.update_lifecycle(pid, LifecycleUpdate(word, message, integrity_check=False))


@dataclass(slots=True)
class JobResult:
    """What a job came to.

    Attributes:
        state: The state it closes with.
        message: A sentence for the person who asked.
        body: The `jobResultObject`.
    """

    state: JobState
    message: str
    body: dict[str, Any] = field(repr=False)


def close_job(job_id: JobId, failure: Failure | None, tools: Toolbox) -> JobState:
    """Tell SciCat what the job came to, from what its datasets ended as.

    Args:
        job_id: The job.
        failure: Why the job as a whole could not be carried out, where that is so.
        tools: The ports.

    Returns:
        The state that it closed with.
    """
    result = job_result(job_id, failure, tools)
    body = result.body
    if len(json.dumps(body)) > RESULT_LIMIT:
        body = shortened(body)
    tools.catalogue.update_job(job_id, JobUpdate(result.state, result.message, body))
    tools.ledger.move_job(job_id, result.state, result.message)
    tools.ledger.set_report_failure(job_id, None)
    return result.state


def close_job_untold(job_id: JobId, failure: Failure | None, why: Failure, tools: Toolbox) -> JobState:
    """Close a job that SciCat cannot be told of, and note why, so that somebody looks at it."""
    result = job_result(job_id, failure, tools)
    tools.ledger.move_job(job_id, result.state, result.message)
    tools.ledger.set_report_failure(job_id, why)
    return result.state


def job_result(job_id: JobId, failure: Failure | None, tools: Toolbox) -> JobResult:
    """Compose a job's result from the ledger, with fresh links."""
    datasets = tools.ledger.job_datasets(job_id)
    entries: list[dict[str, Any]] = []
    errors = [] if failure is None else [_error(None, failure)]
    retrieved = 0
    for dataset in datasets:
        try:
            entries.extend(_entries(dataset, tools))
            retrieved += dataset.state is DatasetState.RETRIEVED
        except StagedFileMissing as error:
            errors.append(_error(dataset.pid, error.failure()))
        errors.extend(_error(dataset.pid, each) for each in dataset.failures or _unfinished(dataset, failure))
    body = {"result": entries, "errors": errors}
    expires = min((entry["expires"] for entry in entries), default="")
    ready = f"{retrieved} of {len(datasets)} datasets are ready for download"
    ready += f" until {expires}" if entries else ""
    if failure is not None:
        return JobResult(JobState.UNSUCCESSFUL, _short(f"The job failed: {failure.message}"), body)
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        reason = f"{errors[0]['datasetId']} failed: {errors[0]['message']}"
        return JobResult(JobState.WITH_DATASET_ERRORS, _short(f"{ready}; {reason}", more), body)
    return JobResult(JobState.SUCCESSFUL, f"{ready}.", body)


def shortened(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a result that SciCat can hold: an entry for each dataset without links, and the first errors."""
    sums: dict[str, dict[str, Any]] = {}
    for entry in body["result"]:
        pid = entry["datasetId"]
        whole = {"datasetId": pid, "name": pid, "size": 0, "files": 0, "datablocks": 0, "url": None}
        total = sums.setdefault(pid, whole)
        total["size"] += entry["size"]
        total["files"] += entry["files"]
        total["datablocks"] += 1
    kept = {"result": list(sums.values())[:SHORTENED_LIMIT], "errors": list(body["errors"])[:SHORTENED_LIMIT]}
    return {**kept, "shortened": "the links do not fit into SciCat: ask for fewer datasets at once"}


def _entries(dataset: JobDatasetRecord, tools: Toolbox) -> Iterator[dict[str, Any]]:
    if dataset.state is not DatasetState.RETRIEVED:
        return
    now = tools.clock()
    kept = tools.ledger.keep(dataset.pid, now + tools.retention)
    records = tools.ledger.datablocks(dataset.pid)
    if kept != len(records):
        raise StagedFileMissing(f"dataset {dataset.pid}: its staged files were released; ask for it again")
    for record in records:
        link = tools.links.link(record.key, record.datablock.archive_id, now, now + tools.retention)
        yield {
            "datasetId": dataset.pid,
            "name": record.datablock.archive_id,
            "size": record.bytes_total,
            "archiveId": record.datablock.archive_id,
            "url": link.url,
            "checksum": record.archive_checksum,
            "expires": timestamp(link.expires),
            "files": record.datablock.file_count,
            "integrity": record.integrity,
        }


def _unfinished(dataset: JobDatasetRecord, failure: Failure | None) -> tuple[Failure, ...]:
    """Say of a dataset that ended neither way in a job that did not fail as a whole, that this is our own fault."""
    if failure is not None or dataset.state is DatasetState.RETRIEVED:
        return ()
    return (InternalError("the service did not finish this dataset").failure(),)


def timestamp(moment: datetime) -> str:
    """Write a UTC time as SciCat does: RFC 3339 with milliseconds and `Z`."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _error(pid: DatasetPid | None, failure: Failure) -> dict[str, Any]:
    about: dict[str, str] = {} if pid is None else {"datasetId": pid}
    if failure.archive_id is not None:
        about["archiveId"] = failure.archive_id
    return {**about, "code": failure.code, "who": failure.who, "message": _short(failure.message)}


def _short(message: str, ending: str = "") -> str:
    room = MESSAGE_LIMIT - len(ending)
    return (message if len(message) <= room else message[: room - 1] + "…") + ending
