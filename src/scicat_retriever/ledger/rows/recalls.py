"""Open recalls as rows: read, change, write back. Whoever writes must have locked their datasets."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, and_, bindparam, delete, insert, select, tuple_, update

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.states import DatablockState, RecallPhase
from scicat_retriever.ledger.database.schema import datablocks, recalls
from scicat_retriever.ledger.database.statements import batches
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.ports.recalls import RecallChange, RecallRecord

WAITS_FOR_TAPE = (DatablockState.RECALLING, DatablockState.WAITING_FOR_SPACE)
"""The states in which a datablock's reason is that of its recall."""
IS_WANTED = and_(
    datablocks.c.state.in_((*WAITS_FOR_TAPE, DatablockState.COPYING)),
    datablocks.c.run == recalls.c.run,
    datablocks.c.store == recalls.c.store,
    datablocks.c.archive_id == recalls.c.archive_id,
)
"""The condition that a run still wants an open recall."""
OPEN = select(recalls, IS_WANTED.label("is_wanted")).join_from(
    recalls, datablocks, and_(datablocks.c.pid == recalls.c.pid, datablocks.c.id == recalls.c.datablock)
)
"""Rows for `recall_record`."""
_KEY = tuple_(recalls.c.pid, recalls.c.datablock)
_INSERTED = insert(recalls)
_CHANGED = update(recalls).where(recalls.c.pid == bindparam("of"), recalls.c.datablock == bindparam("block"))
_PHASES = {phase.value: phase for phase in RecallPhase}


def recalls_by_key(
    connection: Connection, keys: Collection[DatablockKey]
) -> dict[DatablockKey, RecallRecord]:
    """Give those recalls of datablocks that are open."""
    found = (
        recall_record(row)
        for batch in batches(keys)
        for row in connection.execute(OPEN.where(_KEY.in_(names(batch))))
    )
    return {record.key: record for record in found}


def replace_recalls(connection: Connection, records: Sequence[RecallRecord]) -> None:
    """Write recalls, each in place of the open recall of the same datablock."""
    delete_recalls(connection, [record.key for record in records])
    for batch in batches(records):
        connection.execute(_INSERTED, [_values(record) for record in batch])


def change_rows(connection: Connection, changes: Iterable[tuple[RecallRecord, RecallRecord]]) -> None:
    """Write changed recalls, each given as it was and as it is now.

    Recalls of which the same columns changed are written by one statement.
    """
    by_columns: defaultdict[tuple[str, ...], list[dict[str, object]]] = defaultdict(list)
    for old, new in changes:
        before = _values(old)
        news = {name: value for name, value in _values(new).items() if value != before[name]}
        if news:
            by_columns[tuple(news)].append(news | {"of": new.key.pid, "block": new.key.id})
    for rows in by_columns.values():
        connection.execute(_CHANGED, rows)


def delete_recalls(connection: Connection, keys: Iterable[DatablockKey]) -> None:
    """Delete the open recalls of datablocks."""
    for batch in batches(keys):
        connection.execute(delete(recalls).where(_KEY.in_(names(batch))))


def names(keys: Iterable[DatablockKey]) -> list[tuple[str, str]]:
    """Give keys as pairs of pid and datablock, for a condition on these columns."""
    return [(key.pid, key.id) for key in keys]


def begun_again(record: RecallRecord) -> RecallRecord:
    """Give a recall as one for which the store was not asked yet."""
    return replace(
        record, phase=RecallPhase.WAITING, request="", asked_at=None, online_at=None, expected_at=None
    )


def concerns(change: RecallChange, record: RecallRecord) -> bool:
    """Say whether a change applies to this recall: its run and store match, and it is not late."""
    late = change.phase is RecallPhase.ASKED and record.phase in {RecallPhase.ONLINE, RecallPhase.ENDED}
    return change.run in {None, record.run} and change.store in {None, record.store} and not late


def changed(record: RecallRecord, change: RecallChange, now: datetime) -> RecallRecord:
    """Give a recall with a change applied, by the rules of `RecallChange`."""
    if change.phase is RecallPhase.WAITING:
        record = begun_again(record)
    phase = change.phase or record.phase
    asked_at = record.asked_at or (now if change.phase is RecallPhase.ASKED else None)
    missing_since = record.missing_since
    if change.is_missing is not None:
        missing_since = (missing_since or now) if change.is_missing else None
    return replace(
        record,
        phase=phase,
        asked_at=asked_at,
        first_asked_at=record.first_asked_at or asked_at,
        online_at=record.online_at or (now if change.phase is RecallPhase.ONLINE else None),
        request=record.request if change.request is None else change.request,
        tape=record.tape if change.tape is None else change.tape,
        expected_at=record.expected_at or change.expected_at,
        missing_since=missing_since,
        reason=record.reason if change.reason is None else change.reason,
    )


def recall_records(rows: Iterable[Any]) -> list[RecallRecord]:
    """Give rows of `OPEN` as records."""
    return [recall_record(row) for row in rows]


def recall_record(row: Any) -> RecallRecord:  # noqa: ANN401
    """Give a row of `OPEN` as a record."""
    # Taken apart by order: by name, reading ten thousand of them takes half as long again.
    pid, datablock, store, archive_id, position, size, run, group, priority, wanted_at, phase, *rest = row
    tape, tape_position, request, asked_at, first_asked_at, online_at, expected_at, *rest = rest
    missing_since, reason, is_wanted = rest
    return RecallRecord(
        key=DatablockKey(pid, datablock),
        store=store,
        archive_id=archive_id,
        position=position,
        bytes=size,
        run=run,
        group=group,
        priority=priority,
        wanted_at=wanted_at,
        phase=_PHASES[phase],
        tape=None if tape is None else TapePosition(tape, tape_position),
        request=request,
        asked_at=asked_at,
        online_at=online_at,
        expected_at=expected_at,
        missing_since=missing_since,
        reason=reason,
        is_wanted=is_wanted,
        first_asked_at=first_asked_at,
    )


def _values(record: RecallRecord) -> dict[str, object]:
    tape = record.tape
    return {
        "pid": record.key.pid,
        "datablock": record.key.id,
        "store": record.store,
        "archive_id": record.archive_id,
        "place": record.position,
        "bytes": record.bytes,
        "run": record.run,
        "owner_group": record.group,
        "priority": record.priority,
        "wanted_at": record.wanted_at,
        "phase": record.phase,
        "tape": None if tape is None else tape.tape,
        "position": 0 if tape is None else tape.position,
        "request": record.request,
        "asked_at": record.asked_at,
        "first_asked_at": record.first_asked_at,
        "online_at": record.online_at,
        "expected_at": record.expected_at,
        "missing_since": record.missing_since,
        "reason": record.reason,
    }
