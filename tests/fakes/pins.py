"""Pins in memory, and what is evicted by them; a part of the fake ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.pins import Pin
from scicat_retriever.ports.reports import Subject
from tests.fakes.outbox import InMemoryOutbox
from tests.fakes.records import Block


@dataclass
class _Row:
    number: int
    pin: Pin
    size: int


class InMemoryPins(InMemoryOutbox):
    """Pins in a list."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._pins: list[_Row] = []
        self._pin_numbers = 0
        self._granted: dict[JobId, datetime] = {}

    def pin(self, pid: DatasetPid, owner: str, until: datetime) -> int:
        with self._lock:
            its = [block for block in self._staged(pid) if block.listed]
            if its:
                row = self._row_of(owner, pid, by_job=False)
                if row is None:
                    self._add(Pin(pid, owner, False, None, until, self._clock()), 0)
                else:
                    row.pin = replace(row.pin, until=max(until, row.pin.until or until))
                self._show_pins()
            return len(its)

    def keep_for_job(self, job_id: JobId, until: datetime) -> Mapping[DatasetPid, datetime]:
        with self._lock:
            self._known_job(job_id)
            mine = [row for row in self._pins if row.pin.by_job and row.pin.owner == job_id]
            datasets = self._datasets[job_id]
            kept = [row for row in mine if datasets[row.pin.pid].state is DatasetState.RETRIEVED]
            self._end([row for row in mine if row not in kept])
            times = {row.pin.pid: max(until, row.pin.until or until) for row in kept}
            for row in kept:
                row.pin = replace(row.pin, until=times[row.pin.pid])
            return times

    def unpin(self, owner: str, pid: DatasetPid | None = None) -> Sequence[DatasetPid]:
        with self._lock:
            ended = [
                row
                for row in self._pins
                if row.pin.owner == owner and pid in {None, row.pin.pid}
                if not row.pin.by_job or self._jobs[JobId(owner)].state.finished
            ]
            self._end(ended)
            return list(dict.fromkeys(row.pin.pid for row in ended))

    def lapse_pins(self, now: datetime, limit: int) -> int:
        with self._lock:
            over = [row for row in self._pins if self._is_over(row.pin, now)][:limit]
            self._end(over)
            return len(over)

    def list_pins(
        self,
        pid: DatasetPid | None = None,
        owner: str | None = None,
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[tuple[int, Pin]]:
        with self._lock:
            found = [
                (row.number, row.pin)
                for row in self._pins
                if row.number > after and pid in {None, row.pin.pid} and owner in {None, row.pin.owner}
            ]
            return found[:limit]

    def pinned_by_group(self) -> Mapping[str, int]:
        with self._lock:
            groups = {row.pin.group for row in self._pins} - {None}
            return {str(group): sum(self._pinned_sizes(str(group)).values()) for group in groups}

    def note_used(self, pid: DatasetPid, datablock: DatablockKey | None = None) -> None:
        with self._lock:
            for block in self._staged(pid):
                if datablock in {None, block.record.key} and block.record.used_at is not None:
                    used = max(self._clock(), block.record.used_at)
                    block.record = replace(block.record, used_at=used)

    def cached(self, order: EvictionOrder, unused_since: datetime, limit: int) -> Sequence[DatablockRecord]:
        with self._lock:
            records = [b.record for b in self._blocks.values() if _may_go(b.record, unused_since)]
            by_size = order is EvictionOrder.LARGEST
            records.sort(key=lambda r: (-r.bytes_total * by_size, r.used_at, r.key.pid, r.key.id))
            return records[:limit]

    def cached_bytes(self, unused_since: datetime) -> int:
        with self._lock:
            records = [block.record for block in self._blocks.values()]
            return sum(record.bytes_total for record in records if _may_go(record, unused_since))

    def evict(
        self, key: DatablockKey, unused_since: datetime, reason: str, tell: LifecycleUpdate | None = None
    ) -> bool:
        with self._lock:
            block = self._blocks.get(key)
            if block is None or not _may_go(block.record, unused_since):
                return False
            counts = block.listed and block.record.datablock.extract is None
            if tell is not None and counts and self._is_whole(key.pid):
                self._write(Subject.dataset(key.pid), tell)
            self._move(block, DatablockState.RELEASED, reason)
            return True

    def withdraw(self, key: DatablockKey, reason: str) -> None:
        with self._lock:
            block = self._known_block(key)
            if block.record.state is DatablockState.STAGED:
                self._move(block, DatablockState.RELEASED, reason)

    def _is_pinned(self, pid: DatasetPid) -> bool:
        return any(row.pin.pid == pid for row in self._pins)

    def _pin_for_job(self, job_id: JobId, sizes: Mapping[DatasetPid, int]) -> None:
        group = self._jobs[job_id].job.owner_group
        for pid, size in sizes.items():
            if self._row_of(job_id, pid, by_job=True) is None:
                self._add(Pin(pid, job_id, True, group, None, self._clock()), size)
        self._show_pins()

    def _raise_pinned_bytes(self, pid: DatasetPid, size: int) -> None:
        for row in self._pins:
            if row.pin.pid == pid:
                row.size = max(size, row.size)

    def _pinned_sizes(self, group: str) -> dict[DatasetPid, int]:
        sizes: dict[DatasetPid, int] = {}
        for row in self._pins:
            if row.pin.group == group:
                sizes[row.pin.pid] = max(row.size, sizes.get(row.pin.pid, 0))
        return sizes

    def _is_over(self, pin: Pin, now: datetime) -> bool:
        if not pin.by_job:
            return pin.until is not None and pin.until <= now
        job_id = JobId(pin.owner)
        finished = self._jobs[job_id].state.finished
        if not finished and job_id not in self._granted:
            return pin.until is not None and pin.until <= now
        ended = finished and self._is_told(job_id)
        return ended and (pin.until is None or pin.until <= now)

    def _row_of(self, owner: str, pid: DatasetPid, *, by_job: bool) -> _Row | None:
        wanted = (owner, pid, by_job)
        return next((r for r in self._pins if (r.pin.owner, r.pin.pid, r.pin.by_job) == wanted), None)

    def _add(self, pin: Pin, size: int) -> None:
        self._pin_numbers += 1
        self._pins.append(_Row(self._pin_numbers, pin, size))

    def _end(self, ended: Sequence[_Row]) -> None:
        self._pins = [row for row in self._pins if row not in ended]
        self._show_pins()

    def _show_pins(self) -> None:
        pinned = {row.pin.pid for row in self._pins}
        for block in self._blocks.values():
            staged = block.record.state is DatablockState.STAGED
            block.record = replace(block.record, pinned=staged and block.record.key.pid in pinned)

    def _staged(self, pid: DatasetPid) -> list[Block]:
        return [block for block in self._of(pid) if block.record.state is DatablockState.STAGED]


def _may_go(record: DatablockRecord, unused_since: datetime) -> bool:
    staged = record.state is DatablockState.STAGED and record.used_at is not None
    return staged and not record.pinned and record.used_at <= unused_since  # type: ignore[operator]
