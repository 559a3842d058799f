"""Report: what SciCat has to hear, in the shapes that its pages and e-mails read.

Job: `statusCode`, `statusMessage` and `jobResultObject`

    {"url",
     "result": [{"datasetId", "name", "size", "url", "expires", "datablocks", "files", "integrity",
                 "respelled"?, "passed_over"?, "replaced"?}],
     "errors": [{"datasetId", "archiveId"?, "code", "who", "message"}],
     "remarks"?: [{"datasetId", "code", "message"}],
     "left_out"?}

The first `url` is the page of the retrieval, which the message ends with where something is there. `result`
has an entry for each dataset that was retrieved; its `url` is the dataset's own page, which says what there
is of it also when that is nothing any more: `expires` is null then. A remark is on a dataset that is there
all the same: `sums_differ` says that SciCat declares other sums of it than its datablocks have. `left_out`
says how much does not fit in. Dataset: the lifecycle's `retrieveStatusMessage`,
`retrievable`, `retrieveIntegrityCheck`, and `retrieveReturnMessage`:

    {"status": "retrievalFailed", "code", "message"}    where it failed
    {"status": "filesRetrieved", "message"}             where a part of it is there, for jobs that chose files

and what a dataset is told in place of a job that cannot be closed, see `pipeline.reports.unclosable`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scicat_retriever.domain.errors import (
    Cause,
    Failure,
    FilesUnknown,
    InternalError,
    JobNotFound,
    StagedFileMissing,
)
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.delivery.names import folder_names
from scicat_retriever.pipeline.jobs.outcome import gave_back
from scicat_retriever.pipeline.jobs.status import STARTED
from scicat_retriever.pipeline.reports.result import dataset_entry, fitted
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.publish import Published, is_there, refuse_lost
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate
from scicat_retriever.ports.jobs import JobDatasetRecord

MESSAGE_LIMIT = 500
"""Longest message told to SciCat, in characters; the ledger and the log have the whole."""

FILES_RETRIEVED = "filesRetrieved"
"""The `status` of the `retrieveReturnMessage` of a dataset of which only a part is there."""
SUMS_DIFFER = "sums_differ"
"""The `code` of the remark that a dataset declares other sums than its datablocks have."""


def job_started(job_id: JobId, tools: Toolbox) -> None:
    """Have SciCat told that the job is in progress; nothing of a job that has ended."""
    record = tools.ledger.jobs.get(job_id)
    if record is not None and not record.state.finished:
        tools.ledger.jobs.move(job_id, JobState.IN_PROGRESS, STARTED)


def dataset_started(pid: DatasetPid, tools: Toolbox) -> None:
    """Have SciCat told that the dataset is being retrieved, and take an old error back."""
    tools.ledger.reports.tell_dataset(pid, LifecycleUpdate(LifecycleWord.STARTED))


def dataset_retrieved(pid: DatasetPid, published: Published, tools: Toolbox) -> None:
    """Have SciCat told that the dataset is there, and whether checksums were compared.

    Where only a part of it is there, for jobs that chose files, it is told that, and not that the dataset is
    retrieved.
    """
    if published.whole:
        verified = published.integrity is Integrity.VERIFIED
        update = LifecycleUpdate(LifecycleWord.RETRIEVED, retrievable=True, integrity_check=verified)
    else:
        update = _files_retrieved(pid, tools)
    tools.ledger.reports.tell_dataset(pid, update)


def _files_retrieved(pid: DatasetPid, tools: Toolbox) -> LifecycleUpdate:
    """Tell how much of a dataset is there now; that is nothing where all of it is gone."""
    whole, parts = [], set()
    for record in tools.ledger.datablocks.of(pid):
        extract = record.datablock.extract
        if extract is None:
            whole.append(is_there(record, tools))
        elif is_there(record, tools):
            parts.add(extract.of)
    words = f"{sum(whole)} of its {len(whole)} datablocks are retrieved"
    words += f", and parts of {len(parts)}" if parts else ""
    words += ": not all of its files were asked for"
    message = {"status": FILES_RETRIEVED, "message": words} if any(whole) or parts else {}
    return LifecycleUpdate(LifecycleWord.NOTHING, message, retrievable=True, integrity_check=False)


def dataset_failed(pid: DatasetPid, failures: Sequence[Failure], tools: Toolbox) -> None:
    """Have SciCat told why the dataset could not be retrieved.

    One whose jobs have to give their space back has not failed: it is retrieved once they have it again.
    """
    if gave_back(failures):
        return
    tools.ledger.reports.tell_dataset(pid, _failed(failures))


def lifecycle_update(pid: DatasetPid, update: LifecycleUpdate, tools: Toolbox) -> LifecycleUpdate:
    """Give what SciCat is told of a dataset: what was noted, but for files that came or were lost since."""
    if update.status is LifecycleWord.RETRIEVED:
        try:
            records = tools.ledger.datablocks.of(pid)
            refuse_lost([each for each in records if each.datablock.extract is None], tools)
        except StagedFileMissing as lost:
            return _failed([lost.failure()])
    if update.return_message.get("status") == FILES_RETRIEVED:
        return _files_retrieved(pid, tools)
    return update


def _failed(failures: Sequence[Failure]) -> LifecycleUpdate:
    """Tell of the first failure, and how many more there are."""
    first = failures[0]
    more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
    word = LifecycleWord.SYSTEM_ERROR if first.cause is Cause.SYSTEM else LifecycleWord.FAILED
    message = {"status": "retrievalFailed", "code": first.code, "message": _short(first.message, more)}
    return LifecycleUpdate(word, message, integrity_check=False)


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
    """Note what the job came to, from what its datasets ended as, and have SciCat told.

    Args:
        job_id: The job.
        failure: Why the job as a whole could not be carried out, where that is so.
        tools: The ports.

    Returns:
        The state that it closed with.
    """
    record = tools.ledger.jobs.get(job_id)
    if record is not None and record.state.finished:
        return record.state
    datasets = tools.ledger.jobs.datasets(job_id)
    retrieved = sum(dataset.state is DatasetState.RETRIEVED for dataset in datasets)
    errors = [error for dataset in datasets for error in _errors(dataset, failure)]
    # The links are made when they are told, however many there are: a step has little time.
    state, message = _outcome(
        f"{retrieved} of {len(datasets)} datasets are ready for download", errors, failure
    )
    # Before it ends: from then on its pins may lapse, and those that it does not need any more should.
    tools.ledger.pins.keep_for_job(job_id, tools.clock() + tools.retention)
    tools.ledger.jobs.move(job_id, state, message, failure)
    tools.ledger.claims.end_idle()
    return state


def job_update(job_id: JobId, state: JobState, tools: Toolbox) -> JobUpdate:
    """Compose what SciCat is told of a job: of one that has ended, the result with links that are fresh now.

    A dataset whose files are gone by now is withdrawn first: whoever hears of the job's end wants to fetch
    them.

    Args:
        job_id: The job.
        state: The state to tell.
        tools: The ports.

    Raises:
        JobNotFound: The ledger does not know the job.
    """
    record = tools.ledger.jobs.get(job_id)
    if record is None:
        raise JobNotFound(f"the service has no job {job_id}")
    if not (state.finished and record.state.finished):
        # The end of a job that is retried is not told any more: it has not ended.
        return JobUpdate(record.state if state.finished else state, STARTED)
    kept = tools.ledger.pins.keep_for_job(job_id, tools.clock() + tools.retention)
    _withdraw_lost(job_id, kept, tools)
    result = job_result(job_id, record.failure, kept, tools)
    ended = record.state
    if ended is JobState.SUCCESSFUL and result.state is not ended:
        ended = result.state
        tools.ledger.jobs.move(job_id, ended, result.message)
    url = tools.links.retrieval(job_id, tools.ledger.links.serial(job_id))
    body = {"url": url, **fitted(result.body)}
    message = _short(result.message.removesuffix("."), f". What is there: {url}") if kept else result.message
    return JobUpdate(ended, message, body)


def _withdraw_lost(job_id: JobId, kept: Collection[DatasetPid], tools: Toolbox) -> None:
    for dataset in tools.ledger.jobs.datasets(job_id):
        if dataset.state is DatasetState.RETRIEVED and dataset.pid in kept:
            try:
                refuse_lost(tools.ledger.needs.datablocks(job_id, dataset.pid), tools)
            except StagedFileMissing as lost:
                failures = [lost.failure()]
                tools.ledger.jobs.move_dataset(job_id, dataset.pid, DatasetState.FAILED, failures)


def job_result(
    job_id: JobId, failure: Failure | None, kept: Mapping[DatasetPid, datetime], tools: Toolbox
) -> JobResult:
    """Compose a job's result from the ledger: of all that it has, before it is fitted.

    Args:
        job_id: The job.
        failure: Why it failed as a whole, where it did.
        kept: Until when each of its datasets is pinned for it. One that is not, is not there: it was given
            back, or its time was over before SciCat could be told.
        tools: The ports.
    """
    datasets = tools.ledger.jobs.datasets(job_id)
    remarks = tools.ledger.remarks.of(job_id)
    entries: list[dict[str, Any]] = []
    errors = []
    titles = tools.ledger.titles.of(job_id)
    # Of all its datasets, also those that are not there: as the page calls them.
    names = folder_names({each.pid: titles.get(each.pid) for each in datasets})
    url = tools.links.retrieval(job_id, tools.ledger.links.serial(job_id))
    for number, dataset in enumerate(datasets, 1):
        if dataset.state is DatasetState.RETRIEVED:
            until, page = kept.get(dataset.pid), f"{url}/datasets/{number}"
            expires = None if until is None else until - tools.margin
            records = tools.ledger.needs.datablocks(job_id, dataset.pid)
            entries.append(dataset_entry(dataset.pid, names[dataset.pid], page, records, expires))
        errors.extend(_errors(dataset, failure))
    retrieved = sum(entry["expires"] is not None for entry in entries)
    ends = min((entry["expires"] for entry in entries if entry["expires"]), default="")
    ready = f"{retrieved} of {len(datasets)} datasets are ready for download"
    ready += f" until {ends}" if ends else ""
    if retrieved < len(entries):
        ready += "; what is not kept any more can be asked for again"
    state, message = _outcome(ready, errors, failure)
    of_job = [] if failure is None else [_error(None, failure)]
    body: dict[str, Any] = {"result": entries, "errors": of_job + errors}
    there = [each.pid for each in datasets if each.state is DatasetState.RETRIEVED and each.pid in remarks]
    if there:
        body["remarks"] = [
            {"datasetId": pid, "code": SUMS_DIFFER, "message": _short(remarks[pid])} for pid in there
        ]
    return JobResult(state, message, body)


def _outcome(
    ready: str, errors: Sequence[Mapping[str, Any]], failure: Failure | None
) -> tuple[JobState, str]:
    """Say what a job came to, and in a sentence, from what of its datasets is ready and what went wrong."""
    if failure is not None:
        return JobState.UNSUCCESSFUL, _short(f"The job failed: {failure.message}")
    if errors:
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        first = errors[0]
        partly = (
            first["code"] == FilesUnknown.code
        )  # what exists of the dataset is delivered; the words name it
        reason = first["message"] if partly else f"{first['datasetId']} failed: {first['message']}"
        return JobState.WITH_DATASET_ERRORS, _short(f"{ready}; {reason}", more)
    return JobState.SUCCESSFUL, f"{ready}."


def _errors(dataset: JobDatasetRecord, failure: Failure | None) -> list[dict[str, Any]]:
    # A job's own failure, which is that of the datasets it did not finish, is told once.
    own = [each for each in dataset.failures if each != failure] or _unfinished(dataset, failure)
    unknown = [each for each in dataset.errors if each not in dataset.failures]
    return [_error(dataset.pid, each) for each in (*own, *unknown)]


def _unfinished(dataset: JobDatasetRecord, failure: Failure | None) -> tuple[Failure, ...]:
    """Give the fault of our own where a dataset has no end in a job that did not fail as a whole."""
    if failure is not None or dataset.state is DatasetState.RETRIEVED:
        return ()
    return (InternalError("the service did not finish this dataset").failure(),)


def _error(pid: DatasetPid | None, failure: Failure) -> dict[str, Any]:
    about: dict[str, str] = {} if pid is None else {"datasetId": pid}
    if failure.archive_id is not None:
        about["archiveId"] = failure.archive_id
    return {**about, "code": failure.code, "who": failure.who, "message": _short(failure.message)}


def _short(message: str, ending: str = "") -> str:
    room = MESSAGE_LIMIT - len(ending)
    return (message if len(message) <= room else message[: room - 1] + "…") + ending
