"""The datablocks' part of the SQL ledger: what is read of them, and how they move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from sqlalchemy import func, select, update

from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.packing import unpack_files
from scicat_retriever.ledger.database.schema import datablocks, file_lists, job_datasets
from scicat_retriever.ledger.database.statements import total
from scicat_retriever.ledger.rows.datablocks import (
    BEFORE_COPIED,
    datablock_record,
    is_datablock,
    lock_row,
    move,
)
from scicat_retriever.ledger.rows.needs import needs
from scicat_retriever.ledger.rows.recalls import WAITS_FOR_TAPE
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.ledger import DatasetProgress, DatasetWait

_NEEDS_EVIDENCE = frozenset({DatablockState.COPIED, DatablockState.STAGED})


class DatablocksPart(Book):
    """Datablocks, as `ports.ledger.Ledger` promises."""

    def datablocks(
        self, pid: DatasetPid, after: int = 0, limit: int | None = None
    ) -> Sequence[DatablockRecord]:
        """A dataset's datablocks as last planned."""
        page = (
            select(datablocks)
            .where(datablocks.c.pid == pid, datablocks.c.listed, datablocks.c.position >= after)
            .order_by(datablocks.c.position)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return [datablock_record(row) for row in connection.execute(page)]

    def datablock(self, key: DatablockKey) -> DatablockRecord | None:
        """One datablock."""
        with self._database.reading() as connection:
            row = connection.execute(select(datablocks).where(is_datablock(key))).first()
        return None if row is None else datablock_record(row)

    def progress_of(self, job_id: JobId) -> Sequence[DatasetProgress]:
        """Sums for each dataset of a job that was planned."""
        staged = func.count().filter(datablocks.c.state == DatablockState.STAGED)
        sums = (
            select(
                job_datasets.c.pid,
                func.count().label("datablocks"),
                staged.label("staged"),
                total(datablocks.c.bytes_done).label("bytes_done"),
                total(datablocks.c.bytes_total).label("bytes_total"),
            )
            .join_from(job_datasets, datablocks, needs())
            .where(job_datasets.c.job_id == job_id)
            .group_by(job_datasets.c.pid, job_datasets.c.position)
            .order_by(job_datasets.c.position)
        )
        with self._database.reading() as connection:
            return [
                DatasetProgress(
                    DatasetPid(row.pid), row.datablocks, row.staged, int(row.bytes_done), int(row.bytes_total)
                )
                for row in connection.execute(sums)
            ]

    def waits_of(self, job_id: JobId) -> Mapping[DatasetPid, DatasetWait]:
        """What the datasets of a job wait for. Many of their datablocks wait for the same: so few rows are read."""
        first = func.min(datablocks.c.position)
        its = (
            select(job_datasets.c.pid, datablocks.c.reason, func.count().label("waiting"))
            .join_from(job_datasets, datablocks, needs())
            .where(
                job_datasets.c.job_id == job_id,
                job_datasets.c.state == DatasetState.STARTED,
                datablocks.c.state.in_(WAITS_FOR_TAPE),
                datablocks.c.reason != "",
            )
            .group_by(job_datasets.c.pid, datablocks.c.reason)
            .order_by(job_datasets.c.pid, first)
        )
        waits: dict[DatasetPid, DatasetWait] = {}
        with self._database.reading() as connection:
            for pid, reason, waiting in connection.execute(its):
                known = waits.get(DatasetPid(pid), DatasetWait(reason, 0))
                waits[DatasetPid(pid)] = DatasetWait(known.reason, known.datablocks + waiting)
        return waits

    def files(self, key: DatablockKey) -> Iterator[FileEntry]:
        """The catalogued files of a datablock: all chunks are read at once, packed, and unpacked one by one."""
        chunks = (
            select(file_lists.c.entries)
            .where(file_lists.c.pid == key.pid, file_lists.c.datablock == key.id)
            .order_by(file_lists.c.chunk)
        )
        with self._database.reading() as connection:
            packed = connection.scalars(chunks).all()
        return unpack_files(packed)

    def move_datablock(self, key: DatablockKey, state: DatablockState, reason: str = "") -> None:
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
