"""Staging space in memory: claims, and the line of jobs that wait; a part of the fake ledger."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ports.claims import Growth, PlaceInLine
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.inventory import Usage
from scicat_retriever.ports.jobs import JobDatasetRecord
from scicat_retriever.ports.staging_area import Room
from tests.fakes.pins import InMemoryPins
from tests.fakes.records import WRITES

ASKED_FOR = {DatasetState.SUBMITTED, DatasetState.STARTED}
LARGEST_DATASET = 2**60


@dataclass
class Place:
    """A job's place in the line; what it needs is None where it does not wait."""

    since: datetime
    needed: int | None = None
    overtaken: int = 0
    asked_at: datetime | None = None


@dataclass
class Grower:
    """A claim that waits to grow."""

    more: int
    asked_at: datetime
    overtaken: int = 0


class InMemorySpace(InMemoryPins):
    """Claims in a dict."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._claims: dict[DatasetPid, int] = {}
        self._sizes: dict[tuple[JobId, DatasetPid], int] = {}
        self._line: dict[JobId, Place] = {}
        self._growers: dict[DatasetPid, Grower] = {}

    def datasets_without_size(self, job_id: JobId, limit: int) -> Sequence[DatasetPid]:
        with self._lock:
            return [pid for pid in self._datasets.get(job_id, {}) if (job_id, pid) not in self._sizes][:limit]

    def note_sizes(self, job_id: JobId, sizes: Mapping[DatasetPid, int]) -> None:
        with self._lock:
            self._known_job(job_id)
            known = self._datasets.get(job_id, {})
            bounded = {pid: min(max(0, size), LARGEST_DATASET) for pid, size in sizes.items()}
            self._sizes |= {(job_id, pid): size for pid, size in bounded.items() if pid in known}

    def job_size(self, job_id: JobId) -> int:
        with self._lock:
            return sum(self._size(job_id, pid) for pid in self._datasets.get(job_id, {}))

    def claim_job(
        self, job_id: JobId, room: Room, *, silence: timedelta, quota: int | None = None
    ) -> PlaceInLine:
        with self._lock:
            if self._known_job(job_id).state.finished:
                return PlaceInLine(0, 0, 0)
            mine = self._datasets.get(job_id, {}).values()
            sizes = {d.pid: self._size(job_id, d.pid) for d in mine if self._is_wanted(job_id, d)}
            lacking = {
                d.pid: self._lacking(job_id, d.pid, sizes[d.pid]) for d in mine if d.state in ASKED_FOR
            }
            if job_id in self._granted:
                lacking = {pid: size for pid, size in lacking.items() if pid not in self._claims}
            needed = sum(lacking.values())
            if job_id not in self._granted:
                self._require_quota(job_id, sizes, quota)
                line = self._ask(job_id, needed, room, silence)
                if not line.granted:
                    return line
                self._went_ahead(needed)
                self._granted[job_id] = self._clock()
            self._claims |= {pid: self._claims.get(pid, 0) + size for pid, size in lacking.items()}
            self._pin_for_job(job_id, sizes)
            return PlaceInLine(0, 0, needed)

    def claim_dataset(self, pid: DatasetPid, room: Room, *, silence: timedelta) -> Growth:
        with self._lock:
            planned = sum(record.bytes_total for record in self._wanted(pid))
            wanted = planned - _staged(self._wanted(pid))
            more = wanted - self._claims.get(pid, 0)
            missing = max(0, more - self._free(room)) if more > 0 else 0
            if missing:
                self._claims.setdefault(pid, 0)
                overtaken = self._growers[pid].overtaken if pid in self._growers else 0
                self._growers[pid] = Grower(more, self._clock(), overtaken)
                gives_back = self._must_give_back(pid, room, silence)
                if gives_back:
                    del self._growers[pid]
                return Growth(missing, gives_back)
            self._claims[pid] = wanted
            self._growers.pop(pid, None)
            if more > 0:
                self._went_ahead(more)
                for place in self._line.values():
                    place.overtaken += more if place.needed is not None else 0
            self._raise_pinned_bytes(pid, planned)
            return Growth(0)

    def give_space_back(self, job_id: JobId, pid: DatasetPid, *, if_waiting: bool = False) -> bool:
        with self._lock:
            if self._known_job(job_id).state.finished:
                return True
            if if_waiting and job_id in self._granted:
                return False
            if pid in self._datasets[job_id]:
                self._sizes[job_id, pid] = self._size(job_id, pid)
            granted = self._granted.pop(job_id, None)
            for dataset in self._datasets[job_id].values():
                started = dataset.pid == pid and dataset.state is DatasetState.STARTED
                if started or (granted is not None and dataset.state is DatasetState.RETRIEVED):
                    new = replace(dataset, state=DatasetState.SUBMITTED, reason="")
                    self._datasets[job_id][dataset.pid] = new
                    self._enter(
                        (job_id, dataset.pid), dataset.state, new.state, "its job gave its space back"
                    )
            if granted is not None:
                self._end([row for row in self._pins if row.pin.by_job and row.pin.owner == job_id])
                place = self._line.setdefault(job_id, Place(granted))
                place.needed, place.asked_at = 0, None
            return True

    def is_in_line(self, job_id: JobId) -> bool:
        with self._lock:
            return job_id in self._line and self._line[job_id].needed is not None

    def end_claim(self, pid: DatasetPid) -> None:
        with self._lock:
            asking = self._askers(pid)
            if pid not in self._claims or self._is_written(pid):
                return
            if asking:
                noted = [
                    (self._sizes.get((each, pid), 0), self._datasets[each][pid].chosen) for each in asking
                ]
                whole = max((size for size, chosen in noted if not chosen), default=0)
                parts = sum(size for size, chosen in noted if chosen)
                size = max(whole + parts, sum(record.bytes_total for record in self._wanted(pid)))
                self._claims[pid] = min(self._claims[pid], max(0, size - _staged(self._wanted(pid))))
            else:
                self._end_claim(pid)

    def end_idle_claims(self) -> int:
        with self._lock:
            idle = [pid for pid in self._claims if not self._askers(pid) and not self._is_written(pid)]
            for pid in idle:
                self._end_claim(pid)
            return len(idle)

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        with self._lock:
            places = sorted(self._line.items(), key=lambda each: (each[1].since, each[0]))
            return [(job_id, place.needed) for job_id, place in places if place.needed is not None]

    def jobs_to_mend(self, limit: int) -> Sequence[JobId]:
        with self._lock:
            ended = [job_id for job_id, record in self._jobs.items() if record.state.finished]
            return [job_id for job_id in ended if self._has_broken_links(job_id)][:limit]

    def unwritten(self) -> int:
        with self._lock:
            return sum(self._claims.values()) - self._written()

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
                waiting_jobs=len(self.waiting_jobs()),
                waiting=sum(needed for _, needed in self.waiting_jobs()),
            )

    def recount(self) -> int:
        # The sums are made anew each time.
        return 0

    def _leave_line(self, job_id: JobId) -> None:
        self._line.pop(job_id, None)

    def _lower_claim(self, pid: DatasetPid, by: int) -> None:
        if pid in self._claims:
            self._claims[pid] = max(0, self._claims[pid] - by)

    def _size(self, job_id: JobId, pid: DatasetPid) -> int:
        planned = sum(record.bytes_total for record in self._needed(job_id, pid))
        return min(LARGEST_DATASET, max(planned, self._sizes.get((job_id, pid), 0)))

    def _end_claim(self, pid: DatasetPid) -> None:
        del self._claims[pid]
        self._growers.pop(pid, None)

    def _wanted(self, pid: DatasetPid) -> list[DatablockRecord]:
        asked_for = {record.key for job_id in self._askers(pid) for record in self._needed(job_id, pid)}
        return [record for record in self._listed(pid) if record.wanted or record.key in asked_for]

    def _lacking(self, job_id: JobId, pid: DatasetPid, size: int) -> int:
        """What has to be claimed beside what is claimed already."""
        lacks = max(0, size - _staged(self._needed(job_id, pid)))
        if pid not in self._claims or self._is_apart(job_id, pid):
            return lacks
        return max(0, lacks - self._claims[pid])

    def _is_apart(self, job_id: JobId, pid: DatasetPid) -> bool:
        asking = self._askers(pid)
        chosen = {block_id for each in asking for block_id in self._choices.get((each, pid), ())}
        whole = any(not self._datasets[each][pid].chosen for each in asking)
        extracts = {each.record.key.id for each in self._of(pid) if each.record.datablock.extract is not None}
        mine = self._choices.get((job_id, pid), set()) - chosen
        return bool(mine & extracts if whole else mine)

    def _waiters(self, pid: DatasetPid) -> list[JobId]:
        asking = self._askers(pid)
        return [each for each in asking if self._datasets[each][pid].state is DatasetState.STARTED]

    def _rank(self, pid: DatasetPid) -> int | None:
        numbers = {job_id: number for number, job_id in enumerate(self._jobs)}
        return min((numbers[job_id] for job_id in self._waiters(pid)), default=None)

    def _growing(self, silence: timedelta) -> list[DatasetPid]:
        """Claims that wait to grow, by the first of the jobs that ask for each."""
        now = self._clock()
        heard = [pid for pid, each in self._growers.items() if abs(now - each.asked_at) <= silence]
        ranks = {pid: rank for pid in heard if (rank := self._rank(pid)) is not None}
        return sorted(ranks, key=lambda pid: (ranks[pid], pid))

    def _held_for(self, pids: Iterable[DatasetPid]) -> int:
        these = set(pids)
        waiting = {job_id for pid in these for job_id in self._waiters(pid)}
        these |= {row.pin.pid for row in self._pins if row.pin.by_job and row.pin.owner in waiting}
        staged = [block for pid in these for block in self._staged(pid)]
        return sum(self._claims.get(pid, 0) for pid in these) + sum(block.held for block in staged)

    def _capacity(self, room: Room) -> int:
        if room.free is None:
            return room.total
        return min(
            room.total, sum(block.held for block in self._blocks.values()) + self._written() + room.free
        )

    def _must_give_back(self, pid: DatasetPid, room: Room, silence: timedelta) -> bool:
        growing, whole = self._growing(silence), self._capacity(room)
        if pid not in growing:
            return False
        if self._held_for([pid]) + self._growers[pid].more > whole:
            return True
        first = growing[0]
        return first != pid and self._growers[first].more > whole - self._held_for(growing)

    def _went_ahead(self, by: int) -> None:
        for each in self._growers.values():
            each.overtaken += by

    def _ask(self, job_id: JobId, needed: int, room: Room, silence: timedelta) -> PlaceInLine:
        now, own = self._clock(), self._line.get(job_id)
        waiting = [each for each in self._line.values() if each.needed is not None and each is not own]
        before = [each for each in waiting if own is None or each.since < own.since]
        heard = [each for each in before if each.asked_at and abs(now - each.asked_at) <= silence]
        patient = all(each.overtaken + (each.needed or 0) + needed <= room.total for each in heard)
        growing = self._growing(silence)
        if growing:
            wait = [self._growers[pid] for pid in growing]
            most = sum(each.more for each in wait) + max(each.overtaken for each in wait)
            patient &= most + self._held_for(growing) + needed <= self._capacity(room)
        missing = max(0, needed - self._free(room))
        if needed == 0 or (missing == 0 and patient):
            for each in before:
                each.overtaken += needed
            if own is not None:
                own.needed = None
            return PlaceInLine(0, 0, needed)
        if own is None:
            latest = [each.since + timedelta(microseconds=1) for each in self._line.values()]
            own = self._line[job_id] = Place(max([*latest, now]))
        own.needed, own.asked_at = needed, now
        return PlaceInLine(missing, len(growing) + len(heard) + 1, needed)

    def _is_wanted(self, job_id: JobId, dataset: JobDatasetRecord) -> bool:
        is_there = dataset.state is DatasetState.RETRIEVED and self._is_brought(job_id, dataset.pid)
        return dataset.state in ASKED_FOR or is_there

    def _has_broken_links(self, job_id: JobId) -> bool:
        datasets = self._datasets[job_id].values()
        retrieved = [each.pid for each in datasets if each.state is DatasetState.RETRIEVED]
        return any(
            self._lacks_needed(job_id, pid)
            for pid in retrieved
            if pid not in self._claims and self._row_of(job_id, pid, by_job=True) is not None
        )

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
        return (
            free
            if room.free is None
            else min(free, room.free - max(claimed - self._written(), room.unwritten))
        )

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
            for job_id, record in self._jobs.items()
            if not record.state.finished and pid in self._datasets[job_id]
            if self._asks(job_id, self._datasets[job_id][pid])
        ]

    def _asks(self, job_id: JobId, dataset: JobDatasetRecord) -> bool:
        wanted = dataset.state is DatasetState.SUBMITTED and job_id in self._granted
        return dataset.state is DatasetState.STARTED or wanted


def _staged(records: Iterable[DatablockRecord]) -> int:
    staged = DatablockState.STAGED
    return sum(record.bytes_total for record in records if record.state is staged)
