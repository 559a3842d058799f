"""What all parts of the fake ledger share: jobs and datablocks in dicts behind one lock, and the book of transitions."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, TypeVar

from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import JobNotFound, TransitionIllegal
from scicat_retriever.domain.evidence import NO_ODDITIES, Copied, DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, may_become
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.jobs import JobDatasetRecord, JobRecord

Record = TypeVar("Record")
State = DatablockState
NO_COPY = {State.PLANNED, State.WAITING_FOR_SPACE, State.RECALLING, State.COPYING}
RECALLED = {State.RECALLING, State.WAITING_FOR_SPACE}
WRITES = {State.COPYING, State.COPIED}


@dataclass(frozen=True)
class Transition:
    """A row of the book: `subject` is (job,), (job, pid), ("", pid, datablock) or ("report", kind, name)."""

    at: datetime
    subject: tuple[str, ...]
    old: str
    new: str
    reason: str


@dataclass
class Block:
    """A datablock with what its record does not show; `held` are the bytes of its files, staged or left behind.

    Of an extract, `of` is the entry of the whole as it was when it was chosen.
    """

    record: DatablockRecord
    entry: CataloguedDatablock
    listed: bool = True
    copied: Copied | None = None
    manifest: bytes | None = None
    files_left: bool = False
    held: int = 0
    of: CataloguedDatablock | None = None


class InMemoryRecords:
    """Jobs, their datasets, and datablocks."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._jobs: dict[JobId, JobRecord] = {}
        self._started: set[JobId] = set()
        self._datasets: dict[JobId, dict[DatasetPid, JobDatasetRecord]] = {}
        self._choices: dict[tuple[JobId, DatasetPid], set[DatablockId]] = {}
        self._respelled: dict[tuple[JobId, DatasetPid], dict[str, str]] = {}
        self._blocks: dict[DatablockKey, Block] = {}
        self._remarks: dict[DatasetPid, str] = {}
        self.transitions: list[Transition] = []
        self._marked_areas: set[str] = set()
        self._wanted_checks: dict[DatablockKey, None] = {}

    def _known_job(self, job_id: JobId) -> JobRecord:
        if job_id not in self._jobs:
            raise JobNotFound(f"no job {job_id}")
        return self._jobs[job_id]

    def _known_block(self, key: DatablockKey) -> Block:
        if key not in self._blocks:
            raise TransitionIllegal(f"{key} is not known")
        return self._blocks[key]

    def _of(self, pid: DatasetPid) -> list[Block]:
        return [block for key, block in self._blocks.items() if key.pid == pid]

    def _listed(self, pid: DatasetPid) -> list[DatablockRecord]:
        its = [block.record for block in self._of(pid) if block.listed]
        return sorted(its, key=lambda record: record.position)

    def _catalogued(self, pid: DatasetPid) -> list[DatablockRecord]:
        """Those of the listed that are no extracts."""
        return [record for record in self._listed(pid) if record.datablock.extract is None]

    def _is_whole(self, pid: DatasetPid) -> bool:
        return {record.state for record in self._catalogued(pid)} == {State.STAGED}

    def _needed(self, job_id: JobId, pid: DatasetPid) -> list[DatablockRecord]:
        """What a job needs of one of its datasets."""
        if not self._datasets[job_id][pid].chosen:
            return self._catalogued(pid)
        its = self._listed(pid)
        return [record for record in its if record.key.id in self._choices.get((job_id, pid), ())]

    def _lacks_needed(self, job_id: JobId, pid: DatasetPid) -> bool:
        unlisted = self._choices.get((job_id, pid), set()) - {record.key.id for record in self._listed(pid)}
        states = {record.state for record in self._needed(job_id, pid)}
        return bool(unlisted or states - {State.STAGED})

    def _is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        return bool(self._needed(job_id, pid)) and not self._lacks_needed(job_id, pid)

    def _move(self, block: Block, new: DatablockState, reason: str = "", **values: Any) -> None:
        old = block.record.state
        require_legal(old, new)
        changes: dict[str, Any] = {"state": new, "reason": reason}
        if old != new:
            block.files_left = new is State.RELEASED
            block.held = _held(block, new)
            if new in NO_COPY:
                changes["bytes_done"] = 0
        if new is not State.STAGED:
            changes |= {
                "integrity": None,
                "matched_by": (),
                "oddities": NO_ODDITIES,
                "staged_at": None,
                "used_at": None,
                "checked_at": None,
            }
            changes["pinned"] = False
        if new not in {State.COPIED, State.STAGED}:
            changes |= {"archive_checksum": None, "unpacked": False}
        if new not in {State.COPIED, State.STAGED, State.RELEASED}:
            changes["partial"] = ""
        block.record = replace(block.record, **(changes | values))
        self._enter(("", block.record.key.pid, block.record.key.id), old, new, reason)

    def _enter(self, subject: tuple[str, ...], old: str, new: str, reason: str = "") -> None:
        if old != new:
            self.transitions.append(Transition(self._clock(), subject, str(old), str(new), reason))


def _held(block: Block, new: DatablockState) -> int:
    """Bytes of a datablock's files once it enters another state."""
    if new is State.STAGED:
        return block.record.bytes_total
    if new is not State.RELEASED:
        return 0
    return block.record.bytes_done if block.record.state in WRITES else block.held


def require_legal(old: StrEnum, new: StrEnum) -> None:
    """Raise `TransitionIllegal` where the table of states forbids it."""
    if not may_become(old, new):
        raise TransitionIllegal(f"{old} cannot become {new}")


def page(records: list[Record], after: int, limit: int | None) -> list[Record]:
    """Some of the records, from place `after`."""
    return records[after:] if limit is None else records[after : after + limit]
