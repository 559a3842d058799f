"""The book of the flows of jobs: which flow carries each out, and whether the engine has it."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select, update

from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import (
    jobs,
)
from scicat_retriever.ledger.rows.jobs import (
    FINISHED,
    OF_FLOW,
    job_flow,
    lock_job,
    new_flow,
)
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.jobs import FlowName


class SqlJobFlows(Book):
    """The flows of jobs, as `ports.job_flows.JobFlows` promises."""

    def of(self, job_id: JobId) -> FlowName | None:
        """Name the flow that carries a job out now."""
        its_flow = select(jobs.c.flow_uuid, jobs.c.flow_name).where(jobs.c.id == job_id)
        with self._database.reading() as connection:
            row = connection.execute(its_flow).first()
        return None if row is None else FlowName(row.flow_uuid, row.flow_name)

    def to_start(self, limit: int) -> Sequence[JobFlow]:
        """Jobs whose flow the engine does not have, oldest first."""
        waiting = (
            select(*OF_FLOW)
            .where(jobs.c.flow_started_at.is_(None), jobs.c.state.not_in(FINISHED))
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [job_flow(row) for row in connection.execute(waiting)]

    def mark_started(self, job_ids: Sequence[JobId]) -> None:
        """Note that the engine has the flows of several jobs."""
        if not job_ids:
            return
        with self._database.writing() as connection:
            for job_id in sorted(set(job_ids)):
                lock_job(connection, job_id)
            connection.execute(
                update(jobs)
                .where(jobs.c.id.in_(job_ids), jobs.c.flow_started_at.is_(None))
                .values(flow_started_at=self._clock())
            )

    def started(self, after: int, limit: int) -> Sequence[tuple[int, JobFlow]]:
        """Jobs under way whose flow the engine should have."""
        under_way = (
            select(jobs.c.number, *OF_FLOW)
            .where(jobs.c.state.not_in(FINISHED), jobs.c.flow_started_at.is_not(None), jobs.c.number > after)
            .order_by(jobs.c.number)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [(row.number, job_flow(row)) for row in connection.execute(under_way)]

    def restart(self, job_id: JobId, flow: FlowName, lost_attempt: int) -> bool:
        """Have a job carried out by a new flow."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished or row.attempt != lost_attempt:
                return False
            # The job keeps its space: its started datasets hold a part of it, and would wait for the rest.
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(new_flow(row, flow)))
            return True

    def to_cancel(self, limit: int) -> Sequence[JobFlow]:
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
