"""The part of the SQL ledger that says what may go from staging, and makes it go."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import and_, func, not_, select, update

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.datablock_rows import DatablockRows, datablock_record, is_datablock
from scicat_retriever.ledger.jobs import FINISHED
from scicat_retriever.ledger.schema import datablocks, jobs, pins
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.space import EvictionOrder

_IS_STAGED = datablocks.c.state == DatablockState.STAGED
_IS_CACHED = and_(_IS_STAGED, not_(datablocks.c.pinned))


class EvictionPart(DatablockRows):
    """Use and eviction, as `ports.space.SpaceLedger` promises."""

    def note_used(self, pid: DatasetPid, datablock: DatablockKey | None = None) -> None:
        """Note that staged datablocks are used now."""
        now = self._clock()
        its = datablocks.c.pid == pid if datablock is None else is_datablock(datablock)
        with self._database.writing() as connection:
            if datablock is None:
                self._database.lock_datasets(connection, [pid])
            # Machines' clocks differ: the time never goes back.
            news = and_(its, datablocks.c.pid == pid, _IS_STAGED, datablocks.c.used_at < now)
            connection.execute(update(datablocks).where(news).values(used_at=now))

    def cached(self, order: EvictionOrder, unused_since: datetime, limit: int) -> Sequence[DatablockRecord]:
        """Staged datablocks that nobody pins or has used, in the order in which they are to go."""
        c = datablocks.c
        by_use = (c.used_at, c.pid, c.id)
        if order is EvictionOrder.LARGEST:
            # In these words, SQLite does not look up the time in an index, and sort all that it finds by size.
            unused = func.coalesce(c.used_at, unused_since) <= unused_since
            page = select(datablocks).where(_IS_CACHED, unused).order_by(c.bytes_total.desc(), *by_use)
        else:
            page = select(datablocks).where(_IS_CACHED, c.used_at <= unused_since).order_by(*by_use)
        with self._database.reading() as connection:
            return [datablock_record(row) for row in connection.execute(page.limit(limit))]

    def evict(self, key: DatablockKey, unused_since: datetime, reason: str) -> bool:
        """Make a datablock released if it may still go."""
        with self._database.writing() as connection:
            row = self._lock_row_if_there(connection, key)
            if row is None or row.state != DatablockState.STAGED or row.pinned or row.used_at > unused_since:
                return False
            self._move(connection, key, row, DatablockState.RELEASED, reason)
            return True

    def withdraw(self, key: DatablockKey, reason: str) -> Sequence[JobId]:
        """Make a staged datablock released although it may be pinned."""
        new = DatablockState.RELEASED
        pinning = (
            select(jobs.c.id)
            .join_from(pins, jobs, jobs.c.id == pins.c.owner)
            .where(pins.c.pid == key.pid, pins.c.by_job, jobs.c.state.in_(FINISHED))
            .order_by(jobs.c.number)
        )
        with self._database.writing() as connection:
            row = self._lock_row(connection, key, new)
            if row.state == DatablockState.STAGED:
                self._move(connection, key, row, new, reason)
            elif row.state != new:
                return []
            return [JobId(job_id) for job_id in connection.scalars(pinning)]
