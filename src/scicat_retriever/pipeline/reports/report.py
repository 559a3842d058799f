"""Report: what SciCat has to hear, in the shapes that its pages and e-mails read.

Job: `statusCode`, `statusMessage` and `jobResultObject`

    {"url",
     "result": [{"datasetId", "name", "size", "archiveId", "url", "checksum", "expires", "files", "integrity",
                 "matched_by"?, "passed_over"?, "replaced"?, "tars"?, "chosen"?, "asked_as"?}],
     "errors": [{"datasetId", "archiveId"?, "code", "who", "message"}],
     "remarks"?: [{"datasetId", "code", "message"}]}

The first `url` is the page of the retrieval, which the message ends with where something is there. `result`
has an entry for each datablock that the job needs; its `url` is null, and `expires` over, for what is not
kept any more. A remark is on a dataset that is there all the same: `sums_differ` says that SciCat declares
other sums of it than its datablocks have. Dataset: the lifecycle's `retrieveStatusMessage`,
`retrievable`, `retrieveIntegrityCheck`, and `retrieveReturnMessage`:

    {"status": "retrievalFailed", "code", "message"}    where it failed
    {"status": "filesRetrieved", "message"}             where a part of it is there, for jobs that chose files

and what a dataset is told in place of a job that cannot be closed, see `pipeline.reports.unclosable`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any

from scicat_retriever.domain.errors import (
    Cause,
    Failure,
    FilesUnknown,
    InternalError,
    JobNotFound,
    StagedFileMissing,
)
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState, LifecycleWord
from scicat_retriever.pipeline.delivery.names import download_names
from scicat_retriever.pipeline.jobs.outcome import gave_back
from scicat_retriever.pipeline.jobs.selection import ChosenNames
from scicat_retriever.pipeline.jobs.status import STARTED
from scicat_retriever.pipeline.reports.fitting import first_that_fit
from scicat_retriever.pipeline.reports.remarks import remarks_on
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.publish import Published, is_there, refuse_lost
from scicat_retriever.ports.catalogue import JobUpdate, LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.jobs import JobDatasetRecord

RESULT_LIMIT = 14 * 2**20
"""Longest `jobResultObject` in bytes: SciCat refuses a body over 16 MB, and the links count in it."""
SHORTENED_LIMIT = 10_000
"""Most entries and most errors of a result that had to be shortened."""
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
    body = result.body
    if len(json.dumps(body)) > RESULT_LIMIT:
        body = without_examples(body)
    if len(json.dumps(body)) > RESULT_LIMIT:
        body = shortened(body)
    body = {"url": url, **body}
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
    """Compose a job's result from the ledger, with fresh links.

    Args:
        job_id: The job.
        failure: Why it failed as a whole, where it did.
        kept: Until when each of its datasets is pinned for it. One that is not has no links: it was given
            back, or its time was over before SciCat could be told.
        tools: The ports.
    """
    datasets = tools.ledger.jobs.datasets(job_id)
    remarks = tools.ledger.remarks.of(job_id)
    entries: list[dict[str, Any]] = []
    errors = []
    chosen = ChosenNames(job_id, tools)
    records = {dataset.pid: tools.ledger.needs.datablocks(job_id, dataset.pid) for dataset in datasets}
    # Of all its datasets, also those that are not there: a file's name shall not change when one more is
    # retrieved.
    names = download_names((each.key, each.file_name) for blocks in records.values() for each in blocks)
    retrieved = 0
    for dataset in datasets:
        if dataset.state is DatasetState.RETRIEVED:
            entries.extend(result_entries(records[dataset.pid], names, kept.get(dataset.pid), chosen, tools))
            retrieved += dataset.pid in kept
        errors.extend(_errors(dataset, failure))
    expires = min((entry["expires"] for entry in entries if entry["url"]), default="")
    ready = f"{retrieved} of {len(datasets)} datasets are ready for download"
    ready += f" until {expires}" if expires else ""
    if any(entry["url"] is None for entry in entries):
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


def without_examples(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give a result without its examples of spellings: the links need the room more."""
    entries = [
        entry
        if "matched_by" not in entry
        else entry | {"matched_by": [each | {"examples": []} for each in entry["matched_by"]]}
        for entry in body["result"]
    ]
    return {**body, "result": entries}


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
    kept = {"result": _fitting(sums.values()), "errors": _fitting(body["errors"])}
    if "remarks" in body:
        kept["remarks"] = _fitting(body["remarks"])
    return {**kept, "shortened": "the links do not fit into SciCat: the page has them"}


def _fitting(entries: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Give the first entries, as many as fit into a third of what SciCat can hold."""
    return first_that_fit(islice(entries, SHORTENED_LIMIT), RESULT_LIMIT // 3)


def result_entries(
    records: Sequence[DatablockRecord],
    names: Mapping[DatablockKey, str],
    pinned_until: datetime | None,
    chosen: ChosenNames,
    tools: Toolbox,
) -> Iterator[dict[str, Any]]:
    """Give an entry of a job's `result` for each datablock, with a fresh link where it is pinned.

    Args:
        records: The datablocks.
        names: What each is called when it is downloaded.
        pinned_until: Until when the dataset is pinned for the job; None where it is not.
        chosen: The files that the job chose.
        tools: The ports.
    """
    for record in records:
        link = None
        if pinned_until is not None:
            link = tools.links.link(record.key, names[record.key], pinned_until - tools.margin)
        held = chosen.held_by(record)
        entry = {
            "datasetId": record.key.pid,
            "name": record.file_name,
            "size": record.bytes_total,
            "archiveId": record.datablock.archive_id,
            "url": None if link is None else link.url,
            "checksum": record.archive_checksum,
            "expires": timestamp(tools.clock() if link is None else link.expires),
            "files": record.datablock.file_count,
            "integrity": record.integrity,
        }
        yield entry | remarks_on(record, held)


def _unfinished(dataset: JobDatasetRecord, failure: Failure | None) -> tuple[Failure, ...]:
    """Give the fault of our own where a dataset has no end in a job that did not fail as a whole."""
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
