"""Retries: ended jobs become submitted again, with those of their datasets that are not there."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, not_, or_, select, update

from scicat_retriever.domain.errors import DatasetNotOfJob, JobNotEnded, NothingToRetry
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ledger.database.schema import chosen_datablocks, job_datasets
from scicat_retriever.ledger.database.transitions import TransitionLog, TransitionSubject, require_legal
from scicat_retriever.ledger.rows.jobs import lock_job, move_job, new_flow
from scicat_retriever.ledger.rows.needs import is_brought
from scicat_retriever.ports.jobs import FlowName

_RETRIED = "to be retrieved again"


def retry(
    log: TransitionLog,
    connection: Connection,
    job_id: JobId,
    flow: FlowName,
    pids: Collection[DatasetPid] | None,
) -> int:
    """Have an ended job carried out again. Arguments and errors as of `ports.jobs.Jobs.retry`."""
    row = lock_job(connection, job_id)
    if not JobState(row.state).finished:
        raise JobNotEnded(f"The job {job_id} is {row.state}: it can be retried when it has ended.")
    if pids is not None:
        _refuse_foreign(connection, job_id, pids)
    again = [each for each in _not_there(connection, job_id) if pids is None or each.pid in pids]
    # A job may have failed as a whole before its datasets were known, or after all of them were there.
    if not again and (pids is not None or row.state == JobState.SUCCESSFUL):
        raise NothingToRetry(f"All datasets of job {job_id} that are asked about are there.")
    for each in again:
        _resubmit(log, connection, job_id, each)
    values = new_flow(row, flow) | {"cancelled_by": "", "failure": (), "space_granted_at": None}
    move_job(log, connection, row, JobState.SUBMITTED, _RETRIED, **values)
    return len(again)


def _refuse_foreign(connection: Connection, job_id: JobId, pids: Collection[DatasetPid]) -> None:
    of_job = select(job_datasets.c.pid).where(job_datasets.c.job_id == job_id)
    if foreign := sorted(set(pids) - set(connection.scalars(of_job))):
        raise DatasetNotOfJob.of(job_id, foreign)


def _resubmit(log: TransitionLog, connection: Connection, job_id: JobId, row: Any) -> None:  # noqa: ANN401
    new, old = DatasetState.SUBMITTED, DatasetState(row.state)
    subject = TransitionSubject("dataset", job_id, row.pid)
    require_legal(subject, old, new)
    its = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == row.pid)
    connection.execute(update(job_datasets).where(its).values(state=new, failures=(), reason=""))
    if row.chosen:
        # The catalogue may have changed: its files are looked for anew, and until then nothing is known of
        # them.
        connection.execute(update(job_datasets).where(its).values(bytes=None, unknown=()))
        c = chosen_datablocks.c
        connection.execute(delete(chosen_datablocks).where(c.job_id == job_id, c.pid == row.pid))
    log.enter(connection, subject, old, new, _RETRIED)


def _not_there(connection: Connection, job_id: JobId) -> Sequence[Any]:
    """A job's datasets that were not retrieved for it, or are not all there (any more)."""
    c = job_datasets.c
    gone = or_(c.state != DatasetState.RETRIEVED, not_(is_brought()), c.unknown != ())
    wanted = select(c.pid, c.state, c.chosen).where(c.job_id == job_id, gone)
    return connection.execute(wanted.order_by(c.position)).all()
