"""Open recalls in memory: a part of the fake ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from scicat_retriever.domain.errors import JobEnded, TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, RecallPhase
from scicat_retriever.ports.jobs import JobRecord
from scicat_retriever.ports.recalls import RecallChange, RecallRecord
from tests.fakes.records import RECALLED, Block, InMemoryRecords, State, require_legal

CLOCKS_DIFFER = timedelta(minutes=5)
BEGUN_ANEW: dict[str, Any] = {
    "phase": RecallPhase.WAITING,
    "request": "",
    "asked_at": None,
    "online_at": None,
    "expected_at": None,
}


class InMemoryRecalls(InMemoryRecords):
    """Recalls, and who leads them, in dicts."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        super().__init__(clock)
        self._recalls: dict[DatablockKey, RecallRecord] = {}
        self._leads: dict[str, tuple[str, datetime]] = {}

    def want_recalls(self, keys: Sequence[DatablockKey]) -> None:
        with self._lock:
            blocks = [self._known_block(key) for key in dict.fromkeys(keys)]
            for block in blocks:
                require_legal(block.record.state, State.RECALLING)
            for block in blocks:
                opened = self._opened(block)
                self._recalls[opened.key] = opened
                if block.record.state is not State.RECALLING:
                    self._move(block, State.RECALLING)
                    block.record = replace(block.record, reason=opened.reason)

    def list_recalls(self, store: str, limit: int | None = None) -> Sequence[RecallRecord]:
        with self._lock:
            its = [self._seen(record) for record in self._recalls.values() if record.store == store]
            its.sort(key=lambda each: (each.wanted_at, each.key.pid, each.position, each.key.id))
            return its[:limit]

    def recalls_of(self, pid: DatasetPid) -> Sequence[RecallRecord]:
        with self._lock:
            its = [self._seen(record) for key, record in self._recalls.items() if key.pid == pid]
            return sorted(
                (each for each in its if each.is_wanted), key=lambda each: (each.position, each.key.id)
            )

    def change_recalls(self, changes: Sequence[RecallChange]) -> None:
        with self._lock:
            before = dict(self._recalls)
            for change in changes:
                record = self._recalls.get(change.key)
                if record is not None and _concerns(change, before[change.key]):
                    self._recalls[change.key] = _changed(record, change, self._clock())
                    block = self._blocks[change.key]
                    recalled = _is_wanted(record, block) and block.record.state in RECALLED
                    if change.reason is not None and recalled:
                        block.record = replace(block.record, reason=change.reason)

    def forget_recalls(self, records: Sequence[RecallRecord]) -> None:
        with self._lock:
            for told in records:
                record = self._recalls.get(told.key)
                if record is None or _is_wanted(record, self._blocks[told.key]):
                    continue
                if (record.run, record.store, record.request) == (told.run, told.store, told.request):
                    del self._recalls[told.key]

    def lead_recalls(self, store: str, holder: str, lease: timedelta) -> bool:
        with self._lock:
            leader, until = self._leads.get(store, ("", self._clock()))
            if leader not in {"", holder} and self._clock() < until <= self._clock() + lease + CLOCKS_DIFFER:
                return False
            self._leads[store] = (holder, self._clock() + lease)
            return True

    def leave_recalls(self, holder: str) -> None:
        with self._lock:
            self._leads = {store: lead for store, lead in self._leads.items() if lead[0] != holder}

    def read_from(self, key: DatablockKey, store: str, reason: str) -> None:
        with self._lock:
            block = self._known_block(key)
            record = block.record
            if record.state in {State.STAGED, State.RELEASED}:
                raise TransitionIllegal(f"{key} is {record.state}")
            if record.store != store:
                total = record.datablock.packed_size
                self._move(block, State.PLANNED, reason, store=store, bytes_done=0, bytes_total=total)

    def set_priority(self, job_id: JobId, priority: int) -> None:
        with self._lock:
            record = self._known_job(job_id)
            if record.state.finished:
                raise JobEnded(f"{job_id} has ended")
            self._jobs[job_id] = replace(record, priority=priority)
            open_states = {DatasetState.SUBMITTED, DatasetState.STARTED}
            pids = [pid for pid, its in self._datasets.get(job_id, {}).items() if its.state in open_states]
            for key, recall in self._recalls.items():
                jobs = self._waiting_for(key.pid)
                if key.pid in pids and jobs:
                    self._recalls[key] = replace(recall, priority=max(job.priority for job in jobs))

    def open_recalls(self) -> Mapping[str, Mapping[RecallPhase, int]]:
        with self._lock:
            counts = Counter((record.store, record.phase) for record in self._recalls.values())
            stores = {store for store, _ in counts}
            return {
                name: {phase: n for (store, phase), n in counts.items() if store == name} for name in stores
            }

    def _opened(self, block: Block) -> RecallRecord:
        record, datablock = block.record, block.record.datablock
        jobs = self._waiting_for(datablock.pid)
        group = (jobs[0].job.owner_group or "") if jobs else ""
        priority = max((job.priority for job in jobs), default=0)
        present = self._recalls.get(record.key)
        its = (record.store, datablock.archive_id)
        if present is not None and (present.store, present.archive_id) == its:
            again = present.phase in {RecallPhase.ONLINE, RecallPhase.ENDED}
            values = dict(BEGUN_ANEW) if again else {}
            if present.run != record.run:
                now = self._clock()
                values |= {"run": record.run, "wanted_at": now, "missing_since": None}
                values["first_asked_at"] = None if again or present.asked_at is None else now
            return replace(present, group=group, priority=priority, **values)
        return RecallRecord(
            key=record.key,
            store=record.store,
            archive_id=datablock.archive_id,
            position=record.position,
            bytes=datablock.extract.archive_size
            if datablock.extract and datablock.ranges
            else record.bytes_total,
            run=record.run,
            group=group,
            priority=priority,
            wanted_at=self._clock(),
            phase=RecallPhase.WAITING,
        )

    def _waiting_for(self, pid: DatasetPid) -> list[JobRecord]:
        return [
            record
            for job_id, record in self._jobs.items()
            if not record.state.finished
            and pid in self._datasets.get(job_id, {})
            and self._datasets[job_id][pid].state is DatasetState.STARTED
        ]

    def _seen(self, record: RecallRecord) -> RecallRecord:
        return replace(record, is_wanted=_is_wanted(record, self._blocks[record.key]))


def _concerns(change: RecallChange, record: RecallRecord) -> bool:
    late = change.phase is RecallPhase.ASKED and record.phase in {RecallPhase.ONLINE, RecallPhase.ENDED}
    return change.run in {None, record.run} and change.store in {None, record.store} and not late


def _is_same(record: RecallRecord, block: Block) -> bool:
    now = block.record
    asked = (record.run, record.store, record.archive_id)
    return asked == (now.run, now.store, now.datablock.archive_id)


def _is_wanted(record: RecallRecord, block: Block) -> bool:
    return _is_same(record, block) and block.record.state in RECALLED | {State.COPYING}


def _changed(record: RecallRecord, change: RecallChange, now: datetime) -> RecallRecord:
    if change.phase is RecallPhase.WAITING:
        record = replace(record, **BEGUN_ANEW)
    elif change.phase is not None:
        asked = now if change.phase is RecallPhase.ASKED else None
        online = now if change.phase is RecallPhase.ONLINE else None
        record = replace(
            record,
            phase=change.phase,
            asked_at=record.asked_at or asked,
            first_asked_at=record.first_asked_at or record.asked_at or asked,
            online_at=record.online_at or online,
        )
    since = record.missing_since
    if change.is_missing is not None:
        since = (since or now) if change.is_missing else None
    return replace(
        record,
        request=record.request if change.request is None else change.request,
        tape=record.tape if change.tape is None else change.tape,
        expected_at=record.expected_at or change.expected_at,
        missing_since=since,
        reason=record.reason if change.reason is None else change.reason,
    )
