"""One datablock's row: read it, lock it, move it to another state."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, exists, select, update

from scicat_retriever.domain.dataset import Datablock
from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey, Integrity
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.packing import unpack_extract, unpack_matched, unpack_oddities
from scicat_retriever.ledger.database.schema import datablocks
from scicat_retriever.ledger.database.statements import batches
from scicat_retriever.ledger.database.transitions import TransitionLog, TransitionSubject, require_legal
from scicat_retriever.ledger.rows.held_space import change_space
from scicat_retriever.ports.datablock_record import DatablockRecord

BEFORE_COPIED = frozenset(
    {
        DatablockState.PLANNED,
        DatablockState.WAITING_FOR_SPACE,
        DatablockState.RECALLING,
        DatablockState.COPYING,
    }
)
"""The states in which there is no whole copy: entering one, the bytes count from 0 again."""

WRITES = (DatablockState.COPYING, DatablockState.COPIED)
"""The states in which a datablock's partial file takes space."""

ON_THEIR_WAY = (DatablockState.WAITING_FOR_SPACE, DatablockState.RECALLING, *WRITES)
"""The states of a datablock on which a run is at work, or that a lost run left so."""

NOT_READ_ANEW = (DatablockState.STAGED, DatablockState.RELEASED)
"""The states in which a datablock is not on its way, so that it cannot be read from elsewhere."""

THIS_DATABLOCK = and_(datablocks.c.pid == bindparam("of"), datablocks.c.id == bindparam("block"))
"""As `is_datablock`, for statements that are made once: they are given the key's parts as parameters."""
_LOCKED = select(datablocks).where(THIS_DATABLOCK).with_for_update()
_CHANGED = update(datablocks).where(THIS_DATABLOCK)


def lock_row(database: Database, connection: Connection, key: DatablockKey, new: str) -> Any:  # noqa: ANN401
    """Give a datablock's row, locked with the pins of its dataset until the transaction ends.

    Raises:
        TransitionIllegal: There is no such datablock, so that it cannot become `new`.
    """
    row = lock_row_if_there(database, connection, key)
    if row is None:
        raise TransitionIllegal(f"{_subject(key)} is not known and cannot become {new}.")
    return row


def lock_row_if_there(database: Database, connection: Connection, key: DatablockKey) -> Any:  # noqa: ANN401
    """As `lock_row`; None where there is no such datablock."""
    database.lock_datasets(connection, [key.pid])
    return connection.execute(_LOCKED, {"of": key.pid, "block": key.id}).first()


def planned_columns(block: Datablock) -> dict[str, object]:
    """Give the columns of a datablock that is planned and has no copy, as the catalogue describes it."""
    return {
        "archive_id": block.archive_id,
        "size": block.size,
        "packed_size": block.packed_size,
        "algorithm": block.algorithm,
        "file_count": block.file_count,
        "state": DatablockState.PLANNED,
        "reason": "",
        "bytes_total": block.packed_size,
        "held_bytes": 0,
    } | consequences(DatablockState.PLANNED)


def set_columns(connection: Connection, key: DatablockKey, values: Mapping[str, object]) -> None:
    """Change columns of a datablock's row."""
    connection.execute(_CHANGED, dict(values) | {"of": key.pid, "block": key.id})


def move(
    log: TransitionLog,
    connection: Connection,
    key: DatablockKey,
    row: Any,  # noqa: ANN401
    new: DatablockState,
    reason: str = "",
    **values: object,
) -> None:
    """Move a locked row to a state, with the state's consequences, and set `values` beside.

    Raises:
        TransitionIllegal: The state must not follow the one that the row has.
    """
    old = DatablockState(row.state)
    subject = _subject(key)
    require_legal(subject, old, new)
    changes: dict[str, object] = {"state": new, "reason": reason}
    held = row.held_bytes if old == new else held_after(row, new)
    if old != new:
        changes |= consequences(new) | {"held_bytes": held}
    set_columns(connection, key, changes | values)
    log.enter(connection, subject, old, new, reason)
    change_space(connection, staged=held - row.held_bytes)


def consequences(new: DatablockState) -> dict[str, object]:
    """The columns of a datablock's row that change when it enters a state."""
    changes: dict[str, object] = {"files_left": new is DatablockState.RELEASED}
    if new in BEFORE_COPIED:
        changes["bytes_done"] = 0
    if new is not DatablockState.STAGED:
        changes |= {
            "integrity": None,
            "matched_by": "",
            "oddities": "",
            "staged_at": None,
            "used_at": None,
            "checked_at": None,
        }
        changes["pinned"] = False
    if new not in {DatablockState.COPIED, DatablockState.STAGED}:
        changes |= {"archive_checksum": None, "unpacked": False}
        # A released datablock keeps its token until its files are gone, so that they are known as its own.
        changes |= {} if new is DatablockState.RELEASED else {"partial": ""}
    return changes


def held_after(row: Any, new: DatablockState) -> int:  # noqa: ANN401
    """Bytes that a datablock's files hold, beside its dataset's claim, once it enters state `new`."""
    if new is DatablockState.STAGED:
        held = row.bytes_total
    elif new is DatablockState.RELEASED:
        held = row.bytes_done if row.state in WRITES else row.held_bytes
    else:
        held = 0
    return int(held)


def lacks_datablocks(pid: ColumnElement[str] | DatasetPid) -> ColumnElement[bool]:
    """The condition that a datablock which SciCat lists for a dataset is not staged."""
    c = datablocks.c
    return exists().where(c.pid == pid, c.listed, c.extract == "", c.state != DatablockState.STAGED)


def is_datablock(key: DatablockKey) -> ColumnElement[bool]:
    """The condition that a row of `datablocks` is this one."""
    return and_(datablocks.c.pid == key.pid, datablocks.c.id == key.id)


def tokens_of(connection: Connection, tokens: Collection[str]) -> set[str]:
    """Give those of the tokens that belong to a datablock: copied, staged, or released with files left."""
    known: set[str] = set()
    for batch in batches(sorted(token for token in tokens if token)):
        known.update(connection.scalars(select(datablocks.c.partial).where(datablocks.c.partial.in_(batch))))
    return known


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
            extract=unpack_extract(row.extract),
        ),
        position=row.position,
        state=DatablockState(row.state),
        bytes_done=row.bytes_done,
        bytes_total=row.bytes_total,
        reason=row.reason,
        integrity=None if row.integrity is None else Integrity(row.integrity),
        matched_by=unpack_matched(row.matched_by),
        oddities=unpack_oddities(row.oddities),
        unpacked=row.unpacked,
        archive_checksum=row.archive_checksum,
        partial=row.partial,
        run=row.run,
        staged_at=row.staged_at,
        used_at=row.used_at,
        checked_at=row.checked_at,
        pinned=row.pinned,
        wanted=row.wanted,
        store=row.store,
    )


def _subject(key: DatablockKey) -> TransitionSubject:
    return TransitionSubject("datablock", pid=key.pid, datablock=key.id)
