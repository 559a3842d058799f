"""Datablocks in memory: the part of the fake ledger that plans, moves and stages them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from scicat_retriever.domain.dataset import CataloguedDatablock, FileEntry
from scicat_retriever.domain.errors import CatalogueEntryInvalid, TransitionIllegal
from scicat_retriever.domain.evidence import Copied, DatablockKey, Staged
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.onepass.manifest import SealedManifest
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.datablocks import Plan
from scicat_retriever.ports.needs import DatasetProgress, DatasetWait
from tests.fakes.chosen_files import InMemoryChosenFiles
from tests.fakes.records import NO_COPY, RECALLED, Block, State, page, require_legal
from tests.fakes.space import ASKED_FOR, LARGEST_DATASET


class InMemoryDatablocks(InMemoryChosenFiles):
    """Datablocks, from their plan to their end."""

    def plan(
        self, pid: DatasetPid, datablocks: Iterable[CataloguedDatablock], run: str, store: str = "lts"
    ) -> Plan:
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
            or sum(entry.datablock.size for entry in entries) > LARGEST_DATASET
            or sum(entry.datablock.packed_size for entry in entries) > LARGEST_DATASET
        ):
            raise CatalogueEntryInvalid(f"the datablocks of {pid} cannot be worked with")
        with self._lock:
            extracts = self._kept_extracts(pid, entries)
            kept = {*ids, *(entry.datablock.id for entry in extracts)}
            for block in self._of(pid):
                if block.listed and block.record.key.id not in kept:
                    self._unlist(block)
            for position, entry in enumerate([*entries, *extracts]):
                self._plan_one(entry, position, run, store)
            self._set_wanted(pid)
        packed = sum(entry.datablock.packed_size for entry in entries)
        return Plan(len(entries), sum(len(entry.files) for entry in entries), packed, len(extracts))

    def list_datablocks(
        self, pid: DatasetPid, after: int = 0, limit: int | None = None
    ) -> Sequence[DatablockRecord]:
        with self._lock:
            return page(self._listed(pid), after, limit)

    def datablock(self, key: DatablockKey) -> DatablockRecord | None:
        with self._lock:
            block = self._blocks.get(key)
            return None if block is None else block.record

    def progress_of(self, job_id: JobId) -> Sequence[DatasetProgress]:
        with self._lock:
            planned = [(pid, self._needed(job_id, pid)) for pid in self._datasets.get(job_id, {})]
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

    def waits_of(self, job_id: JobId) -> Mapping[DatasetPid, DatasetWait]:
        with self._lock:
            waits = dict[DatasetPid, DatasetWait]()
            for pid, dataset in self._datasets.get(job_id, {}).items():
                its = [
                    each.reason
                    for each in self._needed(job_id, pid)
                    if each.state in RECALLED and each.reason
                ]
                if dataset.state is DatasetState.STARTED and its:
                    waits[pid] = DatasetWait(its[0], len(its))
            return waits

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
            if block is not None and block.record.state in NO_COPY:
                total = block.record.bytes_total if bytes_total is None else bytes_total
                block.record = replace(block.record, bytes_done=bytes_done, bytes_total=total)

    def save_copy(self, copied: Copied, manifest: bytes) -> None:
        with self._lock:
            block = self._known_block(copied.recalled.key)
            self._move(
                block,
                State.COPIED,
                bytes_done=copied.bytes_copied,
                bytes_total=copied.bytes_copied,
                unpacked=copied.unpacked,
                archive_checksum=copied.archive_checksum,
                partial=copied.partial,
            )
            block.copied, block.manifest = copied, manifest

    def renew_manifest(self, key: DatablockKey, old_seal: str, renewed: SealedManifest) -> bool:
        with self._lock:
            block = self._blocks.get(key)
            if block is None or block.copied is None or block.record.state is not State.STAGED:
                return False
            if block.copied.manifest_seal != old_seal:
                return False
            block.copied = replace(block.copied, manifest_seal=renewed.seal, members=renewed.members)
            block.manifest = renewed.blob
            return True

    def copied(self, key: DatablockKey) -> Copied | None:
        with self._lock:
            block = self._blocks.get(key)
            has_copy = block is not None and block.record.state in {State.COPIED, State.STAGED}
            return block.copied if block is not None and has_copy else None

    def manifest(self, key: DatablockKey) -> bytes | None:
        with self._lock:
            block = self._blocks.get(key)
            return None if block is None else block.manifest

    def save_staged(self, staged: Staged) -> None:
        with self._lock:
            key = staged.verified.copied.recalled.key
            block = self._known_block(key)
            require_legal(block.record.state, State.STAGED)
            if self.copied(key) != staged.verified.copied:
                raise TransitionIllegal(f"another copy of {key} was verified")
            verified = staged.verified
            values: dict[str, Any] = {"integrity": verified.integrity}
            values |= {"matched_by": verified.matched_by, "oddities": verified.oddities}
            if block.record.state is not State.STAGED:
                now = self._clock()
                values |= {"staged_at": now, "used_at": now, "checked_at": now}
                values["pinned"] = self._is_pinned(key.pid)
                self._lower_claim(key.pid, block.record.bytes_total)
            self._move(block, State.STAGED, **values)

    def _kept_extracts(
        self, pid: DatasetPid, entries: list[CataloguedDatablock]
    ) -> list[CataloguedDatablock]:
        wanted = {
            block_id
            for (job_id, chosen), ids in self._choices.items()
            if chosen == pid and self._datasets[job_id][pid].state in ASKED_FOR
            for block_id in ids
        }
        its = [block for block in self._of(pid) if block.listed and block.record.datablock.extract]
        kept = [each for each in its if each.record.state is State.STAGED or each.record.key.id in wanted]
        kept.sort(key=lambda each: (each.record.position, each.record.key.id))
        return [each.entry for each in kept if each.of in entries]

    def _unlist(self, block: Block) -> None:
        block.listed = False
        if block.record.state is not State.STAGED:
            self._move(block, State.RELEASED, "no longer in the catalogue")
            block.files_left = True

    def _plan_one(self, entry: CataloguedDatablock, position: int, run: str, store: str) -> None:
        key = DatablockKey(entry.datablock.pid, entry.datablock.id)
        block = self._blocks.get(key)
        if block is None:
            total = entry.datablock.packed_size
            record = DatablockRecord(entry.datablock, position, State.PLANNED, 0, total, run=run, store=store)
            self._blocks[key] = Block(record, entry)
            self._enter(("", key.pid, key.id), "", State.PLANNED)
            return
        same = block.entry == entry
        if not same:
            block.manifest = None
        at_work = block.listed and block.record.run == run
        block.entry, block.listed = entry, True
        block.record = replace(block.record, datablock=entry.datablock, position=position)
        if not (same and (block.record.state is State.STAGED or at_work)):
            total = entry.datablock.packed_size
            total = max(total, block.record.bytes_total) if same else total
            self._move(block, State.PLANNED, bytes_done=0, bytes_total=total, run=run, store=store)
