"""The outbox in memory: the part of the fake ledger that holds reports."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scicat_retriever.domain.errors import Failure, ReportNotParked, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, JobState, LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.reports import Report, ReportKind, ReportState, Subject
from tests.fakes.records import InMemoryRecords


@dataclass
class _Row:
    report: Report
    teller: str = ""
    claimed_until: datetime | None = None


class InMemoryOutbox(InMemoryRecords):
    """Reports in a list."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._rows: list[_Row] = []
        self._numbers = 0

    def tell_dataset(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        with self._lock:
            states = [record.state for record in self._catalogued(pid)]
            if update.status is LifecycleWord.RETRIEVED and set(states) != {DatablockState.STAGED}:
                raise TransitionIllegal(f"the dataset {pid} is not retrieved")
            self._write(Subject.dataset(pid), update)

    def tell_job_again(self, job_id: JobId) -> bool:
        with self._lock:
            record = self._known_job(job_id)
            if self.list_reports(Subject.job(job_id)):
                return False
            self._write(Subject.job(job_id), record.state)
            return True

    def claim_report(self, teller: str, claim: timedelta, subject: Subject | None = None) -> Report | None:
        with self._lock:
            now = self._clock()
            rows = [row for row in self._rows if self._claimable(row, now, claim, subject)]
            if not rows:
                return None
            row = min(rows, key=lambda each: (each.report.due_at, each.report.number))
            row.teller, row.claimed_until = teller, now + claim
            return row.report

    def renew_claims(self, teller: str, numbers: Collection[int], claim: timedelta) -> None:
        with self._lock:
            for row in self._rows:
                if row.teller == teller and row.report.number in numbers:
                    row.claimed_until = self._clock() + claim

    def delivered(self, number: int) -> None:
        with self._lock:
            row = self._row(number)
            if row is not None:
                self._rows = [each for each in self._rows if each is not row and not _older(each, row)]

    def postpone(self, number: int, failure: Failure, due_at: datetime) -> None:
        self._failed(number, failure, due_at=due_at)

    def park(self, number: int, failure: Failure) -> None:
        self._failed(number, failure, parked=True, due_at=self._clock())

    def unpark(self, subject: Subject | None = None) -> int:
        with self._lock:
            now, count = self._clock(), 0
            newest = {row.report.subject: row.report.number for row in self._rows}
            overtaken = [
                row
                for row in self._rows
                if _is_parked(row)
                and subject in {None, row.report.subject}
                and row.report.number < newest[row.report.subject]
            ]
            self._rows = [row for row in self._rows if row not in overtaken]
            for row in self._rows:
                if _is_parked(row) and subject in {None, row.report.subject}:
                    row.report = replace(row.report, parked=False, due_at=now, created_at=now)
                    count += 1
            return count

    def drop_reports(self, numbers: Collection[int], why: str) -> Sequence[Report]:
        with self._lock:
            rows = [row for row in self._rows if _is_parked(row) and row.report.number in numbers]
            if len(rows) < len(set(numbers)):
                raise ReportNotParked("some of them are not parked")
            return [self._drop(row, why) for row in rows]

    def drop_undeliverable(self, parked_before: datetime, why: str) -> Sequence[Report]:
        with self._lock:
            gone = [row for row in self._rows if row.report.state is ReportState.UNDELIVERABLE]
            return [self._drop(row, why) for row in gone if row.report.due_at < parked_before]

    def _drop(self, row: _Row, why: str) -> Report:
        old = row.report
        row.report = replace(old, dropped=why, due_at=self._clock())
        told = old.content if isinstance(old.content, JobState) else old.content.status
        cause = "" if old.failure is None else f" ({old.failure.code}: {old.failure.message})"
        words = f"{why}; SciCat was not told {told or 'of links'}{cause}"
        self._enter(("report", old.subject.kind, old.subject.name), old.state, ReportState.DROPPED, words)
        return row.report

    def list_reports(
        self, subject: Subject | None = None, after: int = 0, limit: int = 100, *, dropped: bool = True
    ) -> Sequence[Report]:
        with self._lock:
            found = [row.report for row in self._rows if row.report.number > after]
            found = [report for report in found if dropped or not report.dropped]
            return [report for report in found if subject in {None, report.subject}][:limit]

    def count_reports(self) -> tuple[int, int]:
        with self._lock:
            waiting = sum(not row.report.parked for row in self._rows)
            return waiting, sum(map(_is_parked, self._rows))

    def count_undeliverable(self) -> int:
        with self._lock:
            return sum(row.report.state is ReportState.UNDELIVERABLE for row in self._rows)

    def _write(self, subject: Subject, told: JobState | LifecycleUpdate) -> None:
        self._numbers += 1
        now = self._clock()
        self._rows.append(_Row(Report(self._numbers, subject, told, now, now)))

    def _row(self, number: int) -> _Row | None:
        return next((row for row in self._rows if row.report.number == number), None)

    def _failed(self, number: int, failure: Failure, **values: object) -> None:
        with self._lock:
            row = self._row(number)
            if row is not None:
                attempts = row.report.attempts + 1
                row.report = replace(row.report, attempts=attempts, failure=failure, **values)  # type: ignore[arg-type]
                row.teller, row.claimed_until = "", None

    def _claimable(self, row: _Row, now: datetime, claim: timedelta, subject: Subject | None) -> bool:
        report = row.report
        waiting = [each.report for each in self._rows if not each.report.parked]
        earlier = [each for each in waiting if each.number < report.number]
        due = report.due_at <= now or report.due_at > now + timedelta(days=1)
        held = row.claimed_until is not None and now < row.claimed_until <= now + 2 * claim
        return (
            not report.parked
            and not held
            and (due if subject is None else report.subject == subject)
            and all(each.subject != report.subject for each in earlier)
            and not self._datasets_first(report, earlier)
        )

    def _datasets_first(self, report: Report, earlier: Sequence[Report]) -> bool:
        if not isinstance(report.content, JobState) or not report.content.finished:
            return False
        pids = self._datasets.get(JobId(report.subject.name), {})
        firsts = {each.subject: each for each in reversed(earlier) if each.subject.name in pids}
        return any(each.attempts == 0 for s, each in firsts.items() if s.kind is ReportKind.DATASET)

    def _is_told(self, job_id: JobId) -> bool:
        """Whether SciCat waits for no word on the job; parked ones do not count."""
        subject = Subject.job(job_id)
        return not any(row.report.subject == subject and not row.report.parked for row in self._rows)


def _is_parked(row: _Row) -> bool:
    return row.report.parked and not row.report.dropped


def _older(row: _Row, told: _Row) -> bool:
    mine, other = row.report, told.report
    return mine.parked and mine.subject == other.subject and mine.number < other.number
