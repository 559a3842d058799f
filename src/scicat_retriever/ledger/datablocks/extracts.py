"""Extracts as rows of `datablocks`: jobs that chose files add them, and plans keep them.

SciCat does not list them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, delete, exists, insert, or_, select, update

from scicat_retriever.domain.dataset import CataloguedDatablock, Extract
from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.packing import Fingerprint, pack_extract, unpack_extract
from scicat_retriever.ledger.database.schema import (
    chosen_datablocks,
    copies,
    datablocks,
    file_lists,
    job_datasets,
)
from scicat_retriever.ledger.database.transitions import TransitionLog, TransitionSubject
from scicat_retriever.ledger.rows.claims import NOT_ENDED
from scicat_retriever.ledger.rows.datablocks import (
    NOT_READ_ANEW,
    datablock_record,
    is_datablock,
    move,
    planned_columns,
)
from scicat_retriever.ledger.rows.spool import Taken

_WITH_COPY = (DatablockState.COPIED, DatablockState.STAGED)
_PLANNED_BY_NONE = 2**31 - 1
"""The position of an extract that no run has planned yet: after all others."""


def make_whole(
    log: TransitionLog,
    connection: Connection,
    key: DatablockKey,
    row: Any,  # noqa: ANN401
    reason: str,
) -> None:
    """Have an extract be replaced by its whole archive, and forget where members lie in the archive.

    Raises:
        TransitionIllegal: The datablock is no extract, or is not on its way.
    """
    new = DatablockState.PLANNED
    extract = unpack_extract(row.extract)
    of = DatablockKey(key.pid, key.id if extract is None else extract.of)
    whole = connection.execute(select(datablocks).where(is_datablock(of))).first()
    if extract is None or whole is None or row.state in NOT_READ_ANEW:
        raise TransitionIllegal(f"Datablock {key.id} of {key.pid} is no extract that is on its way.")
    if not extract.ranges:
        return
    values = {
        "size": whole.size,
        "packed_size": whole.packed_size,
        "file_count": whole.file_count,
        "bytes_done": 0,
        "bytes_total": whole.packed_size,
        "extract": pack_extract(Extract(of.id, extract.archive_size, ())),
    }
    move(log, connection, key, row, new, reason, **values)
    _copy_file_list(connection, of, key)
    if whole.state not in _WITH_COPY:
        connection.execute(delete(copies).where(*_copy_of(of)))


def note_extracts(
    log: TransitionLog, connection: Connection, pid: DatasetPid, extracts: Sequence[CataloguedDatablock]
) -> None:
    """Add extracts to a dataset's rows, as listed; the next plan gives new ones to its run."""
    for entry in extracts:
        key = DatablockKey(pid, entry.datablock.id)
        row = connection.execute(select(datablocks).where(is_datablock(key))).first()
        values = {"listed": True, "fingerprint": _fingerprint_of_whole(connection, entry)}
        if row is None:
            _insert_extract(log, connection, entry, values)
            continue
        if not row.listed and row.state != DatablockState.STAGED:
            values |= {"run": "", "wanted": False, "position": _PLANNED_BY_NONE}
        connection.execute(update(datablocks).where(is_datablock(key)).values(values))


def _insert_extract(
    log: TransitionLog, connection: Connection, entry: CataloguedDatablock, values: Mapping[str, object]
) -> None:
    block = entry.datablock
    row = {
        "pid": block.pid,
        "id": block.id,
        "position": _PLANNED_BY_NONE,
        "extract": pack_extract(block.extract),
        "run": "",
        "store": "",
        "wanted": False,
    }
    connection.execute(insert(datablocks).values(row | planned_columns(block) | dict(values)))
    its = {"pid": block.pid, "datablock": block.id}
    for chunk, packed in enumerate(Fingerprint(entry).chunks()):
        connection.execute(insert(file_lists).values(its | {"chunk": chunk, "entries": packed}))
    subject = TransitionSubject("datablock", pid=block.pid, datablock=block.id)
    log.enter(connection, subject, None, DatablockState.PLANNED)


def kept_extracts(
    connection: Connection, pid: DatasetPid, listed: Mapping[DatablockId, Taken]
) -> dict[DatablockId, Taken]:
    """Give the extracts of a dataset that a plan keeps.

    An extract is kept if it is staged, or chosen by a job for which the dataset has not ended; and if SciCat
    lists the whole datablock unchanged.

    Args:
        connection: To the ledger; the dataset is locked.
        pid: The dataset.
        listed: The datablocks that SciCat lists. The positions of extracts follow on theirs.
    """
    wanted = exists().where(
        chosen_datablocks.c.pid == datablocks.c.pid,
        chosen_datablocks.c.datablock == datablocks.c.id,
        job_datasets.c.job_id == chosen_datablocks.c.job_id,
        job_datasets.c.pid == chosen_datablocks.c.pid,
        job_datasets.c.state.in_(NOT_ENDED),
    )
    its = and_(datablocks.c.pid == pid, datablocks.c.extract != "", datablocks.c.listed)
    kept: dict[DatablockId, Taken] = {}
    rows = select(datablocks).where(its, or_(datablocks.c.state == DatablockState.STAGED, wanted))
    for row in connection.execute(rows.order_by(datablocks.c.position, datablocks.c.id)):
        if _is_of(row, listed):
            block, place = datablock_record(row).datablock, len(listed) + len(kept)
            kept[block.id] = Taken(block, place, row.fingerprint, 0, ())
    return kept


def _is_of(row: Any, listed: Mapping[DatablockId, Taken]) -> bool:  # noqa: ANN401
    extract = unpack_extract(row.extract)
    whole = None if extract is None else listed.get(extract.of)
    return whole is not None and whole.fingerprint == row.fingerprint


def _fingerprint_of_whole(connection: Connection, entry: CataloguedDatablock) -> str:
    block = entry.datablock
    if block.extract is None:
        raise TransitionIllegal(f"Datablock {block.id} of {block.pid} is no extract.")
    whole = DatablockKey(block.pid, block.extract.of)
    return connection.scalar(select(datablocks.c.fingerprint).where(is_datablock(whole))) or ""


def _copy_of(key: DatablockKey) -> tuple[Any, ...]:
    return (copies.c.pid == key.pid, copies.c.datablock == key.id)


def _copy_file_list(connection: Connection, of: DatablockKey, to: DatablockKey) -> None:
    c = file_lists.c
    connection.execute(delete(file_lists).where(c.pid == to.pid, c.datablock == to.id))
    chunks = select(c.chunk, c.entries).where(c.pid == of.pid, c.datablock == of.id).order_by(c.chunk)
    for row in connection.execute(chunks).all():
        chunk = {"pid": to.pid, "datablock": to.id, "chunk": row.chunk, "entries": row.entries}
        connection.execute(insert(file_lists).values(chunk))
