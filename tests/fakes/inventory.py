"""What the fake ledger knows of files in the staging area, for whoever compares the two."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from datetime import datetime

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.records import InMemoryRecords


class InMemoryInventory(InMemoryRecords):
    """Looks through the datablocks, and knows whose staging areas are."""

    def identity(self) -> str:
        return f"ledger-in-memory-{id(self):x}"

    def has_marked(self, location: str) -> bool:
        with self._lock:
            return location in self._marked_areas

    def note_marked(self, location: str) -> None:
        with self._lock:
            self._marked_areas.add(location)

    def left_behind(self, limit: int, after: DatablockKey | None = None) -> Sequence[DatablockKey]:
        with self._lock:
            left = [key for key, block in self._blocks.items() if block.files_left]
            return _after(left, after)[:limit]

    def forget_files(self, key: DatablockKey) -> None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None and block.record.state is DatablockState.RELEASED:
                block.files_left, block.held = False, 0
                block.record = replace(block.record, partial="")

    def staged_after(self, after: DatablockKey | None, limit: int) -> Sequence[DatablockRecord]:
        with self._lock:
            keys = _after([record.key for record in self._staged_records()], after)[:limit]
            return [self._blocks[key].record for key in keys]

    def known_tokens(self, tokens: Collection[str]) -> Collection[str]:
        with self._lock:
            return {block.record.partial for block in self._blocks.values()} & set(tokens) - {""}

    def being_copied(self) -> Sequence[DatablockKey]:
        with self._lock:
            copying = [k for k, b in self._blocks.items() if b.record.state is DatablockState.COPYING]
            return _after(copying, None)

    def next_to_check(self, before: datetime, but: Collection[DatablockKey] = ()) -> DatablockRecord | None:
        with self._lock:
            for record in self.wanted_checks():
                if record.key not in but:
                    return record
            others = [record for record in self._staged_records() if record.key not in but]
            dated = [(record.checked_at or before, record) for record in others]
            due = [(at, record.key.pid, record.key.id, record) for at, record in dated if at < before]
            return min(due, key=lambda each: each[:3])[3] if due else None

    def want_check(self, key: DatablockKey) -> None:
        with self._lock:
            block = self._blocks.get(key)
            if block is not None and block.record.state is DatablockState.STAGED:
                self._wanted_checks.setdefault(key)

    def wanted_checks(self) -> Sequence[DatablockRecord]:
        with self._lock:
            blocks = [self._blocks[key] for key in self._wanted_checks if key in self._blocks]
            return [block.record for block in blocks if block.record.state is DatablockState.STAGED]

    def note_checked(self, key: DatablockKey) -> None:
        with self._lock:
            self._wanted_checks.pop(key, None)
            block = self._blocks.get(key)
            if block is not None and block.record.state is DatablockState.STAGED:
                block.record = replace(block.record, checked_at=self._clock())

    def _staged_records(self) -> list[DatablockRecord]:
        records = [block.record for block in self._blocks.values()]
        return [record for record in records if record.state is DatablockState.STAGED]


def _after(keys: list[DatablockKey], after: DatablockKey | None) -> list[DatablockKey]:
    """Keys by their names, from the one that follows `after`."""
    ordered = sorted(keys, key=lambda key: (key.pid, key.id))
    return [key for key in ordered if after is None or (key.pid, key.id) > (after.pid, after.id)]
