"""A ledger in memory. Keeps the promises of the port, but for durability and other processes.

records, outbox, pins, space, chosen_files, job_control, datablocks, recalls, inventory     its parts, each a group of the port's methods
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from scicat_retriever.domain.dataset import RetrieveJob, Selection, united
from scicat_retriever.domain.errors import Failure, TransitionIllegal
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ports.ledger import FlowName, JobDatasetRecord, JobFlow, JobRecord
from scicat_retriever.ports.outbox import Subject
from tests.fakes.datablocks import InMemoryDatablocks
from tests.fakes.inventory import InMemoryInventory
from tests.fakes.job_control import InMemoryJobControl, flow_of
from tests.fakes.recalls import InMemoryRecalls
from tests.fakes.records import Transition, page, require_legal

__all__ = ["InMemoryLedger", "Transition"]


class InMemoryLedger(InMemoryJobControl, InMemoryDatablocks, InMemoryRecalls, InMemoryInventory):
    """Jobs and datablocks in dicts behind one lock.

    Args:
        clock: Gives the time of each change, aware, in UTC.
    """

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

    def set_datasets(
        self, job_id: JobId, datasets: Sequence[Selection], owner_group: str | None = None
    ) -> None:
        with self._lock:
            record = self._known_job(job_id)
            job = record.job
            if job.owner_group is None:
                job = replace(job, owner_group=owner_group)
            if not job.datasets:
                job = replace(job, datasets=tuple(datasets))
                self._add_datasets(job_id, datasets)
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
