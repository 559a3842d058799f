"""A ledger in memory. Keeps the promises of the port, but for durability and other processes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from scicat_retriever.domain.dataset import CataloguedDatablock, FileEntry, RetrieveJob, Selection
from scicat_retriever.domain.errors import CatalogueEntryInvalid, Failure, JobNotFound, TransitionIllegal
from scicat_retriever.domain.evidence import Copied, DatablockKey, Staged
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState, may_become
from scicat_retriever.ports.ledger import (
    DatablockRecord,
    DatasetProgress,
    FlowName,
    JobDatasetRecord,
    JobRecord,
    Plan,
)
from scicat_retriever.ports.outbox import Subject
from tests.fakes.outbox import InMemoryOutbox

Record = TypeVar("Record")
State = DatablockState
_NO_COPY = {State.PLANNED, State.WAITING_FOR_SPACE, State.RECALLING, State.COPYING}
_ENDS_RESERVATION = {State.PLANNED, State.STAGED, State.FAILED, State.RELEASED}


@dataclass(frozen=True)
class Transition:
    """A row of the book: `subject` is (job,), (job, pid) or ("", pid, datablock)."""

    at: datetime
    subject: tuple[str, ...]
    old: str
    new: str
    reason: str


@dataclass
class _Block:
    record: DatablockRecord
    entry: CataloguedDatablock
    listed: bool = True
    copied: Copied | None = None
    manifest: bytes | None = None
    reserved: int = 0
    files_left: bool = False


class InMemoryLedger(InMemoryOutbox):
    """Jobs and datablocks in dicts behind one lock.

    Args:
        clock: Gives the time of each change, aware, in UTC.
    """

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.RLock()
        self._jobs: dict[JobId, JobRecord] = {}
        self._started: set[JobId] = set()
        self._datasets: dict[JobId, dict[DatasetPid, JobDatasetRecord]] = {}
        self._blocks: dict[DatablockKey, _Block] = {}
        self.transitions: list[Transition] = []

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

    def job(self, job_id: JobId) -> JobRecord | None:
        with self._lock:
            return self._jobs.get(job_id)

    def flow_of(self, job_id: JobId) -> FlowName | None:
        with self._lock:
            record = self._jobs.get(job_id)
            return None if record is None else record.flow

    def jobs_to_start(self, limit: int) -> Sequence[JobRecord]:
        with self._lock:
            waiting = [
                record
                for job_id, record in self._jobs.items()
                if job_id not in self._started and not record.state.finished
            ]
            return waiting[:limit]

    def mark_flow_started(self, job_id: JobId) -> None:
        with self._lock:
            self._known_job(job_id)
            self._started.add(job_id)

    def mark_flows_started(self, job_ids: Sequence[JobId]) -> None:
        with self._lock:
            for job_id in job_ids:
                self._known_job(job_id)
            self._started.update(job_ids)

    def set_datasets(self, job_id: JobId, datasets: Sequence[Selection]) -> None:
        with self._lock:
            record = self._known_job(job_id)
            if not record.job.datasets:
                self._jobs[job_id] = replace(record, job=replace(record.job, datasets=tuple(datasets)))
                self._add_datasets(job_id, datasets)

    def job_datasets(
        self, job_id: JobId, after: int = 0, limit: int | None = None
    ) -> Sequence[JobDatasetRecord]:
        with self._lock:
            return _page(list(self._datasets.get(job_id, {}).values()), after, limit)

    def move_job(
        self, job_id: JobId, state: JobState, message: str = "", failure: Failure | None = None
    ) -> None:
        with self._lock:
            record = self._known_job(job_id)
            _require_legal(record.state, state)
            moved = replace(record, state=state, message=message)
            if record.state != state:
                moved = replace(moved, updated_at=max(record.updated_at, self._clock()), failure=failure)
                self._write(Subject.job(job_id), state)
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
            _require_legal(record.state, state)
            self._datasets[job_id][pid] = JobDatasetRecord(pid, state, tuple(failures))
            self._enter((job_id, pid), record.state, state, "; ".join(f.code for f in failures))

    def plan(self, pid: DatasetPid, datablocks: Iterable[CataloguedDatablock], run: str) -> Plan:
        entries = list(datablocks)
        ids = [entry.datablock.id for entry in entries]
        numbers = [
            number
            for entry in entries
            for number in (entry.datablock.size, entry.datablock.packed_size, entry.datablock.file_count)
        ]
        if (
            any(entry.datablock.pid != pid for entry in entries)
            or len(set(ids)) < len(ids)
            or not all(0 <= number <= 2**53 for number in numbers)
        ):
            raise CatalogueEntryInvalid(f"the datablocks of {pid} cannot be worked with")
        with self._lock:
            for block in list(self._blocks.values()):
                if block.record.key.pid == pid and block.listed and block.record.key.id not in ids:
                    self._unlist(block)
            for position, entry in enumerate(entries):
                self._plan_one(entry, position, run)
        packed = sum(entry.datablock.packed_size for entry in entries)
        return Plan(len(entries), sum(len(entry.files) for entry in entries), packed)

    def datablocks(
        self, pid: DatasetPid, after: int = 0, limit: int | None = None
    ) -> Sequence[DatablockRecord]:
        with self._lock:
            return _page(self._listed(pid), after, limit)

    def datablock(self, key: DatablockKey) -> DatablockRecord | None:
        with self._lock:
            block = self._blocks.get(key)
            return None if block is None else block.record

    def progress_of(self, job_id: JobId) -> Sequence[DatasetProgress]:
        with self._lock:
            planned = [(pid, self._listed(pid)) for pid in self._datasets.get(job_id, {})]
            return [
                DatasetProgress(
                    pid,
                    len(records),
                    sum(record.state is State.STAGED for record in records),
                    sum(record.bytes_done for record in records),
                    sum(record.bytes_total for record in records),
                )
                for pid, records in planned
                if records
            ]

    def files(self, key: DatablockKey) -> Iterator[FileEntry]:
        with self._lock:
            block = self._blocks.get(key)
            return iter(() if block is None else block.entry.files)

    def move_datablock(self, key: DatablockKey, state: DatablockState, reason: str = "") -> None:
        with self._lock:
            block = self._known_block(key)
            if state in {State.COPIED, State.STAGED} and block.record.state is not state:
                raise TransitionIllegal(f"{key} becomes {state} by evidence alone")
            self._move(block, state, reason)

    def note_progress(self, key: DatablockKey, bytes_done: int, bytes_total: int | None = None) -> None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None and block.record.state in _NO_COPY:
                total = block.record.bytes_total if bytes_total is None else bytes_total
                block.record = replace(block.record, bytes_done=bytes_done, bytes_total=total)

    def reserve(self, key: DatablockKey, size: int, free_bytes: int) -> int:
        with self._lock:
            block = self._known_block(key)
            if block.record.state not in _NO_COPY | {State.COPIED}:
                raise TransitionIllegal(f"{key} is {block.record.state} and needs no space")
            block.reserved = 0
            promised = sum(max(0, b.reserved - b.record.bytes_done) for b in self._blocks.values())
            missing = size - (free_bytes - promised)
            if missing <= 0:
                block.reserved = size
            return max(0, missing)

    def save_copy(self, copied: Copied, manifest: bytes) -> None:
        with self._lock:
            block = self._known_block(copied.recalled.key)
            self._move(
                block,
                State.COPIED,
                bytes_done=copied.bytes_copied,
                bytes_total=copied.recalled.size,
                archive_checksum=copied.archive_checksum,
                partial=copied.partial,
            )
            block.copied, block.manifest = copied, manifest

    def copied(self, key: DatablockKey) -> Copied | None:
        with self._lock:
            block = self._blocks.get(key)
            has_copy = block is not None and block.record.state in {State.COPIED, State.STAGED}
            return block.copied if block is not None and has_copy else None

    def manifest(self, key: DatablockKey) -> bytes | None:
        with self._lock:
            block = self._blocks.get(key)
            return None if block is None else block.manifest

    def save_staged(self, staged: Staged, keep_until: datetime) -> None:
        with self._lock:
            key = staged.verified.copied.recalled.key
            block = self._known_block(key)
            _require_legal(block.record.state, State.STAGED)
            if self.copied(key) != staged.verified.copied:
                raise TransitionIllegal(f"another copy of {key} was verified")
            until = max(keep_until, block.record.keep_until or keep_until)
            self._move(block, State.STAGED, integrity=staged.verified.integrity, keep_until=until)

    def keep(self, pid: DatasetPid, until: datetime) -> int:
        with self._lock:
            staged = [record for record in self._listed(pid) if record.keep_until is not None]
            for record in staged:
                assert record.keep_until is not None
                self._blocks[record.key].record = replace(record, keep_until=max(until, record.keep_until))
            return len(staged)

    def expired(self, now: datetime, limit: int) -> Sequence[DatablockKey]:
        with self._lock:
            over = [
                (block.record.keep_until, key.pid, key.id)
                for key, block in self._blocks.items()
                if block.record.keep_until is not None and block.record.keep_until <= now
                if not self._awaited(key.pid)
            ]
            return [DatablockKey(pid, block_id) for _, pid, block_id in sorted(over)[:limit]]

    def release_expired(self, key: DatablockKey, now: datetime) -> bool:
        with self._lock:
            block = self._blocks.get(key)
            if block is None or block.record.keep_until is None or block.record.keep_until > now:
                return False
            if self._awaited(key.pid):
                return False
            self._move(block, State.RELEASED, "its time to be kept is over")
            return True

    def left_behind(self, limit: int) -> Sequence[DatablockKey]:
        with self._lock:
            left = [key for key, block in self._blocks.items() if block.files_left]
            return sorted(left, key=lambda key: (key.pid, key.id))[:limit]

    def forget_files(self, key: DatablockKey) -> None:
        with self._lock:
            if key in self._blocks:
                self._blocks[key].files_left = False

    def forget_reservation(self, key: DatablockKey) -> None:
        with self._lock:
            if key in self._blocks:
                self._blocks[key].reserved = 0

    def close(self) -> None:
        """Nothing is open."""

    def _fail_datasets(self, job_id: JobId, failure: Failure) -> None:
        for pid, dataset in self._datasets.get(job_id, {}).items():
            if dataset.state in {DatasetState.SUBMITTED, DatasetState.STARTED}:
                self._datasets[job_id][pid] = JobDatasetRecord(pid, DatasetState.FAILED, (failure,))
                self._enter((job_id, pid), dataset.state, DatasetState.FAILED, failure.code)

    def _known_job(self, job_id: JobId) -> JobRecord:
        if job_id not in self._jobs:
            raise JobNotFound(f"no job {job_id}")
        return self._jobs[job_id]

    def _known_block(self, key: DatablockKey) -> _Block:
        if key not in self._blocks:
            raise TransitionIllegal(f"{key} is not known")
        return self._blocks[key]

    def _listed(self, pid: DatasetPid) -> list[DatablockRecord]:
        its = [b.record for b in self._blocks.values() if b.listed and b.record.key.pid == pid]
        return sorted(its, key=lambda record: record.position)

    def _add_datasets(self, job_id: JobId, datasets: Sequence[Selection]) -> None:
        records = {s.pid: JobDatasetRecord(s.pid, DatasetState.SUBMITTED) for s in datasets}
        self._datasets[job_id] = records
        for pid in records:
            self._enter((job_id, pid), "", DatasetState.SUBMITTED)

    def _unlist(self, block: _Block) -> None:
        block.listed = False
        if block.record.state is not State.STAGED:
            self._move(block, State.RELEASED, "no longer in the catalogue")
            block.files_left = True

    def _plan_one(self, entry: CataloguedDatablock, position: int, run: str) -> None:
        key = DatablockKey(entry.datablock.pid, entry.datablock.id)
        block = self._blocks.get(key)
        if block is None:
            total = entry.datablock.packed_size
            record = DatablockRecord(entry.datablock, position, State.PLANNED, 0, total, run=run)
            self._blocks[key] = _Block(record, entry)
            self._enter(("", key.pid, key.id), "", State.PLANNED)
            return
        same = block.entry == entry
        at_work = block.listed and block.record.run == run
        block.entry, block.listed = entry, True
        block.record = replace(block.record, datablock=entry.datablock, position=position)
        if not (same and (block.record.state is State.STAGED or at_work)):
            total = entry.datablock.packed_size
            self._move(block, State.PLANNED, bytes_done=0, bytes_total=total, run=run)

    def _move(self, block: _Block, new: DatablockState, reason: str = "", **values: Any) -> None:
        old = block.record.state
        _require_legal(old, new)
        changes: dict[str, Any] = {"state": new, "reason": reason}
        if old != new and new in _NO_COPY:
            changes["bytes_done"] = 0
        if new is not State.STAGED:
            changes |= {"integrity": None, "keep_until": None}
        if new not in {State.COPIED, State.STAGED}:
            changes |= {"archive_checksum": None, "partial": ""}
        block.record = replace(block.record, **(changes | values))
        if old != new:
            block.files_left = new is State.RELEASED
        if new in _ENDS_RESERVATION:
            block.reserved = 0
        self._enter(("", block.record.key.pid, block.record.key.id), old, new, reason)

    def _enter(self, subject: tuple[str, ...], old: str, new: str, reason: str = "") -> None:
        if old != new:
            self.transitions.append(Transition(self._clock(), subject, str(old), str(new), reason))


def _require_legal(old: StrEnum, new: StrEnum) -> None:
    if not may_become(old, new):
        raise TransitionIllegal(f"{old} cannot become {new}")


def _page(records: list[Record], after: int, limit: int | None) -> list[Record]:
    return records[after:] if limit is None else records[after : after + limit]
