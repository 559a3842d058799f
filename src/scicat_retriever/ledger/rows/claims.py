"""Claims of staging space as rows, and the space that is free beside them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.ledger.database.schema import claims, datablocks, job_datasets, jobs
from scicat_retriever.ledger.rows.datablocks import WRITES
from scicat_retriever.ledger.rows.held_space import change_space
from scicat_retriever.ledger.rows.jobs import FINISHED
from scicat_retriever.ports.staging_area import Room

NOT_ENDED = (DatasetState.SUBMITTED, DatasetState.STARTED)
"""The states in which a job still wants a dataset to be retrieved."""


_OF_PID = claims.c.pid == bindparam("of")
_PRESENT = select(claims.c.bytes).where(_OF_PID)
_SET = update(claims).where(_OF_PID).values(bytes=bindparam("size"))


def claim_of(connection: Connection, pid: DatasetPid) -> int | None:
    """Bytes that a dataset has claimed; None where it has no claim. The space must be locked."""
    return connection.scalar(_PRESENT, {"of": pid})


def lower_claim(connection: Connection, pid: DatasetPid, by: int) -> None:
    """Lower a dataset's claim, if it has one, by so many bytes, not below 0. The space must be locked."""
    present = claim_of(connection, pid)
    if present and by:
        set_claim(connection, pid, present, max(0, present - by))


def set_claim(connection: Connection, pid: DatasetPid, present: int | None, size: int | None) -> None:
    """Set a dataset's claim from `present` to `size` bytes; None is no claim. The space must be locked."""
    if size == present:
        return
    if size is None:
        connection.execute(delete(claims).where(_OF_PID), {"of": pid})
    elif present is None:
        connection.execute(insert(claims), [{"pid": pid, "bytes": size}])
    else:
        connection.execute(_SET, {"of": pid, "size": size})
    change_space(connection, claimed=(size or 0) - (present or 0))


_DONE = (
    select(datablocks.c.pid, func.sum(datablocks.c.bytes_done).label("bytes"))
    .where(datablocks.c.state.in_(WRITES))
    .group_by(datablocks.c.pid)
    .subquery()
)
# Asked of each that writes, so that it does not matter how many have claims and do not write yet.
_ITS_CLAIM = func.coalesce(select(claims.c.bytes).where(claims.c.pid == _DONE.c.pid).scalar_subquery(), 0)
# What a dataset wrote beyond its own claim gives nobody else space.
_WRITTEN = select(func.sum(case((_DONE.c.bytes < _ITS_CLAIM, _DONE.c.bytes), else_=_ITS_CLAIM)))


def written(connection: Connection) -> int:
    """Bytes of the claims that are written already."""
    return int(connection.scalar(_WRITTEN) or 0)


def unwritten(connection: Connection, space: Any) -> int:  # noqa: ANN401
    """Bytes of the claims that are still to be written, by the row of `space`."""
    return int(space.claimed) - written(connection)


def free_bytes(connection: Connection, space: Any, room: Room) -> int:  # noqa: ANN401
    """The free bytes of the room, as `ports.claims.Claims` defines them.

    Negative where more is claimed than there is.

    Args:
        connection: To the ledger.
        space: The locked row of `space`.
        room: What the staging area offers.
    """
    free = int(room.total - space.staged - space.claimed)
    if room.free is None:
        return free
    # The room was measured before the space was locked: bytes written since then are not free any more.
    return min(free, room.free - max(unwritten(connection, space), room.unwritten))


def asks_for(pid: ColumnElement[str] | DatasetPid) -> ColumnElement[bool]:
    """The condition that a row of `job_datasets`, with its job, asks for a dataset: see `Claims.end`."""
    wanted = and_(job_datasets.c.state == DatasetState.SUBMITTED, jobs.c.space_granted_at.is_not(None))
    return and_(
        job_datasets.c.pid == pid,
        jobs.c.id == job_datasets.c.job_id,
        jobs.c.state.not_in(FINISHED),
        or_(job_datasets.c.state == DatasetState.STARTED, wanted),
    )


def waits_for(pid: ColumnElement[str] | DatasetPid) -> ColumnElement[bool]:
    """The condition that a row of `job_datasets`, with its job, waits for the outcome of a dataset's run."""
    return and_(
        job_datasets.c.pid == pid,
        jobs.c.id == job_datasets.c.job_id,
        jobs.c.state.not_in(FINISHED),
        job_datasets.c.state == DatasetState.STARTED,
    )


def is_written(pid: ColumnElement[str] | DatasetPid) -> ColumnElement[bool]:
    """The condition that a datablock of a dataset is copied or being copied."""
    return exists().where(datablocks.c.pid == pid, datablocks.c.state.in_(WRITES))


def is_idle() -> ColumnElement[bool]:
    """The condition that no job asks for the dataset of a claim any more, and none of it is being written."""
    return and_(~exists().where(asks_for(claims.c.pid)), ~is_written(claims.c.pid))
