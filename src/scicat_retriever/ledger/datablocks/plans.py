"""Taking down what the catalogue lists for a dataset.

The catalogue is read first, outside any transaction, since it may take minutes (`spool`). Then one short
transaction compares and writes everything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.schema import copies, datablocks, file_lists
from scicat_retriever.ledger.database.statements import batches
from scicat_retriever.ledger.database.transitions import TransitionLog, TransitionSubject, require_legal
from scicat_retriever.ledger.datablocks.extracts import kept_extracts
from scicat_retriever.ledger.rows.datablocks import THIS_DATABLOCK, consequences, held_after, planned_columns
from scicat_retriever.ledger.rows.held_space import change_space
from scicat_retriever.ledger.rows.needs import set_wanted
from scicat_retriever.ledger.rows.spool import Spool, Taken

_BATCH_BYTES = 4 * 1024 * 1024
_UNLISTED = "no longer in the catalogue"


def write_plan(log: TransitionLog, connection: Connection, spool: Spool, planned: dict[str, str]) -> int:
    """Compare the catalogue's list of a dataset with the ledger's, and write what is new.

    Args:
        log: The transitions.
        connection: To the ledger; the dataset is locked.
        spool: What the catalogue lists.
        planned: `run` and `store` of what is planned.

    Returns:
        How many extracts are planned beside what the catalogue lists.
    """
    known = _known(connection, spool.pid)
    extracts = kept_extracts(connection, spool.pid, spool.taken)
    taken = spool.taken | extracts
    gone = [row for row in known.values() if row.id not in taken]
    held = _unlist(log, connection, spool.pid, gone)
    held += _write(log, connection, spool, list(taken.values()), known, planned)
    change_space(connection, staged=held)
    set_wanted(connection, spool.pid)
    return len(extracts)


def _unlist(log: TransitionLog, connection: Connection, pid: DatasetPid, rows: Sequence[Any]) -> int:
    """Unlist datablocks that the catalogue no longer lists; gives the change of the held bytes."""
    new = DatablockState.RELEASED
    swept_later = [row for row in rows if row.listed and row.state == DatablockState.STAGED]
    leaving = [row for row in rows if row.listed and row.state != DatablockState.STAGED]
    _update(connection, pid, [{"block": row.id, "listed": False} for row in swept_later])
    values = {"listed": False, "state": new, "reason": _UNLISTED} | consequences(new)
    held = [held_after(row, new) for row in leaving]
    changes = zip(leaving, held, strict=True)
    _update(connection, pid, [values | {"block": row.id, "held_bytes": each} for row, each in changes])
    _enter_each(log, connection, pid, leaving, new, _UNLISTED)
    return sum(held) - sum(int(row.held_bytes) for row in leaving)


def _write(
    log: TransitionLog,
    connection: Connection,
    spool: Spool,
    taken: Sequence[Taken],
    known: Mapping[str, Any],
    planned: dict[str, str],
) -> int:
    """Write what was read: some datablocks are new, some planned anew, the others stay as they are.

    Args:
        log: The transitions.
        connection: To the ledger; the dataset is locked.
        spool: What was read.
        taken: The datablocks of the spool, and the extracts that are kept.
        known: The dataset's rows, by datablock.
        planned: `run` and `store` of what is planned.

    Returns:
        The change of the held bytes: negative where the entry of a staged datablock has changed.
    """
    run = planned["run"]
    new = [entry for entry in taken if entry.datablock.id not in known]
    old = [(entry, known[entry.datablock.id]) for entry in taken if entry.datablock.id in known]
    anew = [(entry, row) for entry, row in old if not _stays(entry, row, run)]
    stay = [entry for entry, row in old if _stays(entry, row, run)]
    changed = [entry for entry, row in anew if entry.fingerprint != row.fingerprint]

    _insert(log, connection, spool.pid, new, planned)
    for pairs in batches(anew):
        values = [
            _planned(entry) | planned | {"block": entry.datablock.id, "bytes_total": _size(entry, row)}
            for entry, row in pairs
        ]
        _update(connection, spool.pid, values)
        rows = [row for _, row in pairs]
        _enter_each(log, connection, spool.pid, rows, DatablockState.PLANNED)
    places = [{"block": e.datablock.id, "position": e.position, "listed": True} for e in stay]
    _update(connection, spool.pid, places)
    _replace_file_lists(connection, spool, changed, new)
    return -sum(int(row.held_bytes) for _, row in anew)


def _insert(
    log: TransitionLog, connection: Connection, pid: DatasetPid, new: Sequence[Taken], planned: dict[str, str]
) -> None:
    for batch in batches(new):
        rows = [_planned(entry) | planned | {"pid": pid, "id": entry.datablock.id} for entry in batch]
        connection.execute(insert(datablocks), rows)
        changes = [
            (TransitionSubject("datablock", pid=pid, datablock=entry.datablock.id), None) for entry in batch
        ]
        log.enter_all(connection, changes, DatablockState.PLANNED)


def _enter_each(
    log: TransitionLog,
    connection: Connection,
    pid: DatasetPid,
    rows: Sequence[Any],
    new: DatablockState,
    reason: str = "",
) -> None:
    changes: list[tuple[TransitionSubject, DatablockState | None]] = []
    for row in rows:
        subject, old = (
            TransitionSubject("datablock", pid=pid, datablock=row.id),
            DatablockState(row.state),
        )
        require_legal(subject, old, new)
        if old != new:
            changes.append((subject, old))
    log.enter_all(connection, changes, new, reason)


def _known(connection: Connection, pid: DatasetPid) -> dict[str, Any]:
    c = datablocks.c
    rows = select(c.id, c.listed, c.fingerprint, c.state, c.run, c.bytes_done, c.bytes_total, c.held_bytes)
    return {row.id: row for row in connection.execute(rows.where(c.pid == pid).with_for_update())}


def _stays(entry: Taken, row: Any, run: str) -> bool:  # noqa: ANN401
    unchanged = bool(entry.fingerprint == row.fingerprint)
    return unchanged and (row.state == DatablockState.STAGED or (row.listed and row.run == run))


def _planned(entry: Taken) -> dict[str, object]:
    its: dict[str, object] = {
        "position": entry.position,
        "listed": True,
        "fingerprint": entry.fingerprint,
        "wanted": True,
    }
    return its | planned_columns(entry.datablock)


def _size(entry: Taken, row: Any) -> int:  # noqa: ANN401
    """Bytes of an archive, as far as is known.

    That is what SciCat says; or more, where the archive was seen to be larger, and its entry has not changed.
    """
    declared = entry.datablock.packed_size
    return max(declared, int(row.bytes_total)) if entry.fingerprint == row.fingerprint else declared


def _update(connection: Connection, pid: DatasetPid, changes: Sequence[dict[str, object]]) -> None:
    """Change rows of a dataset; each change names its row as `block`, and all name the same columns."""
    if changes:
        statement = update(datablocks).where(THIS_DATABLOCK)
        connection.execute(statement, [change | {"of": pid} for change in changes])


def _replace_file_lists(
    connection: Connection, spool: Spool, changed: Sequence[Taken], new: Sequence[Taken]
) -> None:
    if changed:
        its = (file_lists.c.pid == bindparam("of"), file_lists.c.datablock == bindparam("block"))
        keys = [{"of": spool.pid, "block": entry.datablock.id} for entry in changed]
        connection.execute(delete(file_lists).where(*its), keys)
        # What was copied belongs to the old entry: it says nothing of where the members of the new one lie.
        copy = (copies.c.pid == bindparam("of"), copies.c.datablock == bindparam("block"))
        connection.execute(delete(copies).where(*copy), keys)
    rows: list[dict[str, object]] = []
    waiting = 0
    for entry in (*changed, *new):
        for number, chunk in enumerate(spool.chunks(entry)):
            rows.append(
                {"pid": spool.pid, "datablock": entry.datablock.id, "chunk": number, "entries": chunk}
            )
            waiting += len(chunk)
            if waiting > _BATCH_BYTES:
                connection.execute(insert(file_lists), rows)
                rows, waiting = [], 0
    if rows:
        connection.execute(insert(file_lists), rows)
