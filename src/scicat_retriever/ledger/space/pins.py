"""The book of pins: who wants which dataset to stay staged, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, not_, or_, select, update

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import claims, datablocks, job_datasets, jobs, pins, reports
from scicat_retriever.ledger.database.statements import batches
from scicat_retriever.ledger.rows.datablocks import (
    is_datablock,
)
from scicat_retriever.ledger.rows.jobs import FINISHED, lock_job
from scicat_retriever.ledger.rows.needs import lacks_needed, needs
from scicat_retriever.ledger.rows.pins import add_pins, end_pins, pinned_bytes
from scicat_retriever.ports.pins import Pin
from scicat_retriever.ports.reports import ReportKind


class SqlPins(Book):
    """Pins, as `ports.pins.Pins` promises."""

    def pin(self, pid: DatasetPid, owner: str, until: datetime) -> int:
        """Pin a dataset for somebody who is no job."""
        c = datablocks.c
        staged = select(func.count()).where(c.pid == pid, c.listed, c.state == DatablockState.STAGED)
        its = and_(pins.c.owner == owner, not_(pins.c.by_job), pins.c.pid == pid)
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            count = connection.scalar(staged) or 0
            if not count:
                return 0
            present = connection.execute(select(pins.c.number, pins.c.until).where(its)).first()
            if present is None:
                values = {"owner": owner, "by_job": False, "owner_group": None, "bytes": 0}
                add_pins(connection, [values | {"pid": pid, "until": until, "created_at": self._clock()}])
            elif present.until < until:
                connection.execute(update(pins).where(its).values(until=until))
            return count

    def keep_for_job(self, job_id: JobId, until: datetime) -> Mapping[DatasetPid, datetime]:
        """Give the pins of a job an end, and unpin those of its datasets that are not retrieved for it."""
        c = pins.c
        its = and_(c.owner == job_id, c.by_job)
        of_dataset = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == c.pid)
        rows = (
            select(c.number, c.pid, c.until, job_datasets.c.state)
            .join_from(pins, job_datasets, of_dataset)
            .where(its)
            .order_by(c.number)
        )
        with self._database.writing() as connection:
            lock_job(connection, job_id)
            self._database.lock_datasets(connection, connection.scalars(select(c.pid).where(its)).all())
            found = connection.execute(rows).all()
            end_pins(connection, [row for row in found if row.state != DatasetState.RETRIEVED])
            sooner = or_(c.until.is_(None), c.until < until)
            connection.execute(update(pins).where(its, sooner).values(until=until))
        kept = [row for row in found if row.state == DatasetState.RETRIEVED]
        return {DatasetPid(row.pid): max(until, row.until or until) for row in kept}

    def unpin(self, owner: str, pid: DatasetPid | None = None) -> Sequence[DatasetPid]:
        """End an owner's pins, or the one on a dataset."""
        ended = exists().where(jobs.c.id == pins.c.owner, jobs.c.state.in_(FINISHED))
        its = and_(pins.c.owner == owner, or_(not_(pins.c.by_job), ended))
        if pid is not None:
            its = and_(its, pins.c.pid == pid)
        with self._database.writing() as connection:
            rows = self._end_those(connection, its, _rows(connection, its))
        return list(dict.fromkeys(DatasetPid(row.pid) for row in rows))

    def lapse(self, now: datetime, limit: int) -> int:
        """End pins whose time is over."""
        over = _is_over(now)
        with self._database.reading() as connection:
            candidates = _rows(connection, over, limit)
        if not candidates:
            return 0
        with self._database.writing() as connection:
            return len(self._end_those(connection, over, candidates))

    def _end_those(
        self, connection: Connection, condition: ColumnElement[bool], candidates: Sequence[Any]
    ) -> Sequence[Any]:
        """Lock the datasets of pins, end those for which the condition still holds; gives their rows."""
        self._database.lock_datasets(connection, [row.pid for row in candidates])
        rows: list[Any] = []
        for batch in batches(row.number for row in candidates):
            rows += _rows(connection, and_(condition, pins.c.number.in_(batch)))
        end_pins(connection, rows)
        return rows

    def find(
        self,
        pid: DatasetPid | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[tuple[int, Pin]]:
        """Pins with their numbers, in the order in which they were made."""
        page = select(pins).where(pins.c.number > after).order_by(pins.c.number).limit(limit)
        if pid is not None:
            page = page.where(pins.c.pid == pid)
        if owner is not None:
            page = page.where(pins.c.owner == owner)
        with self._database.reading() as connection:
            return list(_numbered(connection.execute(page)))

    def bytes_by_group(self) -> Mapping[str, int]:
        """Bytes of the datasets that jobs of each owner group pin."""
        with self._database.reading() as connection:
            return pinned_bytes(connection)

    def is_promised(self, key: DatablockKey) -> bool:
        """Whether a datablock is pinned by somebody who was told that it is there."""
        retrieved = and_(job_datasets.c.pid == pins.c.pid, job_datasets.c.state == DatasetState.RETRIEVED)
        by_job = exists().where(
            pins.c.by_job, job_datasets.c.job_id == pins.c.owner, retrieved, is_datablock(key), needs()
        )
        promises = exists().where(pins.c.pid == key.pid, or_(not_(pins.c.by_job), by_job.correlate(pins)))
        with self._database.reading() as connection:
            return bool(connection.scalar(select(promises)))

    def jobs_to_mend(self, limit: int) -> Sequence[JobId]:
        """Jobs that have ended and have links to files that are gone."""
        wanted = select(jobs.c.id).where(jobs.c.state.in_(FINISHED), exists().where(_is_broken()))
        with self._database.reading() as connection:
            found = connection.scalars(wanted.order_by(jobs.c.number).limit(limit))
            return [JobId(job_id) for job_id in found]


def _rows(connection: Connection, condition: ColumnElement[bool], limit: int | None = None) -> Sequence[Any]:
    wanted = select(pins.c.number, pins.c.pid).where(condition).order_by(pins.c.number).limit(limit)
    return connection.execute(wanted).all()


def _numbered(rows: Iterable[Any]) -> Iterable[tuple[int, Pin]]:
    for row in rows:
        pid = DatasetPid(row.pid)
        yield row.number, Pin(pid, row.owner, row.by_job, row.owner_group, row.until, row.created_at)


def _is_over(now: datetime) -> ColumnElement[bool]:
    """The condition that a pin is over.

    A pin without a job is over when its time is. The pin of a job is over when its time is, if it has one,
    and the job has ended, and no report of its end waits to be told to SciCat; parked reports do not count.
    The pin of a retried job that waits for space is over when its time is: the job must not wait for space
    that it holds itself, or for a job that waits for it.
    """
    # In these words, SQLite looks the job up in place of going through all reports that are not parked.
    parked = func.coalesce(reports.c.parked, False)
    to_be_told = exists().where(
        reports.c.kind == ReportKind.JOB, reports.c.name == pins.c.owner, not_(parked)
    )
    ended = exists().where(jobs.c.id == pins.c.owner, jobs.c.state.in_(FINISHED))
    past = or_(pins.c.until.is_(None), pins.c.until <= now)
    waits = exists().where(
        jobs.c.id == pins.c.owner, jobs.c.state.not_in(FINISHED), jobs.c.space_granted_at.is_(None)
    )
    waits_past = and_(waits, pins.c.until <= now)
    return or_(and_(past, or_(not_(pins.c.by_job), and_(ended, not_(to_be_told)))), waits_past)


def _is_broken() -> ColumnElement[bool]:
    """The condition that a pinned dataset, retrieved for its job, is broken and not on its way.

    Broken: a datablock that the job needs is not staged, or not listed. On its way: the dataset has a claim.
    """
    return and_(
        pins.c.owner == jobs.c.id,
        pins.c.by_job,
        job_datasets.c.job_id == jobs.c.id,
        job_datasets.c.pid == pins.c.pid,
        job_datasets.c.state == DatasetState.RETRIEVED,
        lacks_needed(),
        ~exists().where(claims.c.pid == pins.c.pid),
    )
