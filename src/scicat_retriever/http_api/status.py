"""How far a job is, as the API tells it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.ledger import DatablockRecord, DatasetProgress, JobDatasetRecord, Ledger


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
        """Tell of a failure."""
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
        """Tell of a datablock."""
        return cls(
            archive_id=record.datablock.archive_id,
            state=record.state,
            bytes_done=record.bytes_done,
            bytes_total=record.bytes_total,
            waiting_for=record.reason or None,
        )


class DatasetStatus(BaseModel):
    """How far a dataset of the job is; the sums are over its datablocks."""

    pid: str
    state: DatasetState
    bytes_done: int = Field(0, serialization_alias="bytesDone")
    bytes_total: int = Field(0, serialization_alias="bytesTotal")
    datablocks_staged: int = Field(0, serialization_alias="datablocksStaged")
    datablocks_total: int = Field(0, serialization_alias="datablocksTotal")
    errors: list[ErrorStatus] = []
    datablocks: list[DatablockStatus] | None = None


class FlowStatus(BaseModel):
    """The flow that carries the job out."""

    uuid: str
    name: str


class JobStatus(BaseModel):
    """How far a job is."""

    id: str
    state: JobState
    message: str
    flow: FlowStatus
    received_at: datetime = Field(serialization_alias="receivedAt")
    updated_at: datetime = Field(serialization_alias="updatedAt")
    report_error: ErrorStatus | None = Field(
        None, serialization_alias="reportError", description="Why SciCat could not be told of the job's end."
    )
    datasets: list[DatasetStatus]


def job_status(job_id: JobId, ledger: Ledger, *, datablocks: bool) -> JobStatus | None:
    """Tell of a job, with its datablocks if wanted; None where the ledger does not know it."""
    record = ledger.job(job_id)
    if record is None:
        return None
    sums = {progress.pid: progress for progress in ledger.progress_of(job_id)}
    return JobStatus(
        id=job_id,
        state=record.state,
        message=record.message,
        flow=FlowStatus(uuid=record.flow.uuid, name=record.flow.name),
        received_at=record.received_at,
        updated_at=record.updated_at,
        report_error=None if record.report_failure is None else ErrorStatus.of(record.report_failure),
        datasets=[
            _dataset_status(each, sums.get(each.pid), ledger if datablocks else None)
            for each in ledger.job_datasets(job_id)
        ],
    )


def _dataset_status(
    record: JobDatasetRecord, progress: DatasetProgress | None, ledger: Ledger | None
) -> DatasetStatus:
    status = DatasetStatus(
        pid=record.pid, state=record.state, errors=[ErrorStatus.of(failure) for failure in record.failures]
    )
    if progress is not None:
        status.bytes_done, status.bytes_total = progress.bytes_done, progress.bytes_total
        status.datablocks_staged, status.datablocks_total = progress.staged, progress.datablocks
    if ledger is not None:
        status.datablocks = [DatablockStatus.of(block) for block in ledger.datablocks(record.pid)]
    return status
