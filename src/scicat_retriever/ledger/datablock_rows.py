"""One datablock's row: read it, lock it, move it to another state."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, delete, select, update

from scicat_retriever.domain.dataset import Datablock
from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.part import LedgerPart, Subject
from scicat_retriever.ledger.schema import datablocks, reservations
from scicat_retriever.ports.ledger import DatablockRecord

BEFORE_COPIED = frozenset(
    {
        DatablockState.PLANNED,
        DatablockState.WAITING_FOR_SPACE,
        DatablockState.RECALLING,
        DatablockState.COPYING,
    }
)
"""The states in which there is no whole copy: entering one, the bytes count from 0 again."""

HOLDS_NO_SPACE = frozenset(
    {DatablockState.PLANNED, DatablockState.STAGED, DatablockState.FAILED, DatablockState.RELEASED}
)
"""The states that end a reservation when they are entered."""


class DatablockRows(LedgerPart):
    """What the parts that change datablocks share."""

    def _lock_row(self, connection: Connection, key: DatablockKey, new: str) -> Any:  # noqa: ANN401
        """Give a datablock's row, nobody else's to change until the transaction ends."""
        row = connection.execute(select(datablocks).where(is_datablock(key)).with_for_update()).first()
        if row is None:
            raise TransitionIllegal(f"{_subject(key)} is not known and cannot become {new}.")
        return row

    def _move(
        self,
        connection: Connection,
        key: DatablockKey,
        row: Any,  # noqa: ANN401
        new: DatablockState,
        reason: str = "",
        **values: object,
    ) -> None:
        """Move a locked row to a state, with all that goes with it, and `values` beside."""
        old = DatablockState(row.state)
        subject = _subject(key)
        self._require_legal(subject, old, new)
        changes: dict[str, object] = {"state": new, "reason": reason}
        if old != new:
            changes |= consequences(new)
        connection.execute(update(datablocks).where(is_datablock(key)).values(changes | values))
        if new in HOLDS_NO_SPACE:
            self._forget_reservation(connection, key)
        self._enter(connection, subject, old, new, reason)

    def _forget_reservation(self, connection: Connection, key: DatablockKey) -> None:
        connection.execute(
            delete(reservations).where(reservations.c.pid == key.pid, reservations.c.datablock == key.id)
        )


def consequences(new: DatablockState) -> dict[str, object]:
    """What a datablock's row says, or may no longer claim, once it enters a state."""
    changes: dict[str, object] = {"files_left": new is DatablockState.RELEASED}
    if new in BEFORE_COPIED:
        changes["bytes_done"] = 0
    if new is not DatablockState.STAGED:
        changes |= {"integrity": None, "keep_until": None}
    if new not in {DatablockState.COPIED, DatablockState.STAGED}:
        changes |= {"archive_checksum": None, "partial": ""}
    return changes


def is_datablock(key: DatablockKey) -> ColumnElement[bool]:
    """The condition that a row of `datablocks` is this one."""
    return and_(datablocks.c.pid == key.pid, datablocks.c.id == key.id)


def datablock_record(row: Any) -> DatablockRecord:  # noqa: ANN401
    """Give a row of `datablocks` as a record."""
    return DatablockRecord(
        datablock=Datablock(
            id=DatablockId(row.id),
            pid=DatasetPid(row.pid),
            archive_id=ArchiveId(row.archive_id),
            size=row.size,
            packed_size=row.packed_size,
            algorithm=row.algorithm,
            file_count=row.file_count,
        ),
        position=row.position,
        state=DatablockState(row.state),
        bytes_done=row.bytes_done,
        bytes_total=row.bytes_total,
        reason=row.reason,
        integrity=None if row.integrity is None else Integrity(row.integrity),
        archive_checksum=row.archive_checksum,
        keep_until=row.keep_until,
        partial=row.partial,
        run=row.run,
    )


def _subject(key: DatablockKey) -> Subject:
    return Subject("datablock", pid=key.pid, datablock=key.id)
