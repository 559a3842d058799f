"""Claims of staging space as rows, and what is free beside them."""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, and_, case, exists, func, insert, select, update

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.ledger.datablock_rows import WRITES
from scicat_retriever.ledger.jobs import FINISHED
from scicat_retriever.ledger.schema import claims, datablocks, job_datasets, jobs
from scicat_retriever.ports.staging_area import Room

NOT_ENDED = (DatasetState.SUBMITTED, DatasetState.STARTED)
"""The states in which a job still wants a dataset to be retrieved."""


def lower_claim(connection: Connection, pid: DatasetPid, by: int) -> None:
    """Have a dataset's claim, where there is one, be so many bytes less, and 0 at least."""
    left = claims.c.bytes - by
    lowered = update(claims).where(claims.c.pid == pid).values(bytes=case((left > 0, left), else_=0))
    connection.execute(lowered)


def set_claim(connection: Connection, pid: DatasetPid, size: int) -> None:
    """Make a dataset's claim, or change it. The space must be locked."""
    if not connection.execute(update(claims).where(claims.c.pid == pid).values(bytes=size)).rowcount:
        connection.execute(insert(claims).values(pid=pid, bytes=size))


_DONE = (
    select(datablocks.c.pid, func.sum(datablocks.c.bytes_done).label("bytes"))
    .where(datablocks.c.state.in_(WRITES))
    .group_by(datablocks.c.pid)
    .subquery()
)
# What a dataset wrote beyond its own claim gives nobody else space.
_WITHIN_CLAIM = case((_DONE.c.bytes < claims.c.bytes, _DONE.c.bytes), else_=claims.c.bytes)
_WRITTEN = select(func.sum(_WITHIN_CLAIM)).join_from(claims, _DONE, _DONE.c.pid == claims.c.pid)
_CLAIMED = select(
    select(func.sum(claims.c.bytes)).scalar_subquery().label("bytes"),
    _WRITTEN.scalar_subquery().label("written"),
)


def claimed_and_written(connection: Connection) -> tuple[int, int]:
    """Sum of all claims, and how much of them is written."""
    row = connection.execute(_CLAIMED).one()
    return int(row.bytes or 0), int(row.written or 0)


def free_bytes(connection: Connection, held: int, room: Room) -> int:
    """What is free in the room, as `SpaceLedger` says; less than 0 where more is claimed than there is."""
    claimed, written = claimed_and_written(connection)
    free = room.total - held - claimed
    return free if room.free is None else min(free, room.free - (claimed - written))


def asks_for(pid: ColumnElement[str] | DatasetPid) -> ColumnElement[bool]:
    """The condition that a row of `job_datasets`, joined with `jobs`, asks for a dataset and has its job's space."""
    return and_(
        job_datasets.c.pid == pid,
        job_datasets.c.state.in_(NOT_ENDED),
        jobs.c.id == job_datasets.c.job_id,
        jobs.c.space_granted_at.is_not(None),
        jobs.c.state.not_in(FINISHED),
    )


def is_idle() -> ColumnElement[bool]:
    """The condition that a claim is nobody's any more."""
    its_file = exists().where(datablocks.c.pid == claims.c.pid, datablocks.c.state.in_(WRITES))
    return and_(~exists().where(asks_for(claims.c.pid)), ~its_file)
