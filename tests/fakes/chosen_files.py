"""Jobs that choose files, in memory: a part of the fake ledger."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from scicat_retriever.domain.errors import Failure, TransitionIllegal
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.space import ASKED_FOR, InMemorySpace


class InMemoryChosenFiles(InMemorySpace):
    """Choices in a dict."""

    def note_choice(
        self,
        job_id: JobId,
        pid: DatasetPid,
        datablocks: Collection[DatablockId],
        size: int,
        unknown: Failure | None,
    ) -> None:
        with self._lock:
            self._known_job(job_id)
            dataset = self._datasets[job_id].get(pid)
            if dataset is None or not dataset.chosen:
                raise TransitionIllegal(f"{job_id} did not choose files of {pid}")
            self._choices[job_id, pid] = set(datablocks)
            self.note_sizes(job_id, {pid: size})
            noted = replace(dataset, unknown=unknown)
            if unknown is not None and not datablocks and dataset.state in ASKED_FOR:
                noted = replace(noted, state=DatasetState.FAILED, failures=(unknown,), reason="")
                self._enter((job_id, pid), dataset.state, DatasetState.FAILED, unknown.code)
            self._datasets[job_id][pid] = noted

    def job_datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        with self._lock:
            return self._needed(job_id, pid) if pid in self._datasets.get(job_id, {}) else []

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        with self._lock:
            return pid in self._datasets.get(job_id, {}) and self._is_brought(job_id, pid)

    def _set_wanted(self, pid: DatasetPid) -> None:
        asking = self._askers(pid)
        needed = {record.key for job_id in asking for record in self._needed(job_id, pid)}
        for block in self._of(pid):
            if block.listed:
                wanted = not asking or block.record.key in needed
                block.record = replace(block.record, wanted=wanted)
