"""The control of jobs in memory: the part of the fake ledger that cancels, retries and restarts them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from scicat_retriever.domain.errors import DatasetNotOfJob, JobEnded, JobNotEnded, NothingToRetry
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState as State
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ports.findings import Finding
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.jobs import FlowName, JobDatasetRecord, JobRecord
from tests.fakes.space import InMemorySpace


def flow_of(record: JobRecord) -> JobFlow:
    """Give what the ledger tells the engine of a job."""
    return JobFlow(record.job.id, record.flow, record.attempt, record.cancelled_by)


class InMemoryJobControl(InMemorySpace):
    """Flows of jobs, what their datasets wait for, and findings."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._findings: dict[str, Finding] = {}
        self._cancel_told: set[JobId] = set()

    def started_jobs(self, after: int, limit: int) -> Sequence[tuple[int, JobFlow]]:
        with self._lock:
            numbered = enumerate(self._jobs.values(), 1)
            under_way = [
                (number, flow_of(record))
                for number, record in numbered
                if number > after and record.job.id in self._started and not record.state.finished
            ]
            return under_way[:limit]

    def abandoned(self, limit: int) -> Sequence[tuple[DatasetPid, str]]:
        on_their_way = {State.WAITING_FOR_SPACE, State.RECALLING, State.COPYING, State.COPIED}
        with self._lock:
            blocks = [block.record for block in self._blocks.values() if block.record.state in on_their_way]
            left = {(each.key.pid, each.run) for each in blocks if not self._askers(each.key.pid)}
            return sorted(left)[:limit]

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
            if foreign := sorted(set(pids or ()) - {d.pid for d in self._datasets[job_id].values()}):
                raise DatasetNotOfJob.of(job_id, foreign)
            asked = [d for d in self._datasets[job_id].values() if pids is None or d.pid in pids]
            again = [each.pid for each in asked if not self._is_there(job_id, each)]
            if not again and (pids is not None or record.state is JobState.SUCCESSFUL):
                raise NothingToRetry(f"all of {job_id} are there")
            for pid in again:
                old = self._datasets[job_id][pid]
                self._datasets[job_id][pid] = JobDatasetRecord(pid, DatasetState.SUBMITTED, chosen=old.chosen)
                if old.chosen:
                    self._choices.pop((job_id, pid), None)
                    self._sizes.pop((job_id, pid), None)
                self._enter((job_id, pid), old.state, DatasetState.SUBMITTED, "to be retrieved again")
            self._renew(job_id, flow)
            self._granted.pop(job_id, None)
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

    def jobs_to_cancel(self, limit: int) -> Sequence[JobFlow]:
        with self._lock:
            wanted = [flow for _, flow in self.started_jobs(0, len(self._jobs)) if flow.cancelled_by]
            return [flow for flow in wanted if flow.job_id not in self._cancel_told][:limit]

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

    def note_remark(self, pid: DatasetPid, remark: str) -> None:
        with self._lock:
            self._remarks[pid] = remark

    def remarks_of(self, job_id: JobId) -> Mapping[DatasetPid, str]:
        with self._lock:
            its = self._datasets.get(job_id, {})
            return {pid: self._remarks[pid] for pid in its if self._remarks.get(pid)}

    def note_finding(self, name: str, found: Mapping[str, int | str]) -> None:
        with self._lock:
            self._findings[name] = Finding(self._clock(), dict(found))

    def list_findings(self) -> Mapping[str, Finding]:
        with self._lock:
            return dict(self._findings)

    def _renew(self, job_id: JobId, flow: FlowName) -> None:
        record = self._jobs[job_id]
        self._jobs[job_id] = replace(record, flow=flow, attempt=record.attempt + 1)
        self._started.discard(job_id)
        self._cancel_told.discard(job_id)

    def _is_there(self, job_id: JobId, dataset: JobDatasetRecord) -> bool:
        brought = dataset.unknown is None and self._is_brought(job_id, dataset.pid)
        return dataset.state is DatasetState.RETRIEVED and brought
