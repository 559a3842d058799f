"""The book of recalls: those that are open, and the desk that leads for each store."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, or_, select, tuple_, update

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, RecallPhase
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.packing import unpack_extract
from scicat_retriever.ledger.database.schema import datablocks, job_datasets, jobs, recall_leads, recalls
from scicat_retriever.ledger.database.statements import batches
from scicat_retriever.ledger.database.transitions import TransitionSubject, require_legal
from scicat_retriever.ledger.rows.claims import NOT_ENDED
from scicat_retriever.ledger.rows.datablocks import (
    THIS_DATABLOCK,
    consequences,
)
from scicat_retriever.ledger.rows.jobs import FINISHED, lock_open_job
from scicat_retriever.ledger.rows.recalls import (
    IS_WANTED,
    OPEN,
    WAITS_FOR_TAPE,
    begun_again,
    change_rows,
    changed,
    concerns,
    delete_recalls,
    names,
    recall_records,
    recalls_by_key,
    replace_recalls,
)
from scicat_retriever.ports.recalls import RecallChange, RecallRecord

_RECALLING = DatablockState.RECALLING
_DATABLOCK = tuple_(datablocks.c.pid, datablocks.c.id)
_MOVED = update(datablocks).where(THIS_DATABLOCK)
_OF_PRIORITY = update(recalls).where(recalls.c.pid == bindparam("of")).values(priority=bindparam("now"))
_CLOCKS_DIFFER = timedelta(minutes=5)
"""By how much the clocks of machines that share a ledger differ at most."""
# In these words, it can be done for many at once.
_EXPLAINED = _MOVED.where(or_(*(datablocks.c.state == state for state in WAITS_FOR_TAPE)))


class SqlRecalls(Book):
    """Open recalls, as `ports.recalls.Recalls` promises."""

    def want(self, keys: Sequence[DatablockKey]) -> None:
        """Have archives of datablocks recalled."""
        keys = list(dict.fromkeys(keys))
        pids = {key.pid for key in keys}
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, pids)
            rows = self._recallable(connection, keys)
            waiting = _waiting_jobs(connection, pids)
            present = recalls_by_key(connection, keys)
            opened = [self._opened(rows[key], present.get(key), waiting[key.pid]) for key in keys]
            replace_recalls(connection, [each for each in opened if each != present.get(each.key)])
            self._move_to_recalling(connection, [(rows[each.key], each.reason) for each in opened])

    def of_store(self, store: str, limit: int | None = None) -> Sequence[RecallRecord]:
        """The open recalls of a store."""
        c = recalls.c
        its = OPEN.where(c.store == store).order_by(c.wanted_at, c.pid, c.place, c.datablock).limit(limit)
        with self._database.reading() as connection:
            return recall_records(connection.execute(its).all())

    def of_dataset(self, pid: DatasetPid) -> Sequence[RecallRecord]:
        """The open recalls of a dataset that are wanted."""
        its = OPEN.where(recalls.c.pid == pid, IS_WANTED).order_by(recalls.c.place, recalls.c.datablock)
        with self._database.reading() as connection:
            return recall_records(connection.execute(its).all())

    def change(self, changes: Sequence[RecallChange]) -> None:
        """Note what is new of open recalls."""
        if not changes:
            return
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, {change.key.pid for change in changes})
            present = recalls_by_key(connection, {change.key for change in changes})
            now = self._clock()
            news = dict(present)
            concerning = [
                each for each in changes if each.key in present and concerns(each, present[each.key])
            ]
            for change in concerning:
                news[change.key] = changed(news[change.key], change, now)
            change_rows(connection, [(present[key], new) for key, new in news.items()])
            explained = {change.key for change in concerning if change.reason is not None}
            reasons = [
                {"of": key.pid, "block": key.id, "reason": news[key].reason}
                for key in explained
                if news[key].is_wanted
            ]
            if reasons:
                connection.execute(_EXPLAINED, reasons)

    def forget(self, records: Sequence[RecallRecord]) -> None:
        """Forget recalls that are not wanted any more."""
        told = {record.key: record for record in records}
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, {key.pid for key in told})
            present = recalls_by_key(connection, told)
            over = [key for key, record in present.items() if _is_over(record, told[key])]
            delete_recalls(connection, over)

    def lead(self, store: str, holder: str, lease: timedelta) -> bool:
        """Have one desk at a time lead for a store."""
        with self._database.reading() as connection:
            if not self._may_lead(connection, store, holder, lease):
                return False
        with self._database.writing() as connection:
            self._database.lock(connection, "recalls", store)
            if not self._may_lead(connection, store, holder, lease):
                return False
            its = recall_leads.c.store == store
            connection.execute(delete(recall_leads).where(its))
            until = self._clock() + lease
            connection.execute(insert(recall_leads).values(store=store, holder=holder, until=until))
            return True

    def leave(self, holder: str) -> None:
        """End the lead of a desk."""
        with self._database.writing() as connection:
            connection.execute(delete(recall_leads).where(recall_leads.c.holder == holder))

    def set_priority(self, job_id: JobId, priority: int) -> None:
        """Set the priority of a job, and raise that of its recalls."""
        its = select(job_datasets.c.pid).where(
            job_datasets.c.job_id == job_id, job_datasets.c.state.in_(NOT_ENDED)
        )
        with self._database.writing() as connection:
            lock_open_job(connection, job_id)
            connection.execute(update(jobs).where(jobs.c.id == job_id).values(priority=priority))
            pids = [DatasetPid(pid) for pid in connection.scalars(its)]
            self._database.lock_datasets(connection, pids)
            waiting = _waiting_jobs(connection, pids)
            highest = [
                {"of": pid, "now": max(job.priority for job in those)} for pid, those in waiting.items()
            ]
            for batch in batches(highest):
                connection.execute(_OF_PRIORITY, batch)

    def counts(self) -> Mapping[str, Mapping[RecallPhase, int]]:
        """How many recalls are open."""
        c = recalls.c
        counts: defaultdict[str, dict[RecallPhase, int]] = defaultdict(dict)
        with self._database.reading() as connection:
            for store, phase, count in connection.execute(
                select(c.store, c.phase, func.count()).group_by(c.store, c.phase)
            ):
                counts[store][RecallPhase(phase)] = count
        return dict(counts)

    def _recallable(self, connection: Connection, keys: Sequence[DatablockKey]) -> dict[DatablockKey, Any]:
        """Give the rows of datablocks that can all become recalling; their datasets must be locked."""
        rows: dict[DatablockKey, Any] = {}
        for batch in batches(keys):
            for row in connection.execute(select(datablocks).where(_DATABLOCK.in_(names(batch)))):
                rows[_key(row)] = row
        for key in keys:
            if key not in rows:
                raise TransitionIllegal(
                    f"Datablock {key.id} of {key.pid} is not known and cannot be recalled."
                )
            require_legal(_subject(rows[key]), DatablockState(rows[key].state), _RECALLING)
        return rows

    def _opened(self, row: Any, present: RecallRecord | None, jobs_of: Sequence[Any]) -> RecallRecord:  # noqa: ANN401
        """Give the recall of a datablock, once it is wanted."""
        group = (jobs_of[0].owner_group or "") if jobs_of else ""
        priority = max((each.priority for each in jobs_of), default=0)
        if present is not None and _is_of(present, row):
            again = present.phase in {RecallPhase.ONLINE, RecallPhase.ENDED}
            kept = begun_again(present) if again else present
            if kept.run != row.run:
                now = self._clock()
                first_asked_at = None if kept.asked_at is None else now
                kept = replace(
                    kept, run=row.run, wanted_at=now, first_asked_at=first_asked_at, missing_since=None
                )
            return replace(kept, group=group, priority=priority)
        return RecallRecord(
            key=_key(row),
            store=row.store,
            archive_id=ArchiveId(row.archive_id),
            position=row.position,
            bytes=_bytes_from_tape(row),
            run=row.run,
            group=group,
            priority=priority,
            wanted_at=self._clock(),
            phase=RecallPhase.WAITING,
        )

    def _move_to_recalling(self, connection: Connection, given: Sequence[tuple[Any, str]]) -> None:
        """Move datablocks that are not recalling to recalling, each given with the reason of its recall."""
        entering = [(row, reason) for row, reason in given if row.state != _RECALLING]
        if not entering:
            return
        values = {"state": _RECALLING} | consequences(_RECALLING)
        connection.execute(
            _MOVED,
            [values | {"of": row.pid, "block": row.id, "reason": reason} for row, reason in entering],
        )
        moved = [(_subject(row), DatablockState(row.state)) for row, _ in entering]
        self._log.enter_all(connection, moved, _RECALLING)

    def _may_lead(self, connection: Connection, store: str, holder: str, lease: timedelta) -> bool:
        row = connection.execute(select(recall_leads).where(recall_leads.c.store == store)).first()
        now = self._clock()
        # A lease that ends so far ahead was made by a clock that was wrong: its holder may be gone.
        return row is None or row.holder == holder or not now < row.until <= now + lease + _CLOCKS_DIFFER


def _waiting_jobs(connection: Connection, pids: Collection[DatasetPid]) -> Mapping[DatasetPid, Sequence[Any]]:
    """Give the jobs that wait for datasets, the oldest first."""
    c = job_datasets.c
    found: defaultdict[DatasetPid, list[Any]] = defaultdict(list)
    for batch in batches(pids):
        waiting = (
            select(c.pid, jobs.c.owner_group, jobs.c.priority)
            .join_from(job_datasets, jobs)
            .where(c.pid.in_(batch), c.state == DatasetState.STARTED, jobs.c.state.not_in(FINISHED))
            .order_by(jobs.c.number)
        )
        for row in connection.execute(waiting):
            found[DatasetPid(row.pid)].append(row)
    return found


def _bytes_from_tape(row: Any) -> int:  # noqa: ANN401
    """What the store brings back: the whole archive, also where only an extract of it is read."""
    extract = unpack_extract(row.extract)
    return int(row.bytes_total if extract is None or not extract.ranges else extract.archive_size)


def _is_of(record: RecallRecord, row: Any) -> bool:  # noqa: ANN401
    """Whether an open recall is of the store and archive that a datablock is read from now.

    It may be for this run or an earlier one.
    """
    return (record.store, record.archive_id) == (row.store, row.archive_id)


def _is_over(record: RecallRecord, told: RecallRecord) -> bool:
    """Whether an open recall is the one that the store was told of, and is not wanted."""
    same = (record.run, record.store, record.request) == (told.run, told.store, told.request)
    return same and not record.is_wanted


def _key(row: Any) -> DatablockKey:  # noqa: ANN401
    return DatablockKey(DatasetPid(row.pid), DatablockId(row.id))


def _subject(row: Any) -> TransitionSubject:  # noqa: ANN401
    return TransitionSubject("datablock", pid=row.pid, datablock=row.id)
