"""The book of jobs: what was asked for, and how far it is."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from scicat_retriever.domain.dataset import RetrieveJob, Selection, united
from scicat_retriever.domain.errors import (
    Failure,
    TransitionIllegal,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.packing import pack_selections
from scicat_retriever.ledger.database.schema import (
    job_datasets,
    job_selections,
    jobs,
)
from scicat_retriever.ledger.database.transitions import TransitionSubject, require_legal
from scicat_retriever.ledger.jobs.retries import retry
from scicat_retriever.ledger.rows.jobs import (
    job_dataset_record,
    job_of,
    job_record,
    lock_job,
    lock_open_job,
    move_job,
    of_job,
    with_selections,
)
from scicat_retriever.ledger.rows.reports import write_report
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord
from scicat_retriever.ports.reports import Subject


class SqlJobs(Book):
    """Jobs and their datasets, as `ports.jobs.Jobs` promises."""

    def add(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        """Store a job as submitted; a known one stays as it is."""
        return self.add_all([(job, flow)])[0]

    def add_all(self, given: Sequence[tuple[RetrieveJob, FlowName]]) -> Sequence[JobRecord]:
        """Store several jobs in one transaction."""
        wanted = {job.id: (job, flow) for job, flow in reversed(given)}
        with self._database.writing() as connection:
            for job_id in sorted(wanted):  # in one order, so that no two of these wait for each other
                self._database.lock(connection, "job", job_id)
            found = connection.execute(with_selections().where(jobs.c.id.in_(wanted)))
            records = {record.job.id: record for record in map(job_record, found)}
            ids = dict.fromkeys(job.id for job, _ in given)
            new = [wanted[job_id] for job_id in ids if job_id not in records]
            now = self._clock()
            self._insert_jobs(connection, new, now)
        records |= {job.id: JobRecord(job, flow, JobState.SUBMITTED, "", now, now) for job, flow in new}
        return [records[job.id] for job, _ in given]

    def refuse(self, job: RetrieveJob, flow: FlowName, failure: Failure) -> JobRecord:
        """Store a job as failed, and have SciCat told; a known one stays as it is."""
        with self._database.writing() as connection:
            self._database.lock(connection, "job", job.id)
            known = job_of(connection, job.id)
            if known is not None:
                return known
            state, now = JobState.UNSUCCESSFUL, self._clock()
            self._insert_jobs(connection, [(replace(job, datasets=()), flow)], now)
            row = lock_job(connection, job.id)
            move_job(self._log, connection, row, state, failure.message, failure=(failure,))
            write_report(connection, self._clock(), Subject.job(job.id), state)
            return job_record(connection.execute(with_selections().where(jobs.c.id == job.id)).one())

    def get(self, job_id: JobId) -> JobRecord | None:
        """Give a job's record."""
        with self._database.reading() as connection:
            return job_of(connection, job_id)

    def complete(self, job_id: JobId, known: RetrieveJob) -> None:
        """Complete a job that came without its dataset list or owner group."""
        with self._database.writing() as connection:
            if lock_job(connection, job_id).owner_group is None:
                group = known.owner_group
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(owner_group=group))
            there = select(job_selections.c.job_id).where(job_selections.c.job_id == job_id)
            if connection.execute(there).first() is None:
                self._add_datasets(connection, {job_id: known.datasets})

    def datasets(self, job_id: JobId, after: int = 0, limit: int | None = None) -> Sequence[JobDatasetRecord]:
        """A job's datasets in the order asked for."""
        page = (
            select(job_datasets)
            .where(job_datasets.c.job_id == job_id, job_datasets.c.position >= after)
            .order_by(job_datasets.c.position)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [job_dataset_record(row) for row in connection.execute(page)]

    def move(self, job_id: JobId, state: JobState, message: str = "", failure: Failure | None = None) -> None:
        """Note a job's state, and have SciCat told of a new one."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            old = JobState(row.state)
            if old == state:
                move_job(self._log, connection, row, state, message)
            else:
                kept = () if failure is None else (failure,)
                move_job(self._log, connection, row, state, message, failure=kept)
                write_report(connection, self._clock(), Subject.job(job_id), state)
                if state.finished and failure is not None:
                    self._fail_datasets(connection, job_id, failure)

    def _fail_datasets(self, connection: Connection, job_id: JobId, failure: Failure) -> None:
        c, new = job_datasets.c, DatasetState.FAILED
        open_ones = (c.job_id == job_id, c.state.in_((DatasetState.SUBMITTED, DatasetState.STARTED)))
        rows = connection.execute(select(c.pid, c.state).where(*open_ones).order_by(c.position)).all()
        values = {"state": new, "failures": (failure,), "reason": ""}
        connection.execute(update(job_datasets).where(*open_ones).values(values))
        changed = [(TransitionSubject("dataset", job_id, row.pid), DatasetState(row.state)) for row in rows]
        self._log.enter_all(connection, changed, new, failure.code)

    def move_dataset(
        self, job_id: JobId, pid: DatasetPid, state: DatasetState, failures: Sequence[Failure] = ()
    ) -> None:
        """Note the state of one of a job's datasets."""
        subject = TransitionSubject("dataset", job_id, pid)
        its = (job_datasets.c.job_id == job_id, job_datasets.c.pid == pid)
        with self._database.writing() as connection:
            row = connection.execute(select(job_datasets.c.state).where(*its).with_for_update()).first()
            if row is None:
                lock_job(connection, job_id)
                raise TransitionIllegal(f"The {subject} cannot become {state}: the job does not ask for it.")
            old = DatasetState(row.state)
            require_legal(subject, old, state)
            kept = tuple(failures)
            connection.execute(update(job_datasets).where(*its).values(state=state, failures=kept, reason=""))
            self._log.enter(connection, subject, old, state, "; ".join(failure.code for failure in kept))

    def note_waiting(self, pid: DatasetPid, reason: str) -> None:
        """Note what a dataset waits for."""
        c = job_datasets.c
        news = (c.pid == pid, c.state == DatasetState.STARTED, c.reason != reason)
        with self._database.reading() as connection:
            if connection.execute(select(c.job_id).where(*news).limit(1)).first() is None:
                return
        with self._database.writing() as connection:
            connection.execute(update(job_datasets).where(*news).values(reason=reason))

    def _insert_jobs(
        self, connection: Connection, new: Sequence[tuple[RetrieveJob, FlowName]], now: datetime
    ) -> None:
        if not new:
            return
        rows = [
            {
                **of_job(job),
                "flow_uuid": flow.uuid,
                "flow_name": flow.name,
                "state": JobState.SUBMITTED,
                "message": "",
                "received_at": now,
                "updated_at": now,
                "failure": (),
                "attempt": 1,
                "cancelled_by": "",
                "priority": 0,
            }
            for job, flow in new
        ]
        connection.execute(insert(jobs), rows)
        self._log.enter_all(
            connection, [(TransitionSubject("job", job.id), None) for job, _ in new], JobState.SUBMITTED
        )
        self._add_datasets(connection, {job.id: job.datasets for job, _ in new})

    def _add_datasets(self, connection: Connection, lists: Mapping[JobId, Sequence[Selection]]) -> None:
        """Write down the dataset lists of jobs; an empty list is one that is not known yet."""
        lists = {job_id: datasets for job_id, datasets in lists.items() if datasets}
        if not lists:
            return
        asked_for = [
            (job_id, position, selection)
            for job_id, datasets in lists.items()
            for position, selection in enumerate(united(datasets))
        ]
        state = DatasetState.SUBMITTED
        connection.execute(
            insert(job_selections),
            [{"job_id": job_id, "selections": pack_selections(lists[job_id])} for job_id in lists],
        )
        connection.execute(
            insert(job_datasets),
            [
                {
                    "job_id": job_id,
                    "position": position,
                    "pid": selection.pid,
                    "state": state,
                    "failures": (),
                    "reason": "",
                    "chosen": bool(selection.files),
                    "unknown": (),
                }
                for job_id, position, selection in asked_for
            ],
        )
        subjects = [(TransitionSubject("dataset", job_id, each.pid), None) for job_id, _, each in asked_for]
        self._log.enter_all(connection, subjects, state)

    def cancel(self, job_id: JobId, by: str) -> None:
        """Note who wants a job cancelled."""
        with self._database.writing() as connection:
            row = lock_open_job(connection, job_id)
            if not row.cancelled_by:
                wanted = {"cancelled_by": by, "cancel_told_at": None}
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(wanted))

    def retry(self, job_id: JobId, flow: FlowName, pids: Collection[DatasetPid] | None = None) -> int:
        """Have an ended job carried out again."""
        with self._database.writing() as connection:
            return retry(self._log, connection, job_id, flow, pids)

    def recent(self) -> JobId | None:
        """The job that was stored last."""
        with self._database.reading() as connection:
            last = connection.scalar(select(jobs.c.id).order_by(jobs.c.number.desc()).limit(1))
        return None if last is None else JobId(last)
