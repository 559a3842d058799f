"""The book of reports: all that SciCat has to hear."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Select,
    and_,
    delete,
    exists,
    func,
    not_,
    or_,
    select,
    update,
)

from scicat_retriever.domain.errors import Failure, ReportNotParked, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, JobState, LifecycleWord
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import datablocks, job_datasets, reports
from scicat_retriever.ledger.database.statements import batches
from scicat_retriever.ledger.database.transitions import TransitionSubject
from scicat_retriever.ledger.rows.jobs import FINISHED, lock_job
from scicat_retriever.ledger.rows.reports import is_about, report_record, write_report
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.reports import Report, ReportKind, ReportState, Subject, is_undeliverable

FAR_AHEAD = timedelta(days=1)
"""A report that is due later than so far ahead was dated by a clock that has gone back since: it is due now.

A claim that ends later than so far ahead is over for the same reason.
"""


class SqlReports(Book):
    """Reports, as `ports.reports.Reports` promises."""

    def tell_dataset(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        """Have SciCat told a dataset's state."""
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            if update.status is LifecycleWord.RETRIEVED:
                listed = and_(datablocks.c.pid == pid, datablocks.c.listed, datablocks.c.extract == "")
                staged = func.count().filter(datablocks.c.state == DatablockState.STAGED)
                total, there = connection.execute(select(func.count(), staged).where(listed)).one()
                if total == 0 or there != total:
                    raise TransitionIllegal(
                        f"The dataset {pid} is not retrieved: {there} of {total} are staged."
                    )
            write_report(connection, self._clock(), Subject.dataset(pid), update)

    def tell_job_again(self, job_id: JobId) -> bool:
        """Have SciCat told a job's state once more."""
        subject = Subject.job(job_id)
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if connection.execute(select(reports.c.number).where(is_about(subject)).limit(1)).first():
                return False
            write_report(connection, self._clock(), subject, JobState(row.state))
            return True

    def claim(self, teller: str, claim: timedelta, subject: Subject | None = None) -> Report | None:
        """Claim the first report that can be told now."""
        now = self._clock()
        wanted = _claimable(now, claim, subject)
        # Most looks find nothing, and should not hold up those who write.
        with self._database.reading() as connection:
            if connection.execute(wanted.with_only_columns(reports.c.number)).first() is None:
                return None
        with self._database.writing() as connection:
            row = connection.execute(wanted.with_for_update(skip_locked=True)).first()
            if row is None:
                return None
            held = {"teller": teller, "claimed_until": now + claim}
            connection.execute(update(reports).where(reports.c.number == row.number).values(held))
            return report_record(row)

    def renew(self, teller: str, numbers: Collection[int], claim: timedelta) -> None:
        """Hold reports that the teller has claimed for longer."""
        if not numbers:
            return
        with self._database.writing() as connection:
            held = update(reports).where(reports.c.teller == teller, reports.c.number.in_(numbers))
            connection.execute(held.values(claimed_until=self._clock() + claim))

    def delivered(self, number: int) -> None:
        """Forget a report that SciCat holds, and older parked ones of its subject."""
        with self._database.writing() as connection:
            row = connection.execute(select(reports).where(reports.c.number == number)).first()
            if row is None:
                return
            older = and_(is_about(report_record(row).subject), reports.c.number < number, reports.c.parked)
            connection.execute(delete(reports).where(or_(reports.c.number == number, older)))

    def postpone(self, number: int, failure: Failure, due_at: datetime) -> None:
        """Note a vain attempt and when to try again."""
        self._failed(number, failure, due_at=due_at)

    def park(self, number: int, failure: Failure) -> None:
        """Note that SciCat cannot be told."""
        undeliverable = is_undeliverable(failure)
        self._failed(number, failure, parked=True, undeliverable=undeliverable, due_at=self._clock())

    def _failed(self, number: int, failure: Failure, **values: object) -> None:
        noted = {
            "attempts": reports.c.attempts + 1,
            "failure": (failure,),
            "teller": "",
            "claimed_until": None,
        }
        with self._database.writing() as connection:
            connection.execute(update(reports).where(reports.c.number == number).values(noted | values))

    def unpark(self, subject: Subject | None = None) -> int:
        """Have parked reports tried again at once."""
        parked = _PARKED if subject is None else and_(_PARKED, is_about(subject))
        now = self._clock()
        newer = reports.alias()
        superseded = exists().where(
            newer.c.kind == reports.c.kind, newer.c.name == reports.c.name, newer.c.number > reports.c.number
        )
        with self._database.writing() as connection:
            connection.execute(delete(reports).where(parked, superseded))
            values = {"parked": False, "undeliverable": False, "due_at": now, "created_at": now}
            return connection.execute(update(reports).where(parked).values(values)).rowcount

    def drop(self, numbers: Collection[int], why: str) -> Sequence[Report]:
        """Drop parked reports, all of them or none."""
        wanted = sorted(set(numbers))
        with self._database.writing() as connection:
            dropped = [
                each
                for batch in batches(wanted)
                for each in self._drop(connection, reports.c.number.in_(batch), why)
            ]
            missing = set(wanted) - {each.number for each in dropped}
            if missing:
                named = ", ".join(map(str, sorted(missing)[:10]))
                raise ReportNotParked(
                    f"There is no parked report of number {named}: nothing was dropped. See `retriever reports list`"
                )
            return dropped

    def drop_undeliverable(self, parked_before: datetime, why: str) -> Sequence[Report]:
        """Give those up that SciCat can never take and that have been parked for long."""
        old = and_(reports.c.undeliverable, reports.c.due_at < parked_before)
        # Most looks find nothing, and should not hold up those who write.
        with self._database.reading() as connection:
            if connection.execute(select(reports.c.number).where(_PARKED, old).limit(1)).first() is None:
                return []
        with self._database.writing() as connection:
            return self._drop(connection, old, why)

    def _drop(self, connection: Connection, which: ColumnElement[bool], why: str) -> list[Report]:
        found = select(reports).where(_PARKED, which).order_by(reports.c.number).with_for_update()
        before = [report_record(row) for row in connection.execute(found)]
        now = self._clock()
        for report in before:
            values = {"dropped": why, "due_at": now}
            connection.execute(update(reports).where(reports.c.number == report.number).values(values))
            self._log.enter(
                connection,
                _in_the_book(report.subject),
                report.state,
                ReportState.DROPPED,
                _never_told(report, why),
            )
        return [replace(report, dropped=why, due_at=now) for report in before]

    def find(
        self, subject: Subject | None = None, after: int = 0, limit: int = 100, *, dropped: bool = True
    ) -> Sequence[Report]:
        """Reports not told yet, in their order."""
        page = select(reports).where(reports.c.number > after).order_by(reports.c.number).limit(limit)
        if subject is not None:
            page = page.where(is_about(subject))
        if not dropped:
            page = page.where(reports.c.dropped == "")
        with self._database.reading() as connection:
            return [report_record(row) for row in connection.execute(page)]

    def count(self) -> tuple[int, int]:
        """How many wait, and how many are parked."""
        waiting, parked = func.count().filter(not_(reports.c.parked)), func.count().filter(_PARKED)
        with self._database.reading() as connection:
            there, aside = connection.execute(select(waiting, parked).select_from(reports)).one()
        return there, aside

    def count_undeliverable(self) -> int:
        """How many SciCat can never take."""
        gone = select(func.count()).select_from(reports).where(_PARKED, reports.c.undeliverable)
        with self._database.reading() as connection:
            return connection.scalar(gone) or 0


_PARKED = and_(reports.c.parked, reports.c.dropped == "")


def _in_the_book(subject: Subject) -> TransitionSubject:
    """Name whom a report is about as the book of transitions does."""
    if subject.kind is ReportKind.JOB:
        return TransitionSubject("report", job_id=subject.name)
    return TransitionSubject("report", pid=subject.name)


def _never_told(report: Report, why: str) -> str:
    word = report.content if isinstance(report.content, JobState) else report.content.status
    cause = "" if report.failure is None else f" ({report.failure.code}: {report.failure.message})"
    return f"{why}; SciCat was not told {word or 'of links'}{cause}"


def _claimable(now: datetime, claim: timedelta, subject: Subject | None) -> Select[tuple[object, ...]]:
    free = or_(
        reports.c.claimed_until.is_(None),
        reports.c.claimed_until <= now,
        reports.c.claimed_until > now + 2 * claim,
    )
    wanted = select(reports).where(not_(reports.c.parked), _is_first(reports), free, _datasets_first())
    if subject is None:
        wanted = wanted.where(or_(reports.c.due_at <= now, reports.c.due_at > now + FAR_AHEAD))
    else:
        wanted = wanted.where(is_about(subject))
    return wanted.order_by(reports.c.due_at, reports.c.number).limit(1)


def _is_first(report: FromClause) -> ColumnElement[bool]:
    """The condition that no earlier report of the same subject waits."""
    earlier = reports.alias()
    waits = exists().where(
        earlier.c.kind == report.c.kind,
        earlier.c.name == report.c.name,
        earlier.c.number < report.c.number,
        not_(earlier.c.parked),
    )
    return not_(waits)


def _datasets_first() -> ColumnElement[bool]:
    """The condition that no dataset of an ended job has an earlier report that was not tried yet.

    So SciCat hears of a job's datasets before it hears of the job's end, unless it cannot be told of them.
    """
    of_dataset = reports.alias()
    untried = exists().where(
        job_datasets.c.job_id == reports.c.name,
        of_dataset.c.kind == ReportKind.DATASET,
        of_dataset.c.name == job_datasets.c.pid,
        of_dataset.c.number < reports.c.number,
        of_dataset.c.attempts == 0,
        not_(of_dataset.c.parked),
        _is_first(of_dataset),
    )
    is_end = and_(reports.c.kind == ReportKind.JOB, reports.c.told.in_(FINISHED))
    return not_(and_(is_end, untried))
