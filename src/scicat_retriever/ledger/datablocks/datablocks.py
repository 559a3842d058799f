"""The book of datablocks: what is planned for datasets, and how datablocks move."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from sqlalchemy import (
    exists,
    select,
    update,
)

from scicat_retriever.domain.dataset import CataloguedDatablock, FileEntry
from scicat_retriever.domain.errors import (
    TransitionIllegal,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.packing import unpack_files
from scicat_retriever.ledger.database.schema import (
    datablocks,
    file_lists,
)
from scicat_retriever.ledger.datablocks.extracts import make_whole
from scicat_retriever.ledger.datablocks.plans import write_plan
from scicat_retriever.ledger.rows.claims import asks_for
from scicat_retriever.ledger.rows.datablocks import (
    BEFORE_COPIED,
    NOT_READ_ANEW,
    ON_THEIR_WAY,
    datablock_record,
    is_datablock,
    lock_row,
    move,
)
from scicat_retriever.ledger.rows.spool import Spool
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.datablocks import Plan

_NEEDS_EVIDENCE = frozenset({DatablockState.COPIED, DatablockState.STAGED})


class SqlDatablocks(Book):
    """Datablocks, as `ports.datablocks.Datablocks` promises."""

    def plan(
        self, pid: DatasetPid, datablocks: Iterable[CataloguedDatablock], run: str, store: str = "lts"
    ) -> Plan:
        """Take down a dataset's datablocks and their file lists."""
        with Spool(pid) as spool:
            spool.take(datablocks)
            with self._database.writing() as connection:
                self._database.lock_datasets(connection, [pid])
                extracts = write_plan(self._log, connection, spool, {"run": run, "store": store})
            return Plan(len(spool.taken), spool.files, spool.packed_size, extracts)

    def of(self, pid: DatasetPid, after: int = 0, limit: int | None = None) -> Sequence[DatablockRecord]:
        """A dataset's datablocks as last planned."""
        page = (
            select(datablocks)
            .where(datablocks.c.pid == pid, datablocks.c.listed, datablocks.c.position >= after)
            .order_by(datablocks.c.position)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [datablock_record(row) for row in connection.execute(page)]

    def get(self, key: DatablockKey) -> DatablockRecord | None:
        """One datablock."""
        with self._database.reading() as connection:
            row = connection.execute(select(datablocks).where(is_datablock(key))).first()
        return None if row is None else datablock_record(row)

    def files(self, key: DatablockKey) -> Iterator[FileEntry]:
        """The catalogued files of a datablock: all packed chunks are read at once, and unpacked singly."""
        chunks = (
            select(file_lists.c.entries)
            .where(file_lists.c.pid == key.pid, file_lists.c.datablock == key.id)
            .order_by(file_lists.c.chunk)
        )
        with self._database.reading() as connection:
            packed = connection.scalars(chunks).all()
        return unpack_files(packed)

    def move(self, key: DatablockKey, state: DatablockState, reason: str = "") -> None:
        """Note a datablock's state and what it waits for."""
        with self._database.writing() as connection:
            row = lock_row(self._database, connection, key, state)
            if state in _NEEDS_EVIDENCE and row.state != state:
                raise TransitionIllegal(f"Datablock {key.id} of {key.pid} becomes {state} by evidence alone.")
            move(self._log, connection, key, row, state, reason)

    def note_progress(self, key: DatablockKey, bytes_done: int, bytes_total: int | None = None) -> None:
        """Note bytes copied so far."""
        values = {"bytes_done": bytes_done}
        if bytes_total is not None:
            values["bytes_total"] = bytes_total
        # A note that comes late must not spoil what the finished copy has proved.
        under_way = datablocks.c.state.in_(tuple(BEFORE_COPIED))
        with self._database.writing() as connection:
            connection.execute(update(datablocks).where(is_datablock(key), under_way).values(values))

    def read_whole(self, key: DatablockKey, reason: str) -> None:
        """Have an extract be replaced by its whole archive, and forget where members lie in the archive."""
        with self._database.writing() as connection:
            row = lock_row(self._database, connection, key, DatablockState.PLANNED)
            make_whole(self._log, connection, key, row, reason)

    def read_from(self, key: DatablockKey, store: str, reason: str) -> None:
        """Have a datablock be read from another store."""
        new = DatablockState.PLANNED
        with self._database.writing() as connection:
            row = lock_row(self._database, connection, key, new)
            if row.state in NOT_READ_ANEW:
                raise TransitionIllegal(
                    f"Datablock {key.id} of {key.pid} is {row.state} and cannot become {new}."
                )
            if row.store != store:
                values = {"store": store, "bytes_done": 0, "bytes_total": row.packed_size}
                move(self._log, connection, key, row, new, reason, **values)

    def abandoned(self, limit: int) -> Sequence[tuple[DatasetPid, str]]:
        """Datasets that no job asks for and that have datablocks on their way into staging."""
        c = datablocks.c
        left = (
            select(c.pid, c.run).distinct().where(c.state.in_(ON_THEIR_WAY), ~exists().where(asks_for(c.pid)))
        )
        with self._database.reading() as connection:
            found = connection.execute(left.order_by(c.pid, c.run).limit(limit)).all()
        return [(DatasetPid(pid), run) for pid, run in found]
