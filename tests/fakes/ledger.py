"""A ledger in memory. Keeps the promises of the port, but for durability and other processes.

records, outbox, pins, space, chosen_files, job_control, datablocks, recalls, inventory     its parts, each a group of the port's methods
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from datetime import datetime
from typing import Any

from scicat_retriever.domain.dataset import RetrieveJob, Selection, united
from scicat_retriever.domain.errors import Failure, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Subject
from tests.fakes.datablocks import InMemoryDatablocks
from tests.fakes.delivery import InMemoryDownloads, InMemoryLinks, InMemoryTitles
from tests.fakes.inventory import InMemoryInventory
from tests.fakes.job_control import InMemoryJobControl, flow_of
from tests.fakes.recalls import InMemoryRecalls
from tests.fakes.records import Transition, page, require_legal

__all__ = ["InMemoryLedger", "Transition"]


class InMemoryLedger(InMemoryJobControl, InMemoryDatablocks, InMemoryRecalls, InMemoryInventory, Ledger):
    """Jobs and datablocks in dicts behind one lock.

    Args:
        clock: Gives the time of each change, aware, in UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        Ledger.__init__(
            self,
            jobs=_Jobs(self),
            job_flows=_JobFlows(self),
            datablocks=_Datablocks(self),
            copies=_Copies(self),
            needs=_Needs(self),
            remarks=_Remarks(self),
            findings=_Findings(self),
            ownership=_Ownership(self),
            claims=_Claims(self),
            pins=_Pins(self),
            cache=_Cache(self),
            inventory=_Inventory(self),
            recalls=_Recalls(self),
            reports=_Reports(self),
            titles=InMemoryTitles(self.job_datasets),
            links=InMemoryLinks(self.job),
            downloads=InMemoryDownloads(),
        )

    def add_job(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        with self._lock:
            if job.id not in self._jobs:
                now = self._clock()
                self._jobs[job.id] = JobRecord(job, flow, JobState.SUBMITTED, "", now, now)
                self._enter((job.id,), "", JobState.SUBMITTED)
                self._add_datasets(job.id, job.datasets)
            return self._jobs[job.id]

    def add_jobs(self, given: Sequence[tuple[RetrieveJob, FlowName]]) -> Sequence[JobRecord]:
        return [self.add_job(job, flow) for job, flow in given]

    def refuse_job(self, job: RetrieveJob, flow: FlowName, failure: Failure) -> JobRecord:
        with self._lock:
            if job.id not in self._jobs:
                self.add_job(replace(job, datasets=()), flow)
                self.move_job(job.id, JobState.UNSUCCESSFUL, failure.message, failure)
            return self._jobs[job.id]

    def job(self, job_id: JobId) -> JobRecord | None:
        with self._lock:
            return self._jobs.get(job_id)

    def flow_of(self, job_id: JobId) -> FlowName | None:
        with self._lock:
            record = self._jobs.get(job_id)
            return None if record is None else record.flow

    def jobs_to_start(self, limit: int) -> Sequence[JobFlow]:
        with self._lock:
            waiting = [
                flow_of(record)
                for job_id, record in self._jobs.items()
                if job_id not in self._started and not record.state.finished
            ]
            return waiting[:limit]

    def mark_flows_started(self, job_ids: Sequence[JobId]) -> None:
        with self._lock:
            for job_id in job_ids:
                self._known_job(job_id)
            self._started.update(job_ids)

    def complete(self, job_id: JobId, known: RetrieveJob) -> None:
        with self._lock:
            record = self._known_job(job_id)
            job = record.job
            if job.owner_group is None:
                job = replace(job, owner_group=known.owner_group)
            if not job.datasets:
                job = replace(job, datasets=known.datasets)
                self._add_datasets(job_id, known.datasets)
            self._jobs[job_id] = replace(record, job=job)

    def job_datasets(
        self, job_id: JobId, after: int = 0, limit: int | None = None
    ) -> Sequence[JobDatasetRecord]:
        with self._lock:
            return page(list(self._datasets.get(job_id, {}).values()), after, limit)

    def move_job(
        self, job_id: JobId, state: JobState, message: str = "", failure: Failure | None = None
    ) -> None:
        with self._lock:
            record = self._known_job(job_id)
            require_legal(record.state, state)
            moved = replace(record, state=state, message=message)
            if record.state != state:
                moved = replace(moved, updated_at=max(record.updated_at, self._clock()), failure=failure)
                self._write(Subject.job(job_id), state)
                if state.finished:
                    self._leave_line(job_id)
                if state.finished and failure is not None:
                    self._fail_datasets(job_id, failure)
            self._jobs[job_id] = moved
            self._enter((job_id,), record.state, state, message)

    def move_job_dataset(
        self, job_id: JobId, pid: DatasetPid, state: DatasetState, failures: Sequence[Failure] = ()
    ) -> None:
        with self._lock:
            self._known_job(job_id)
            record = self._datasets.get(job_id, {}).get(pid)
            if record is None:
                raise TransitionIllegal(f"the job {job_id} does not ask for {pid}")
            require_legal(record.state, state)
            self._datasets[job_id][pid] = replace(record, state=state, failures=tuple(failures), reason="")
            self._enter((job_id, pid), record.state, state, "; ".join(f.code for f in failures))

    def close(self) -> None:
        """Nothing is open."""

    def _fail_datasets(self, job_id: JobId, failure: Failure) -> None:
        for pid, dataset in self._datasets.get(job_id, {}).items():
            if dataset.state in {DatasetState.SUBMITTED, DatasetState.STARTED}:
                failed = replace(dataset, state=DatasetState.FAILED, failures=(failure,), reason="")
                self._datasets[job_id][pid] = failed
                self._enter((job_id, pid), dataset.state, DatasetState.FAILED, failure.code)

    def _add_datasets(self, job_id: JobId, datasets: Sequence[Selection]) -> None:
        records = {
            each.pid: JobDatasetRecord(each.pid, DatasetState.SUBMITTED, chosen=bool(each.files))
            for each in united(datasets)
        }
        self._datasets[job_id] = records
        for pid in records:
            self._enter((job_id, pid), "", DatasetState.SUBMITTED)


class _Jobs:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.add = memory.add_job
        self.add_all = memory.add_jobs
        self.refuse = memory.refuse_job
        self.get = memory.job
        self.recent = memory.recent_job
        self.complete = memory.complete
        self.datasets = memory.job_datasets
        self.move = memory.move_job
        self.move_dataset = memory.move_job_dataset
        self.note_waiting = memory.note_waiting
        self.cancel = memory.cancel_job
        self.retry = memory.retry_job


class _JobFlows:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.of = memory.flow_of
        self.to_start = memory.jobs_to_start
        self.mark_started = memory.mark_flows_started
        self.started = memory.started_jobs
        self.restart = memory.restart_job
        self.to_cancel = memory.jobs_to_cancel
        self.mark_cancel_told = memory.mark_cancel_told


class _Datablocks:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.plan = memory.plan
        self.of = memory.list_datablocks
        self.get = memory.datablock
        self.files = memory.files
        self.move = memory.move_datablock
        self.note_progress = memory.note_progress
        self.read_from = memory.read_from
        self.read_whole = memory.read_whole
        self.abandoned = memory.abandoned


class _Copies:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.save = memory.save_copy
        self.save_staged = memory.save_staged
        self.renew_manifest = memory.renew_manifest
        self.get = memory.copied
        self.manifest = memory.manifest
        self.known_manifest = memory.known_manifest


class _Needs:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.note_choice = memory.note_choice
        self.respelled = memory.respelled
        self.datablocks = memory.job_datablocks
        self.hashed = memory.hashed
        self.is_brought = memory.is_brought
        self.progress = memory.progress_of
        self.waits = memory.waits_of


class _Remarks:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.note = memory.note_remark
        self.of = memory.remarks_of


class _Findings:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.note = memory.note_finding
        self.latest = memory.list_findings


class _Ownership:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.identity = memory.identity
        self.has_marked = memory.has_marked
        self.note_marked = memory.note_marked


class _Claims:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.datasets_without_size = memory.datasets_without_size
        self.note_sizes = memory.note_sizes
        self.job_size = memory.job_size
        self.for_job = memory.claim_job
        self.for_dataset = memory.claim_dataset
        self.give_back = memory.give_space_back
        self.is_in_line = memory.is_in_line
        self.end = memory.end_claim
        self.end_idle = memory.end_idle_claims
        self.waiting_jobs = memory.waiting_jobs


class _Pins:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.pin = memory.pin
        self.keep_for_job = memory.keep_for_job
        self.unpin = memory.unpin
        self.lapse = memory.lapse_pins
        self.find = memory.list_pins
        self.bytes_by_group = memory.pinned_by_group
        self.is_promised = memory.is_promised
        self.jobs_to_mend = memory.jobs_to_mend


class _Cache:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.note_used = memory.note_used
        self.datablocks = memory.cached
        self.size = memory.cached_bytes
        self.evict = memory.evict
        self.withdraw = memory.withdraw


class _Inventory:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.left_behind = memory.left_behind
        self.forget_files = memory.forget_files
        self.staged_after = memory.staged_after
        self.known_tokens = memory.known_tokens
        self.being_copied = memory.being_copied
        self.next_to_check = memory.next_to_check
        self.want_check = memory.want_check
        self.wanted_checks = memory.wanted_checks
        self.note_checked = memory.note_checked
        self.unwritten = memory.unwritten
        self.usage = memory.usage
        self.recount = memory.recount


class _Recalls:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.want = memory.want_recalls
        self.of_store = memory.list_recalls
        self.of_dataset = memory.recalls_of
        self.change = memory.change_recalls
        self.forget = memory.forget_recalls
        self.lead = memory.lead_recalls
        self.leave = memory.leave_recalls
        self.set_priority = memory.set_priority
        self.counts = memory.open_recalls


class _Reports:
    def __init__(self, memory: InMemoryLedger) -> None:
        self.tell_dataset = memory.tell_dataset
        self.tell_job_again = memory.tell_job_again
        self.claim = memory.claim_report
        self.renew = memory.renew_claims
        self.delivered = memory.delivered
        self.postpone = memory.postpone
        self.park = memory.park
        self.unpark = memory.unpark
        self.drop = memory.drop_reports
        self.drop_undeliverable = memory.drop_undeliverable
        self.find = memory.list_reports
        self.count = memory.count_reports
        self.count_undeliverable = memory.count_undeliverable


def with_books(ledger: Ledger, **books: Any) -> Ledger:
    """Give a ledger that has some other books, and shares the rest with another one."""
    return Ledger(**{each.name: getattr(ledger, each.name) for each in fields(Ledger)} | books)
