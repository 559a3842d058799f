"""Pins as rows, and the mark that they leave on the staged datablocks of their datasets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.ledger.database.schema import datablocks, job_datasets, pins
from scicat_retriever.ledger.database.statements import batches, total
from scicat_retriever.ledger.rows.claims import NOT_ENDED
from scicat_retriever.ledger.rows.needs import is_brought

_OF_THESE = datablocks.c.pid.in_(bindparam("pids", expanding=True))
_MADE = insert(pins)
# Asked by its state, SQLite would go through all that is staged and not pinned.
_MARKED = (
    update(datablocks)
    .where(_OF_THESE, datablocks.c.staged_at.is_not(None), ~datablocks.c.pinned)
    .values(pinned=True)
)
_UNMARKED = (
    update(datablocks)
    .where(_OF_THESE, datablocks.c.pinned, ~exists().where(pins.c.pid == datablocks.c.pid))
    .values(pinned=False)
)


def add_pins(connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
    """Make new pins, each given with all its columns but the number. Their datasets must be locked."""
    for batch in batches(rows):
        connection.execute(_MADE, batch)
        connection.execute(_MARKED, {"pids": [row["pid"] for row in batch]})


def end_pins(connection: Connection, rows: Sequence[Any]) -> None:
    """End pins, given as rows that have their numbers and pids. Their datasets must be locked."""
    for batch in batches(rows):
        connection.execute(delete(pins).where(pins.c.number.in_([row.number for row in batch])))
        connection.execute(_UNMARKED, {"pids": list({row.pid for row in batch})})


def pinned_by_others(connection: Connection, group: str, job_id: JobId) -> int:
    """Bytes of the datasets that a group pins, without those that this job pins or would pin.

    These are its datasets with `DatasetSize.is_wanted`.
    """
    c = job_datasets.c
    there = and_(c.state == DatasetState.RETRIEVED, is_brought())
    mine = exists().where(c.job_id == job_id, c.pid == pins.c.pid, or_(c.state.in_(NOT_ENDED), there))
    return pinned_bytes(connection, pins.c.owner_group == group, ~mine).get(group, 0)


def pinned_bytes(connection: Connection, *conditions: ColumnElement[bool]) -> dict[str, int]:
    """Bytes of the datasets that each owner group pins, each dataset once."""
    c = pins.c
    each = (
        select(c.owner_group, func.max(c.bytes).label("bytes"))
        .where(c.owner_group.is_not(None), *conditions)
        .group_by(c.owner_group, c.pid)
        .subquery()
    )
    sums = select(each.c.owner_group, total(each.c.bytes).label("bytes")).group_by(each.c.owner_group)
    return {row.owner_group: int(row.bytes) for row in connection.execute(sums)}
