"""The part of the SQL ledger that cancels jobs, retries them, and gives them new flows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, not_, or_, select, update

from scicat_retriever.domain.errors import DatasetNotOfJob, JobEnded, JobNotEnded, NothingToRetry
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import chosen_datablocks, datablocks, job_datasets, jobs
from scicat_retriever.ledger.database.transitions import TransitionSubject, require_legal
from scicat_retriever.ledger.rows.claims import asks_for
from scicat_retriever.ledger.rows.datablocks import ON_THEIR_WAY
from scicat_retriever.ledger.rows.jobs import (
    FINISHED,
    OF_FLOW,
    job_flow,
    lock_job,
    move_job,
)
from scicat_retriever.ledger.rows.needs import is_brought
from scicat_retriever.ports.ledger import FlowName, JobFlow

_RETRIED = "to be retrieved again"


class JobControlPart(Book):
    """Cancelled, retried and restarted jobs, as `ports.ledger.Ledger` promises."""

    def started_jobs(self, after: int, limit: int) -> Sequence[tuple[int, JobFlow]]:
        """Jobs under way whose flow the engine should have."""
        under_way = (
            select(jobs.c.number, *OF_FLOW)
            .where(jobs.c.state.not_in(FINISHED), jobs.c.flow_started_at.is_not(None), jobs.c.number > after)
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [(row.number, job_flow(row)) for row in connection.execute(under_way)]

    def abandoned(self, limit: int) -> Sequence[tuple[DatasetPid, str]]:
        """Datasets that no job asks for and that have datablocks on their way into staging."""
        c = datablocks.c
        left = (
            select(c.pid, c.run).distinct().where(c.state.in_(ON_THEIR_WAY), ~exists().where(asks_for(c.pid)))
        )
        with self._database.reading() as connection:
            found = connection.execute(left.order_by(c.pid, c.run).limit(limit)).all()
        return [(DatasetPid(pid), run) for pid, run in found]

    def restart_job(self, job_id: JobId, flow: FlowName, lost_attempt: int) -> bool:
        """Have a job carried out by a new flow."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished or row.attempt != lost_attempt:
                return False
            # It keeps its space: what it has begun holds a part of that, and would wait for the rest.
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(_new_flow(row, flow)))
            return True

    def retry_job(self, job_id: JobId, flow: FlowName, pids: Collection[DatasetPid] | None = None) -> int:
        """Have an ended job carried out again."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if not JobState(row.state).finished:
                raise JobNotEnded(f"The job {job_id} is {row.state}: it can be retried when it has ended.")
            if pids is not None:
                self._refuse_foreign(connection, job_id, pids)
            again = [each for each in _not_there(connection, job_id) if pids is None or each.pid in pids]
            # A job may have failed as a whole before its datasets were known, or after all of them were there.
            if not again and (pids is not None or row.state == JobState.SUCCESSFUL):
                raise NothingToRetry(f"All datasets of job {job_id} that are asked about are there.")
            for each in again:
                self._resubmit(connection, job_id, each)
            values = _new_flow(row, flow) | {"cancelled_by": "", "failure": (), "space_granted_at": None}
            move_job(self._log, connection, row, JobState.SUBMITTED, _RETRIED, **values)
            return len(again)

    def _refuse_foreign(self, connection: Connection, job_id: JobId, pids: Collection[DatasetPid]) -> None:
        of_job = select(job_datasets.c.pid).where(job_datasets.c.job_id == job_id)
        if foreign := sorted(set(pids) - set(connection.scalars(of_job))):
            raise DatasetNotOfJob.of(job_id, foreign)

    def _resubmit(self, connection: Connection, job_id: JobId, row: Any) -> None:  # noqa: ANN401
        new, old = DatasetState.SUBMITTED, DatasetState(row.state)
        subject = TransitionSubject("dataset", job_id, row.pid)
        require_legal(subject, old, new)
        its = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == row.pid)
        connection.execute(update(job_datasets).where(its).values(state=new, failures=(), reason=""))
        if row.chosen:
            # The catalogue may have changed: its files are looked for anew, and until then nothing is known of them.
            connection.execute(update(job_datasets).where(its).values(bytes=None, unknown=()))
            c = chosen_datablocks.c
            connection.execute(delete(chosen_datablocks).where(c.job_id == job_id, c.pid == row.pid))
        self._log.enter(connection, subject, old, new, _RETRIED)

    def cancel_job(self, job_id: JobId, by: str) -> None:
        """Note who wants a job cancelled."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished:
                raise JobEnded(f"The job {job_id} has ended already: {row.state}.")
            if not row.cancelled_by:
                wanted = {"cancelled_by": by, "cancel_told_at": None}
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(wanted))

    def jobs_to_cancel(self, limit: int) -> Sequence[JobFlow]:
        """Jobs whose flow has to be told that they are cancelled."""
        wanted = (
            select(*OF_FLOW)
            .where(
                jobs.c.state.not_in(FINISHED),
                jobs.c.flow_started_at.is_not(None),
                jobs.c.cancelled_by != "",
                jobs.c.cancel_told_at.is_(None),
            )
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [job_flow(row) for row in connection.execute(wanted)]

    def mark_cancel_told(self, job_id: JobId, attempt: int) -> None:
        """Note that the flow of this attempt knows that the job is cancelled."""
        with self._database.writing() as connection:
            lock_job(connection, job_id)
            told = update(jobs).where(jobs.c.id == job_id, jobs.c.attempt == attempt)
            connection.execute(told.values(cancel_told_at=self._clock()))

    def recent_job(self) -> JobId | None:
        """The job that was stored last."""
        with self._database.reading() as connection:
            last = connection.scalar(select(jobs.c.id).order_by(jobs.c.number.desc()).limit(1))
        return None if last is None else JobId(last)


def _new_flow(row: Any, flow: FlowName) -> dict[str, object]:  # noqa: ANN401
    return {
        "flow_uuid": flow.uuid,
        "flow_name": flow.name,
        "flow_started_at": None,
        "cancel_told_at": None,
        "attempt": row.attempt + 1,
    }


def _not_there(connection: Connection, job_id: JobId) -> Sequence[Any]:
    """A job's datasets that were not retrieved for it, or are not all there (any more)."""
    c = job_datasets.c
    gone = or_(c.state != DatasetState.RETRIEVED, not_(is_brought()), c.unknown != ())
    wanted = select(c.pid, c.state, c.chosen).where(c.job_id == job_id, gone)
    return connection.execute(wanted.order_by(c.position)).all()
