"""Jobs that choose files, in memory: a part of the fake ledger."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import Failure, TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.onepass.manifest import SealedManifest, algorithms_in
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.records import Block, State
from tests.fakes.space import ASKED_FOR, InMemorySpace

PLANNED_BY_NONE = 2**31 - 1


class InMemoryChosenFiles(InMemorySpace):
    """Choices in a dict."""

    def note_choice(
        self,
        job_id: JobId,
        pid: DatasetPid,
        datablocks: Collection[DatablockId],
        size: int,
        unknown: Failure | None,
        extracts: Sequence[CataloguedDatablock] = (),
        respelled: Mapping[DatablockId, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        with self._lock:
            self._known_job(job_id)
            dataset = self._datasets[job_id].get(pid)
            if dataset is None or not dataset.chosen:
                raise TransitionIllegal(f"{job_id} did not choose files of {pid}")
            self._choices[job_id, pid] = set(datablocks)
            self._respelled[job_id, pid] = {
                name: path
                for datablock in sorted(set(datablocks))
                for name, path in respelled.get(datablock, {}).items()
            }
            for entry in extracts:
                self._note_extract(entry)
            self.note_sizes(job_id, {pid: size})
            noted = replace(dataset, unknown=unknown)
            if unknown is not None and not datablocks and dataset.state in ASKED_FOR:
                noted = replace(noted, state=DatasetState.FAILED, failures=(unknown,), reason="")
                self._enter((job_id, pid), dataset.state, DatasetState.FAILED, unknown.code)
            self._datasets[job_id][pid] = noted

    def respelled(self, job_id: JobId, pid: DatasetPid) -> Mapping[str, str]:
        with self._lock:
            return dict(self._respelled.get((job_id, pid), {}))

    def job_datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        with self._lock:
            return self._needed(job_id, pid) if pid in self._datasets.get(job_id, {}) else []

    def hashed(self, job_id: JobId) -> Mapping[DatasetPid, Collection[tuple[Integrity | None, str]]]:
        with self._lock:
            found: dict[DatasetPid, set[tuple[Integrity | None, str]]] = {}
            for pid in self._datasets.get(job_id, {}):
                for record in self._needed(job_id, pid):
                    blob = self._blocks[record.key].manifest
                    if record.state is State.STAGED and blob is not None:
                        found.setdefault(pid, set()).add((record.integrity, algorithms_in(blob)))
            return found

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        with self._lock:
            return pid in self._datasets.get(job_id, {}) and self._is_brought(job_id, pid)

    def is_promised(self, key: DatablockKey) -> bool:
        with self._lock:
            return any(
                not pin.by_job or self._has_retrieved(JobId(pin.owner), key)
                for _, pin in self.list_pins(key.pid)
            )

    def _has_retrieved(self, job_id: JobId, key: DatablockKey) -> bool:
        needed = {record.key for record in self._needed(job_id, key.pid)}
        return key in needed and self._datasets[job_id][key.pid].state is DatasetState.RETRIEVED

    def _set_wanted(self, pid: DatasetPid) -> None:
        asking = self._askers(pid)
        needed = {record.key for job_id in asking for record in self._needed(job_id, pid)}
        for block in self._of(pid):
            if block.listed:
                if block.record.datablock.extract is None:
                    wanted = not asking or block.record.key in needed
                else:
                    wanted = block.record.key in needed and block.record.run != ""
                block.record = replace(block.record, wanted=wanted)

    def known_manifest(self, key: DatablockKey) -> SealedManifest | None:
        with self._lock:
            block = self._blocks.get(key)
            if block is None or block.manifest is None or block.copied is None:
                return None
            return SealedManifest(block.manifest, block.copied.manifest_seal, block.copied.members)

    def read_whole(self, key: DatablockKey, reason: str) -> None:
        with self._lock:
            block = self._known_block(key)
            old, extract = block.record.datablock, block.record.datablock.extract
            whole = self._blocks.get(DatablockKey(key.pid, extract.of)) if extract else None
            if extract is None or whole is None or block.record.state in {State.STAGED, State.RELEASED}:
                raise TransitionIllegal(f"{key} is no extract that is on its way")
            if not extract.ranges:
                return
            as_whole = replace(
                whole.record.datablock,
                id=old.id,
                algorithm=old.algorithm,
                extract=replace(extract, ranges=()),
            )
            block.entry = CataloguedDatablock(as_whole, whole.entry.files)
            block.record = replace(block.record, datablock=as_whole)
            self._move(block, State.PLANNED, reason, bytes_done=0, bytes_total=as_whole.packed_size)
            if whole.record.state not in {State.COPIED, State.STAGED}:
                whole.manifest = None

    def _note_extract(self, entry: CataloguedDatablock) -> None:
        assert entry.datablock.extract is not None
        key = DatablockKey(entry.datablock.pid, entry.datablock.id)
        whole = self._blocks.get(DatablockKey(key.pid, entry.datablock.extract.of))
        block = self._blocks.get(key)
        if block is None:
            total = entry.datablock.packed_size
            record = DatablockRecord(
                entry.datablock, PLANNED_BY_NONE, State.PLANNED, 0, total, store="", wanted=False
            )
            block = self._blocks[key] = Block(record, entry)
            self._enter(("", key.pid, key.id), "", State.PLANNED)
        elif not block.listed and block.record.state is not State.STAGED:
            block.record = replace(block.record, run="", wanted=False, position=PLANNED_BY_NONE)
        block.listed, block.of = True, None if whole is None else whole.entry
