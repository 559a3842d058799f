"""The part of the SQL ledger that holds evidence and time limits: copies, staged datablocks, retention."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    delete,
    exists,
    func,
    insert,
    not_,
    or_,
    select,
    update,
)

from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import Copied, DatablockKey, Recalled, Staged
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.datablock_rows import DatablockRows, is_datablock
from scicat_retriever.ledger.jobs import FINISHED
from scicat_retriever.ledger.schema import copies, datablocks, job_datasets, jobs, reports
from scicat_retriever.ports.outbox import ReportKind

_WITH_COPY = (DatablockState.COPIED, DatablockState.STAGED)


class CopiesPart(DatablockRows):
    """Copies and staged datablocks, as `ports.ledger.Ledger` promises."""

    def save_copy(self, copied: Copied, manifest: bytes) -> None:
        """Note a finished copy with its manifest."""
        recalled = copied.recalled
        key, new = recalled.key, DatablockState.COPIED
        with self._database.writing() as connection:
            row = self._lock_row(connection, key, new)
            self._move(
                connection,
                key,
                row,
                new,
                bytes_done=copied.bytes_copied,
                bytes_total=recalled.size,
                archive_checksum=copied.archive_checksum,
                partial=copied.partial,
            )
            connection.execute(delete(copies).where(_is_copy(key)))
            connection.execute(
                insert(copies).values(
                    pid=key.pid,
                    datablock=key.id,
                    archive_id=recalled.archive_id,
                    size=recalled.size,
                    bytes_copied=copied.bytes_copied,
                    archive_checksum=copied.archive_checksum,
                    manifest_seal=copied.manifest_seal,
                    members=copied.members,
                    manifest=manifest,
                )
            )

    def copied(self, key: DatablockKey) -> Copied | None:
        """The evidence of a finished copy, while it is good."""
        with self._database.reading() as connection:
            return _copied(connection, key)

    def manifest(self, key: DatablockKey) -> bytes | None:
        """The manifest of the last finished copy."""
        with self._database.reading() as connection:
            return connection.scalar(select(copies.c.manifest).where(_is_copy(key)))

    def save_staged(self, staged: Staged, keep_until: datetime) -> None:
        """Note verified bytes in staging."""
        verified = staged.verified
        key, new = verified.copied.recalled.key, DatablockState.STAGED
        with self._database.writing() as connection:
            row = self._lock_row(connection, key, new)
            proven = _copied(connection, key)
            until = keep_until if row.keep_until is None else max(keep_until, row.keep_until)
            self._move(connection, key, row, new, integrity=verified.integrity, keep_until=until)
            if proven != verified.copied:
                raise TransitionIllegal(
                    f"Datablock {key.id} of {key.pid} cannot become {new}: another copy was verified."
                )

    def keep(self, pid: DatasetPid, until: datetime) -> int:
        """Keep a dataset's staged datablocks at least until then."""
        staged = and_(
            datablocks.c.pid == pid, datablocks.c.listed, datablocks.c.state == DatablockState.STAGED
        )
        with self._database.writing() as connection:
            self._database.lock(connection, "dataset", pid)
            connection.execute(
                update(datablocks).where(staged, datablocks.c.keep_until < until).values(keep_until=until)
            )
            return connection.scalar(select(func.count()).select_from(datablocks).where(staged)) or 0

    def expired(self, now: datetime, limit: int) -> Sequence[DatablockKey]:
        """Staged datablocks whose time to be kept is over."""
        over = (
            select(datablocks.c.pid, datablocks.c.id)
            .where(_is_over(now))
            .order_by(datablocks.c.keep_until, datablocks.c.pid, datablocks.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return _keys(connection.execute(over))

    def release_expired(self, key: DatablockKey, now: datetime) -> bool:
        """Make a datablock released if it is staged and its time is still over."""
        over = and_(is_datablock(key), _is_over(now))
        with self._database.writing() as connection:
            row = connection.execute(select(datablocks).where(over).with_for_update()).first()
            if row is None:
                return False
            self._move(connection, key, row, DatablockState.RELEASED, "its time to be kept is over")
            return True

    def left_behind(self, limit: int) -> Sequence[DatablockKey]:
        """Released datablocks whose files may still be there."""
        released = (
            select(datablocks.c.pid, datablocks.c.id)
            .where(datablocks.c.files_left)
            .order_by(datablocks.c.pid, datablocks.c.id)
            .limit(limit)
        )
        with self._database.reading() as connection:
            return _keys(connection.execute(released))

    def forget_files(self, key: DatablockKey) -> None:
        """Note that a released datablock's files are gone."""
        gone = update(datablocks).where(is_datablock(key)).values(files_left=False)
        with self._database.writing() as connection:
            connection.execute(gone)


def _is_over(now: datetime) -> ColumnElement[bool]:
    """The condition that a staged datablock may go, as `Ledger.expired` tells."""
    staged = and_(datablocks.c.keep_until <= now, datablocks.c.state == DatablockState.STAGED)
    to_be_told = exists().where(
        reports.c.kind == ReportKind.JOB, reports.c.name == jobs.c.id, not_(reports.c.parked)
    )
    awaited = exists().where(
        job_datasets.c.pid == datablocks.c.pid,
        jobs.c.id == job_datasets.c.job_id,
        or_(jobs.c.state.not_in(FINISHED), to_be_told),
    )
    return and_(staged, not_(awaited))


def _is_copy(key: DatablockKey) -> ColumnElement[bool]:
    return and_(copies.c.pid == key.pid, copies.c.datablock == key.id)


def _keys(rows: Iterable[Any]) -> list[DatablockKey]:
    return [DatablockKey(DatasetPid(row.pid), DatablockId(row.id)) for row in rows]


def _copied(connection: Connection, key: DatablockKey) -> Copied | None:
    c = copies.c
    wanted = (
        select(
            c.archive_id,
            c.size,
            c.bytes_copied,
            c.archive_checksum,
            c.manifest_seal,
            c.members,
            datablocks.c.partial,
        )
        .join_from(datablocks, copies, and_(c.pid == datablocks.c.pid, c.datablock == datablocks.c.id))
        .where(is_datablock(key), datablocks.c.state.in_(_WITH_COPY))
    )
    row = connection.execute(wanted).first()
    if row is None:
        return None
    recalled = Recalled(key, ArchiveId(row.archive_id), row.size)
    return Copied(
        recalled, row.bytes_copied, row.archive_checksum, row.manifest_seal, row.members, row.partial
    )
