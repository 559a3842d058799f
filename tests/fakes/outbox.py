"""The outbox and the control of jobs, in memory: two parts of the fake ledger."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scicat_retriever.domain.errors import Failure, JobEnded, JobNotEnded, NothingToRetry, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.ledger import DatablockRecord, Finding, FlowName, JobDatasetRecord, JobRecord
from scicat_retriever.ports.outbox import Report, ReportKind, Subject


@dataclass
class _Row:
    report: Report
    teller: str = ""
    claimed_until: datetime | None = None


class InMemoryOutbox:
    """Reports in a list; jobs and datasets are those of the ledger that it is a part of."""

    _lock: threading.RLock
    _clock: Callable[[], datetime]
    _jobs: dict[JobId, JobRecord]
    _datasets: dict[JobId, dict[DatasetPid, JobDatasetRecord]]
    _started: set[JobId]

    def __init__(self) -> None:
        self._rows: list[_Row] = []
        self._numbers = 0
        self._findings: dict[str, Finding] = {}
        self._cancel_told: set[JobId] = set()

    def _known_job(self, job_id: JobId) -> JobRecord:
        raise NotImplementedError

    def _listed(self, pid: DatasetPid) -> list[DatablockRecord]:
        raise NotImplementedError

    def _enter(self, subject: tuple[str, ...], old: str, new: str, reason: str = "") -> None:
        raise NotImplementedError

    def tell_dataset(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        with self._lock:
            states = [record.state for record in self._listed(pid)]
            if update.status is LifecycleWord.RETRIEVED and set(states) != {DatablockState.STAGED}:
                raise TransitionIllegal(f"the dataset {pid} is not retrieved")
            self._write(Subject.dataset(pid), update)

    def tell_job_again(self, job_id: JobId) -> bool:
        with self._lock:
            record = self._known_job(job_id)
            if self.reports(Subject.job(job_id)):
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

    def told(self, number: int) -> None:
        with self._lock:
            row = self._row(number)
            if row is not None:
                self._rows = [each for each in self._rows if each is not row and not _older(each, row)]

    def postpone(self, number: int, failure: Failure, due_at: datetime) -> None:
        self._failed(number, failure, due_at=due_at)

    def park(self, number: int, failure: Failure) -> None:
        self._failed(number, failure, parked=True)

    def unpark(self, subject: Subject | None = None) -> int:
        with self._lock:
            now, count = self._clock(), 0
            newest = {row.report.subject: row.report.number for row in self._rows}
            overtaken = [
                row
                for row in self._rows
                if row.report.parked
                and subject in {None, row.report.subject}
                and row.report.number < newest[row.report.subject]
            ]
            self._rows = [row for row in self._rows if row not in overtaken]
            for row in self._rows:
                if row.report.parked and subject in {None, row.report.subject}:
                    row.report = replace(row.report, parked=False, due_at=now, created_at=now)
                    count += 1
            return count

    def reports(self, subject: Subject | None = None, after: int = 0, limit: int = 100) -> Sequence[Report]:
        with self._lock:
            found = [row.report for row in self._rows if row.report.number > after]
            return [report for report in found if subject in {None, report.subject}][:limit]

    def count_reports(self) -> tuple[int, int]:
        with self._lock:
            parked = sum(row.report.parked for row in self._rows)
            return len(self._rows) - parked, parked

    def started_jobs(self, after: int, limit: int) -> Sequence[tuple[int, JobRecord]]:
        with self._lock:
            numbered = enumerate(self._jobs.values(), 1)
            under_way = [
                (number, record)
                for number, record in numbered
                if number > after and record.job.id in self._started and not record.state.finished
            ]
            return under_way[:limit]

    def restart_job(self, job_id: JobId, flow: FlowName, lost_attempt: int) -> bool:
        with self._lock:
            record = self._known_job(job_id)
            if record.state.finished or record.attempt != lost_attempt:
                return False
            self._renew(job_id, flow)
            return True

    def retry_job(self, job_id: JobId, flow: FlowName, pids: Collection[DatasetPid] | None = None) -> int:
        with self._lock:
            record = self._known_job(job_id)
            if not record.state.finished:
                raise JobNotEnded(f"{job_id} is {record.state}")
            asked = [d for d in self._datasets[job_id].values() if pids is None or d.pid in pids]
            again = [each.pid for each in asked if not self._is_there(each)]
            if not again and (pids is not None or record.state is JobState.SUCCESSFUL):
                raise NothingToRetry(f"all of {job_id} are there")
            for pid in again:
                old = self._datasets[job_id][pid].state
                self._datasets[job_id][pid] = JobDatasetRecord(pid, DatasetState.SUBMITTED)
                self._enter((job_id, pid), old, DatasetState.SUBMITTED, "to be retrieved again")
            self._renew(job_id, flow)
            new, words = JobState.SUBMITTED, "to be retrieved again"
            changed = max(record.updated_at, self._clock())
            self._jobs[job_id] = replace(
                self._jobs[job_id],
                state=new,
                message=words,
                updated_at=changed,
                failure=None,
                cancelled_by="",
            )
            self._enter((job_id,), record.state, new, words)
            return len(again)

    def cancel_job(self, job_id: JobId, by: str) -> None:
        with self._lock:
            record = self._known_job(job_id)
            if record.state.finished:
                raise JobEnded(f"{job_id} has ended")
            if not record.cancelled_by:
                self._cancel_told.discard(job_id)
            self._jobs[job_id] = replace(record, cancelled_by=record.cancelled_by or by)

    def jobs_to_cancel(self, limit: int) -> Sequence[JobRecord]:
        with self._lock:
            wanted = [record for _, record in self.started_jobs(0, len(self._jobs)) if record.cancelled_by]
            return [record for record in wanted if record.job.id not in self._cancel_told][:limit]

    def mark_cancel_told(self, job_id: JobId, attempt: int) -> None:
        with self._lock:
            if self._known_job(job_id).attempt == attempt:
                self._cancel_told.add(job_id)

    def recent_job(self) -> JobId | None:
        with self._lock:
            return next(reversed(self._jobs), None)

    def note_waiting(self, pid: DatasetPid, reason: str) -> None:
        with self._lock:
            for datasets in self._datasets.values():
                if pid in datasets and datasets[pid].state is DatasetState.STARTED:
                    datasets[pid] = replace(datasets[pid], reason=reason)

    def note_finding(self, name: str, found: Mapping[str, int | str]) -> None:
        with self._lock:
            self._findings[name] = Finding(self._clock(), dict(found))

    def findings(self) -> Mapping[str, Finding]:
        with self._lock:
            return dict(self._findings)

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
        if not isinstance(report.told, JobState) or not report.told.finished:
            return False
        pids = self._datasets.get(JobId(report.subject.name), {})
        firsts = {each.subject: each for each in reversed(earlier) if each.subject.name in pids}
        return any(each.attempts == 0 for s, each in firsts.items() if s.kind is ReportKind.DATASET)

    def _renew(self, job_id: JobId, flow: FlowName) -> None:
        record = self._jobs[job_id]
        self._jobs[job_id] = replace(record, flow=flow, attempt=record.attempt + 1)
        self._started.discard(job_id)
        self._cancel_told.discard(job_id)

    def _is_there(self, dataset: JobDatasetRecord) -> bool:
        states = {record.state for record in self._listed(dataset.pid)}
        return dataset.state is DatasetState.RETRIEVED and states == {DatablockState.STAGED}

    def _awaited(self, pid: DatasetPid) -> bool:
        """Whether a job asks for the dataset that has not ended, or whose end SciCat waits to be told."""
        told_of = {row.report.subject for row in self._rows if not row.report.parked}
        return any(
            pid in self._datasets.get(job_id, {})
            and (not record.state.finished or Subject.job(job_id) in told_of)
            for job_id, record in self._jobs.items()
        )


def _older(row: _Row, told: _Row) -> bool:
    mine, other = row.report, told.report
    return mine.parked and mine.subject == other.subject and mine.number < other.number
