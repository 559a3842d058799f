"""The book of the cache: which staged datablocks may be evicted, and their eviction."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, not_, select, update

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import datablocks
from scicat_retriever.ledger.database.statements import total
from scicat_retriever.ledger.rows.datablocks import (
    datablock_record,
    is_datablock,
    lacks_datablocks,
    lock_row,
    lock_row_if_there,
    move,
)
from scicat_retriever.ledger.rows.reports import write_report
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.reports import Subject

_IS_STAGED = datablocks.c.state == DatablockState.STAGED
_IS_CACHED = and_(_IS_STAGED, not_(datablocks.c.pinned))


class SqlCache(Book):
    """Use and eviction, as `ports.cache.Cache` promises."""

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

    def datablocks(
        self, order: EvictionOrder, unused_since: datetime, limit: int
    ) -> Sequence[DatablockRecord]:
        """Staged datablocks that nobody pins or has used since, in the order of eviction."""
        c = datablocks.c
        by_use = (c.used_at, c.pid, c.id)
        if order is EvictionOrder.LARGEST:
            unused = _unused(unused_since)
            page = select(datablocks).where(_IS_CACHED, unused).order_by(c.bytes_total.desc(), *by_use)
        else:
            page = select(datablocks).where(_IS_CACHED, c.used_at <= unused_since).order_by(*by_use)
        with self._database.reading() as connection:
            return [datablock_record(row) for row in connection.execute(page.limit(limit))]

    def size(self, unused_since: datetime) -> int:
        """Bytes of the staged datablocks that nobody pins or has used since."""
        sizes = select(total(datablocks.c.bytes_total)).where(_IS_CACHED, _unused(unused_since))
        with self._database.reading() as connection:
            return int(connection.scalar(sizes) or 0)

    def evict(
        self, key: DatablockKey, unused_since: datetime, reason: str, tell: LifecycleUpdate | None = None
    ) -> bool:
        """Evict a datablock, if nobody pins it or has used it since."""
        with self._database.writing() as connection:
            row = lock_row_if_there(self._database, connection, key)
            if row is None or row.state != DatablockState.STAGED or row.pinned or row.used_at > unused_since:
                return False
            # The dataset stops being whole with its first datablock that goes; SciCat is told once.
            counts = row.listed and not row.extract
            if tell is not None and counts and not connection.scalar(select(lacks_datablocks(key.pid))):
                write_report(connection, self._clock(), Subject.dataset(key.pid), tell)
            move(self._log, connection, key, row, DatablockState.RELEASED, reason)
            return True

    def withdraw(self, key: DatablockKey, reason: str) -> None:
        """Make a staged datablock released although it may be pinned."""
        new = DatablockState.RELEASED
        with self._database.writing() as connection:
            row = lock_row(self._database, connection, key, new)
            if row.state == DatablockState.STAGED:
                move(self._log, connection, key, row, new, reason)


def _unused(since: datetime) -> ColumnElement[bool]:
    # In these words, SQLite does not look up the time in an index, but goes by size.
    return func.coalesce(datablocks.c.used_at, since) <= since
