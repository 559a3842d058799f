"""Staging space in memory: claims, and the line of jobs that wait; a part of the fake ledger."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ports.space import Line, Usage
from scicat_retriever.ports.staging_area import Room
from tests.fakes.pins import InMemoryPins
from tests.fakes.records import WRITES

ASKED_FOR = {DatasetState.SUBMITTED, DatasetState.STARTED}


@dataclass
class _Waiting:
    since: datetime
    needed: int


class InMemorySpace(InMemoryPins):
    """Claims in a dict."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._claims: dict[DatasetPid, int] = {}
        self._sizes: dict[tuple[JobId, DatasetPid], int] = {}
        self._waiting: dict[JobId, _Waiting] = {}
        self._granted: set[JobId] = set()

    def datasets_without_size(self, job_id: JobId, limit: int) -> Sequence[DatasetPid]:
        with self._lock:
            return [pid for pid in self._datasets.get(job_id, {}) if (job_id, pid) not in self._sizes][:limit]

    def note_sizes(self, job_id: JobId, sizes: Mapping[DatasetPid, int]) -> None:
        with self._lock:
            self._known_job(job_id)
            known = self._datasets.get(job_id, {})
            self._sizes |= {(job_id, pid): size for pid, size in sizes.items() if pid in known}

    def job_size(self, job_id: JobId) -> int:
        with self._lock:
            return sum(self._size(job_id, pid) for pid in self._datasets.get(job_id, {}))

    def claim_job(
        self, job_id: JobId, room: Room, *, overtaking: timedelta, quota: int | None = None
    ) -> Line:
        with self._lock:
            if self._known_job(job_id).state.finished:
                return Line(0, 0, 0)
            mine = self._datasets.get(job_id, {}).values()
            sizes = {d.pid: self._size(job_id, d.pid) for d in mine if d.state is not DatasetState.FAILED}
            lacking = {
                d.pid: max(0, sizes[d.pid] - self._staged_of(d.pid))
                for d in mine
                if d.state in ASKED_FOR and d.pid not in self._claims
            }
            needed = sum(lacking.values())
            if job_id not in self._granted:
                self._require_quota(job_id, sizes, quota)
                line = self._line(job_id, needed, room, overtaking)
                if not line.granted:
                    since = min(self._clock(), self._waiting.get(job_id, _Waiting(self._clock(), 0)).since)
                    self._waiting[job_id] = _Waiting(since, needed)
                    return line
                self._granted.add(job_id)
                self._waiting.pop(job_id, None)
            self._claims |= lacking
            self._pin_for_job(job_id, sizes)
            return Line(0, 0, needed)

    def claim_dataset(self, pid: DatasetPid, room: Room) -> int:
        with self._lock:
            planned = sum(record.bytes_total for record in self._listed(pid))
            wanted = planned - self._staged_of(pid)
            more = wanted - self._claims.get(pid, 0)
            missing = max(0, more - self._free(room)) if more > 0 else 0
            if not missing:
                self._claims[pid] = wanted
                self._raise_pinned_bytes(pid, planned)
            return missing

    def end_claim(self, pid: DatasetPid) -> None:
        with self._lock:
            asking = self._askers(pid)
            if asking:
                size = max(self._size(job_id, pid) for job_id in asking)
                self._claims[pid] = max(0, size - self._staged_of(pid))
            else:
                self._claims.pop(pid, None)

    def end_idle_claims(self) -> int:
        with self._lock:
            idle = [pid for pid in self._claims if not self._askers(pid) and not self._is_written(pid)]
            for pid in idle:
                del self._claims[pid]
            return len(idle)

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        with self._lock:
            return [
                (job_id, self._waiting[job_id].needed) for job_id in self._jobs if job_id in self._waiting
            ]

    def usage(self) -> Usage:
        with self._lock:
            staged = [block for block in self._blocks.values() if block.record.state is DatablockState.STAGED]
            return Usage(
                staged=sum(block.held for block in self._blocks.values()),
                claimed=sum(self._claims.values()),
                written=self._written(),
                pinned=sum(block.held for block in staged if block.record.pinned),
                cached=sum(block.held for block in staged if not block.record.pinned),
                datablocks=len(staged),
                waiting_jobs=len(self._waiting),
                waiting=sum(each.needed for each in self._waiting.values()),
            )

    def recount(self) -> int:
        # The sum is made anew each time.
        return 0

    def _leave_line(self, job_id: JobId) -> None:
        self._waiting.pop(job_id, None)

    def _claim_anew(self, job_id: JobId) -> None:
        self._waiting.pop(job_id, None)
        self._granted.discard(job_id)

    def _lower_claim(self, pid: DatasetPid, by: int) -> None:
        if pid in self._claims:
            self._claims[pid] = max(0, self._claims[pid] - by)

    def _size(self, job_id: JobId, pid: DatasetPid) -> int:
        planned = sum(record.bytes_total for record in self._listed(pid))
        return max(planned, self._sizes.get((job_id, pid), 0))

    def _staged_of(self, pid: DatasetPid) -> int:
        staged = DatablockState.STAGED
        return sum(record.bytes_total for record in self._listed(pid) if record.state is staged)

    def _line(self, job_id: JobId, needed: int, room: Room, overtaking: timedelta) -> Line:
        before = list(self._jobs)[: list(self._jobs).index(job_id)]
        earlier = [self._waiting[each] for each in before if each in self._waiting]
        patient = all(each.since >= self._clock() - overtaking for each in earlier)
        missing = max(0, needed - self._free(room))
        if needed == 0 or (missing == 0 and patient):
            return Line(0, 0, needed)
        return Line(missing, len(earlier) + 1, needed)

    def _require_quota(self, job_id: JobId, sizes: Mapping[DatasetPid, int], quota: int | None) -> None:
        group = self._jobs[job_id].job.owner_group
        if quota is None or group is None:
            return
        others = {pid: size for pid, size in self._pinned_sizes(group).items() if pid not in sizes}
        if sum(sizes.values()) + sum(others.values()) > quota:
            raise QuotaExceeded(f"{group} would pin more than {quota} bytes")

    def _free(self, room: Room) -> int:
        claimed = sum(self._claims.values())
        free = room.total - sum(block.held for block in self._blocks.values()) - claimed
        return free if room.free is None else min(free, room.free - (claimed - self._written()))

    def _written(self) -> int:
        return sum(min(claim, self._written_of(pid)) for pid, claim in self._claims.items())

    def _written_of(self, pid: DatasetPid) -> int:
        records = [block.record for block in self._of(pid)]
        return sum(record.bytes_done for record in records if record.state in WRITES)

    def _is_written(self, pid: DatasetPid) -> bool:
        return any(block.record.state in WRITES for block in self._of(pid))

    def _askers(self, pid: DatasetPid) -> list[JobId]:
        return [
            job_id
            for job_id in self._granted
            if not self._jobs[job_id].state.finished
            if pid in self._datasets[job_id] and self._datasets[job_id][pid].state in ASKED_FOR
        ]
