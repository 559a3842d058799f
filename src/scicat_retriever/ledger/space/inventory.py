"""The book of the inventory: which files should be in the staging area, and their bytes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, delete, exists, func, insert, or_, select, true, update

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import claims, datablocks, space, space_queue, wanted_checks
from scicat_retriever.ledger.database.statements import total
from scicat_retriever.ledger.rows.claims import unwritten, written
from scicat_retriever.ledger.rows.datablocks import (
    datablock_record,
    is_datablock,
    lock_row_if_there,
    set_columns,
    tokens_of,
)
from scicat_retriever.ledger.rows.held_space import change_space, lock_space
from scicat_retriever.ledger.rows.line import WAITS
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.inventory import Usage

_IS_STAGED = datablocks.c.state == DatablockState.STAGED
_BY_NAME = (datablocks.c.pid, datablocks.c.id)
_WANTED = (
    select(datablocks)
    .join(
        wanted_checks,
        and_(wanted_checks.c.pid == datablocks.c.pid, wanted_checks.c.datablock == datablocks.c.id),
    )
    .where(_IS_STAGED)
    .order_by(wanted_checks.c.number)
)


class SqlInventory(Book):
    """Files, checks and sums, as `ports.inventory.Inventory` promises."""

    def left_behind(self, limit: int, after: DatablockKey | None = None) -> Sequence[DatablockKey]:
        """Released datablocks whose files may still be there."""
        page = select(*_BY_NAME).where(datablocks.c.files_left, _follows(after)).order_by(*_BY_NAME)
        with self._database.reading() as connection:
            return _keys(connection.execute(page.limit(limit)))

    def forget_files(self, key: DatablockKey) -> None:
        """Note that a released datablock's files are gone."""
        with self._database.writing() as connection:
            row = lock_row_if_there(self._database, connection, key)
            if row is not None and row.state == DatablockState.RELEASED:
                set_columns(connection, key, {"files_left": False, "held_bytes": 0, "partial": ""})
                change_space(connection, staged=-row.held_bytes)

    def staged_after(self, after: DatablockKey | None, limit: int) -> Sequence[DatablockRecord]:
        """Staged datablocks by their names."""
        page = select(datablocks).where(_IS_STAGED, _follows(after)).order_by(*_BY_NAME).limit(limit)
        with self._database.reading() as connection:
            return [datablock_record(row) for row in connection.execute(page)]

    def known_tokens(self, tokens: Collection[str]) -> Collection[str]:
        """Give those tokens of files that belong to a datablock."""
        with self._database.reading() as connection:
            return tokens_of(connection, tokens)

    def being_copied(self) -> Sequence[DatablockKey]:
        """Datablocks whose files are being written."""
        copying = select(*_BY_NAME).where(datablocks.c.state == DatablockState.COPYING).order_by(*_BY_NAME)
        with self._database.reading() as connection:
            return _keys(connection.execute(copying))

    def next_to_check(self, before: datetime, but: Collection[DatablockKey] = ()) -> DatablockRecord | None:
        """The staged datablock that is wanted first, or was checked longest ago, but for those in `but`."""
        checked_at = datablocks.c.checked_at
        due = select(datablocks).where(_IS_STAGED, checked_at < before).order_by(checked_at, *_BY_NAME)
        with self._database.reading() as connection:
            for query in (_WANTED, due):
                for record in map(datablock_record, connection.execute(query.limit(len(but) + 1))):
                    if record.key not in but:
                        return record
        return None

    def want_check(self, key: DatablockKey) -> None:
        """Note that a staged datablock shall be checked before others."""
        is_wanted = select(exists().where(_is_wanted(key)))
        with self._database.writing() as connection:
            row = lock_row_if_there(self._database, connection, key)
            if row is None or row.state != DatablockState.STAGED or connection.scalar(is_wanted):
                return
            connection.execute(insert(wanted_checks).values(pid=key.pid, datablock=key.id))

    def wanted_checks(self) -> Sequence[DatablockRecord]:
        """The staged datablocks whose check is wanted."""
        with self._database.reading() as connection:
            return [datablock_record(row) for row in connection.execute(_WANTED)]

    def note_checked(self, key: DatablockKey) -> None:
        """Note that the bytes of a staged datablock were read now, and are right."""
        checked = update(datablocks).where(is_datablock(key), _IS_STAGED).values(checked_at=self._clock())
        with self._database.writing() as connection:
            connection.execute(checked)
            connection.execute(delete(wanted_checks).where(_is_wanted(key)))

    def unwritten(self) -> int:
        """Bytes of claims that are still to be written."""
        with self._database.reading() as connection:
            return unwritten(connection, connection.execute(select(space)).one())

    def usage(self) -> Usage:
        """Sums over the staging area."""
        c = datablocks.c
        staged = (
            select(c.pinned, func.count().label("datablocks"), func.sum(c.bytes_total).label("bytes"))
            .where(_IS_STAGED)
            .group_by(c.pinned)
        )
        waiting = select(func.count(), total(space_queue.c.needed)).where(WAITS)
        with self._database.reading() as connection:
            groups = {row.pinned: row for row in connection.execute(staged)}
            sizes = {pinned: int(row.bytes) for pinned, row in groups.items()}
            jobs_waiting, needed = connection.execute(waiting).one()
            sums = connection.execute(select(space)).one()
            return Usage(
                staged=sums.staged,
                claimed=sums.claimed,
                written=written(connection),
                pinned=sizes.get(True, 0),
                cached=sizes.get(False, 0),
                datablocks=sum(row.datablocks for row in groups.values()),
                waiting_jobs=jobs_waiting,
                waiting=int(needed or 0),
            )

    def recount(self) -> int:
        """Correct the sums of staged and claimed bytes."""
        with self._database.writing() as connection:
            noted = lock_space(connection)
            staged: int = (
                int(connection.scalar(select(func.sum(datablocks.c.held_bytes))) or 0) - noted.staged
            )
            claimed: int = int(connection.scalar(select(func.sum(claims.c.bytes))) or 0) - noted.claimed
            change_space(connection, staged=staged, claimed=claimed)
            return abs(staged) + abs(claimed)


def _follows(after: DatablockKey | None) -> ColumnElement[bool]:
    """The condition that a datablock's name comes after another one's."""
    if after is None:
        return true()
    pid, datablock = _BY_NAME
    return and_(pid >= after.pid, or_(pid > after.pid, datablock > after.id))


def _keys(rows: Iterable[Any]) -> list[DatablockKey]:
    return [DatablockKey(DatasetPid(row.pid), DatablockId(row.id)) for row in rows]


def _is_wanted(key: DatablockKey) -> ColumnElement[bool]:
    return and_(wanted_checks.c.pid == key.pid, wanted_checks.c.datablock == key.id)
