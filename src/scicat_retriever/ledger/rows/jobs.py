"""Rows of `jobs` and `job_datasets`: read, locked, and given as records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Select, bindparam, select, update

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import JobEnded, JobNotFound
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ledger.database.packing import unpack_selections
from scicat_retriever.ledger.database.schema import job_selections, jobs
from scicat_retriever.ledger.database.transitions import TransitionLog, TransitionSubject, require_legal
from scicat_retriever.ledger.rows.line import leave_line
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord

FINISHED = tuple(state for state in JobState if state.finished)
"""The states that a job ends in."""
OF_FLOW = (jobs.c.id, jobs.c.flow_uuid, jobs.c.flow_name, jobs.c.attempt, jobs.c.cancelled_by)
"""The columns of `jobs` that `job_flow` reads."""
_LOCKED = select(jobs).where(jobs.c.id == bindparam("job")).with_for_update()


def with_selections() -> Select[Any]:
    """Select jobs with their dataset lists."""
    return select(jobs, job_selections.c.selections).outerjoin(job_selections)


def job_of(connection: Connection, job_id: JobId) -> JobRecord | None:
    """Give a job's record; None where there is no such job."""
    row = connection.execute(with_selections().where(jobs.c.id == job_id)).first()
    return None if row is None else job_record(row)


def job_dataset_record(row: Any) -> JobDatasetRecord:  # noqa: ANN401
    """Give a row of `job_datasets` as a record."""
    return JobDatasetRecord(
        pid=DatasetPid(row.pid),
        state=DatasetState(row.state),
        failures=row.failures,
        reason=row.reason,
        chosen=row.chosen,
        unknown=row.unknown[0] if row.unknown else None,
    )


def lock_job(connection: Connection, job_id: JobId) -> Any:  # noqa: ANN401
    """Give a job's row, locked until the transaction ends.

    Raises:
        JobNotFound: There is no such job.
    """
    row = connection.execute(_LOCKED, {"job": job_id}).first()
    if row is None:
        raise JobNotFound(f"The service has no job {job_id}.")
    return row


def lock_open_job(connection: Connection, job_id: JobId) -> Any:  # noqa: ANN401
    """Give the row of a job that has not ended, locked until the transaction ends.

    Raises:
        JobNotFound: There is no such job.
        JobEnded: It has ended.
    """
    row = lock_job(connection, job_id)
    if JobState(row.state).finished:
        raise JobEnded(f"The job {job_id} has ended already: {row.state}.")
    return row


def job_flow(row: Any) -> JobFlow:  # noqa: ANN401
    """Give a row of `OF_FLOW` as a job's flow."""
    return JobFlow(JobId(row.id), FlowName(row.flow_uuid, row.flow_name), row.attempt, row.cancelled_by)


def move_job(
    log: TransitionLog,
    connection: Connection,
    row: Any,  # noqa: ANN401
    state: JobState,
    message: str,
    **values: object,
) -> None:
    """Move a locked job to a state, and set `values` beside. A job that ends leaves the line.

    Raises:
        TransitionIllegal: The state must not follow the one that the job has.
    """
    subject, old = TransitionSubject("job", row.id), JobState(row.state)
    require_legal(subject, old, state)
    changes: dict[str, object] = {"state": state, "message": message}
    if old != state:
        # Machines' clocks differ: the time never goes back.
        changes["updated_at"] = max(log.clock(), row.updated_at)
        if state.finished:
            leave_line(connection, row.id)
    connection.execute(update(jobs).where(jobs.c.id == row.id).values(changes | values))
    log.enter(connection, subject, old, state, message)


def of_job(job: RetrieveJob) -> dict[str, object]:
    """Give the columns of `jobs` that hold a job as SciCat handed it over; `job_record` reads them."""
    return {
        "id": job.id,
        "type": job.type,
        "owner_user": job.owner_user,
        "owner_group": job.owner_group,
    }


def job_record(row: Any) -> JobRecord:  # noqa: ANN401
    """Give a row of `with_selections` as a record."""
    datasets = () if row.selections is None else unpack_selections(row.selections)
    return JobRecord(
        job=RetrieveJob(JobId(row.id), row.type, datasets, row.owner_user, row.owner_group),
        flow=FlowName(row.flow_uuid, row.flow_name),
        state=JobState(row.state),
        message=row.message,
        received_at=row.received_at,
        updated_at=row.updated_at,
        failure=row.failure[0] if row.failure else None,
        attempt=row.attempt,
        cancelled_by=row.cancelled_by,
        priority=row.priority,
    )


def new_flow(row: Any, flow: FlowName) -> dict[str, object]:  # noqa: ANN401
    """The columns of a row of `jobs` that change when another flow carries the job out."""
    return {
        "flow_uuid": flow.uuid,
        "flow_name": flow.name,
        "flow_started_at": None,
        "cancel_told_at": None,
        "attempt": row.attempt + 1,
    }
