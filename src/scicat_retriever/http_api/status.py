"""The status of a job, as the API tells it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pydantic import BaseModel, Field

from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.jobs import JobDatasetRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.needs import DatasetProgress, DatasetWait
from scicat_retriever.ports.reports import Report, ReportState
from scicat_retriever.ports.reports import Subject as ReportSubject


class ErrorStatus(BaseModel):
    """Why something failed."""

    code: str = Field(description="Stable code; see the reference of errors.")
    who: str = Field(description="Who can act: `user`, `operator` or `system`.")
    message: str = Field(description="What happened.")
    archive_id: str | None = Field(
        None, serialization_alias="archiveId", description="The datablock it is about."
    )

    @classmethod
    def of(cls, failure: Failure) -> ErrorStatus:
        """Make the status of a failure."""
        return cls(code=failure.code, who=failure.who, message=failure.message, archive_id=failure.archive_id)


class DatablockStatus(BaseModel):
    """How far a datablock is."""

    archive_id: str = Field(serialization_alias="archiveId")
    state: DatablockState
    bytes_done: int = Field(serialization_alias="bytesDone")
    bytes_total: int = Field(serialization_alias="bytesTotal")
    waiting_for: str | None = Field(
        None, serialization_alias="waitingFor", description="What it waits for, in words."
    )

    @classmethod
    def of(cls, record: DatablockRecord) -> DatablockStatus:
        """Make the status of a datablock."""
        return cls(
            archive_id=record.datablock.archive_id,
            state=record.state,
            bytes_done=record.bytes_done,
            bytes_total=record.bytes_total,
            waiting_for=record.reason or None,
        )


class DatasetStatus(BaseModel):
    """How far a dataset of the job is; the sums are over the datablocks that the job needs."""

    pid: str
    state: DatasetState
    chosen: bool = Field(
        False,
        description="Whether the job chose files of it: then only datablocks that hold them are retrieved.",
    )
    bytes_done: int = Field(0, serialization_alias="bytesDone")
    bytes_total: int = Field(0, serialization_alias="bytesTotal")
    datablocks_staged: int = Field(0, serialization_alias="datablocksStaged")
    datablocks_total: int = Field(0, serialization_alias="datablocksTotal")
    waiting_for: str | None = Field(
        None,
        serialization_alias="waitingFor",
        description="What it, or the first of its datablocks on tape, waits for.",
    )
    kept_until: datetime | None = Field(
        None,
        serialization_alias="keptUntil",
        description="Until when it is kept in staging for this job, once the job has ended; its links expire before.",
    )
    errors: list[ErrorStatus] = []
    datablocks: list[DatablockStatus] | None = None


class ReportStatus(BaseModel):
    """A report that is not delivered to SciCat yet."""

    state: ReportState = Field(
        description="`waiting` to be told; `parked` until somebody asks that it be tried again; `undeliverable`: parked, "
        "and SciCat can never take it, since what it is about was deleted there; `dropped`: given up."
    )
    attempts: int = Field(description="How often it was tried in vain.")
    since: datetime = Field(description="Since when it waits (UTC).")
    next_attempt: datetime | None = Field(None, serialization_alias="nextAttempt")
    error: ErrorStatus | None = Field(None, description="Why the last attempt failed.")
    dropped: str | None = Field(None, description="Who gave it up, and why.")

    @classmethod
    def of(cls, report: Report) -> ReportStatus:
        """Make the status of a report."""
        return cls(
            state=report.state,
            attempts=report.attempts,
            since=report.created_at,
            next_attempt=None if report.parked else report.due_at,
            error=None if report.failure is None else ErrorStatus.of(report.failure),
            dropped=report.dropped or None,
        )


class FlowStatus(BaseModel):
    """The flow that carries the job out."""

    uuid: str
    name: str


class JobStatus(BaseModel):
    """How far a job is."""

    id: str
    state: JobState
    message: str
    waiting_for: str | None = Field(
        None,
        serialization_alias="waitingFor",
        description="What it waits for where the service itself is held up: the engine does not answer, or no worker works.",
    )
    flow: FlowStatus
    received_at: datetime = Field(serialization_alias="receivedAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    attempt: int = Field(description="1, and one more for each retry.")
    priority: int = Field(description="The larger goes first to tape; 0 is ordinary.")
    cancelled_by: str | None = Field(None, serialization_alias="cancelledBy")
    report: ReportStatus | None = Field(
        None,
        description="What SciCat was not told of the job yet, or will never be told; absent when it knows all.",
    )
    datasets: list[DatasetStatus]


def job_status(job_id: JobId, ledger: Ledger, *, datablocks: bool) -> JobStatus | None:
    """Give the status of a job, with its datablocks if wanted; None where the ledger has no such job."""
    record = ledger.jobs.get(job_id)
    if record is None:
        return None
    untold = ledger.reports.find(ReportSubject.job(job_id))
    sums = {progress.pid: progress for progress in ledger.needs.progress(job_id)}
    waits = ledger.needs.waits(job_id)
    ends = {pin.pid: pin.until for _, pin in ledger.pins.find(owner=job_id) if pin.by_job}
    return JobStatus(
        id=job_id,
        state=record.state,
        message=record.message,
        flow=FlowStatus(uuid=record.flow.uuid, name=record.flow.name),
        received_at=record.received_at,
        updated_at=record.updated_at,
        attempt=record.attempt,
        priority=record.priority,
        cancelled_by=record.cancelled_by or None,
        report=ReportStatus.of(untold[-1]) if untold else None,
        datasets=[
            _dataset_status(
                each,
                sums.get(each.pid),
                ends.get(each.pid),
                ledger.needs.datablocks(job_id, each.pid) if datablocks else None,
                waits.get(each.pid),
            )
            for each in ledger.jobs.datasets(job_id)
        ],
    )


def _told(wait: DatasetWait | None) -> str | None:
    if wait is None:
        return None
    return wait.reason + (f" (and {wait.datablocks - 1} more)" if wait.datablocks > 1 else "")


def _dataset_status(
    record: JobDatasetRecord,
    progress: DatasetProgress | None,
    kept_until: datetime | None,
    blocks: Sequence[DatablockRecord] | None,
    wait: DatasetWait | None,
) -> DatasetStatus:
    status = DatasetStatus(
        pid=record.pid,
        state=record.state,
        chosen=record.chosen,
        waiting_for=record.reason or _told(wait),
        kept_until=kept_until,
        errors=[ErrorStatus.of(failure) for failure in record.errors],
    )
    if progress is not None:
        status.bytes_done, status.bytes_total = progress.bytes_done, progress.bytes_total
        status.datablocks_staged, status.datablocks_total = progress.staged, progress.datablocks
    if blocks is not None:
        status.datablocks = [DatablockStatus.of(block) for block in blocks]
    return status
