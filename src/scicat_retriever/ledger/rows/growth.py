"""Claims that wait to grow, as rows: who they are, what their jobs hold meanwhile, and who has to give back.

Who waits while it holds something may be waited for by another one that does: so no more of them may hold what they have than
leave the first of them its space. The first is the one of the job that came first, whatever the clock says.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, func, or_, select, update

from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.schema import claims, datablocks, job_datasets, jobs, pins, space_queue
from scicat_retriever.ledger.database.statements import total
from scicat_retriever.ledger.rows.claims import set_claim, waits_for, written
from scicat_retriever.ledger.rows.line import LARGEST_WISH, WAITS, Before
from scicat_retriever.ports.staging_area import Room

_GROWS = claims.c.more >= 0
_RANK = (
    select(func.min(jobs.c.number))
    .select_from(job_datasets, jobs)
    .where(waits_for(claims.c.pid))
    .scalar_subquery()
)
_GROWING = select(
    claims.c.pid, claims.c.more, claims.c.overtaken, claims.c.asked_at, _RANK.label("rank")
).where(_GROWS)
_THIS = claims.c.pid == bindparam("of")

# What the jobs hold that wait for some datasets: all that they pin, and those datasets themselves.
_THESE: BindParameter[Any] = bindparam("pids", expanding=True)
_WAITING = (
    select(job_datasets.c.job_id)
    .select_from(job_datasets, jobs, claims)
    .where(waits_for(claims.c.pid), claims.c.pid.in_(_THESE))
)
_PINNED = select(pins.c.pid).where(pins.c.by_job, pins.c.owner.in_(_WAITING))
_CLAIMED = select(total(claims.c.bytes)).where(or_(claims.c.pid.in_(_PINNED), claims.c.pid.in_(_THESE)))
_STAGED = select(total(datablocks.c.held_bytes)).where(
    datablocks.c.state == DatablockState.STAGED,
    or_(datablocks.c.pid.in_(_PINNED), datablocks.c.pid.in_(_THESE)),
)


@dataclass(frozen=True, slots=True)
class Grower:
    """A claim that waits to grow.

    Attributes:
        pid: The dataset.
        more: Bytes that it waits for.
        overtaken: Bytes of those that went ahead of it since.
    """

    pid: DatasetPid
    more: int
    overtaken: int


def growers(connection: Connection, now: datetime, silence: timedelta) -> Sequence[Grower]:
    """Give the claims that wait to grow, by when the first job came that waits for each; those passed over that do not ask."""
    rows = [
        row
        for row in connection.execute(_GROWING)
        if row.rank is not None and abs(now - row.asked_at) <= silence
    ]
    return [
        Grower(DatasetPid(row.pid), row.more, row.overtaken)
        for row in sorted(rows, key=lambda row: (row.rank, row.pid))
    ]


def capacity(connection: Connection, space: Any, room: Room) -> int:  # noqa: ANN401
    """Bytes that staging can hold in all, others who fill the same file system taken into account."""
    if room.free is None:
        return room.total
    return min(room.total, int(space.staged) + written(connection) + room.free)


def held_for(connection: Connection, pids: Collection[str]) -> int:
    """Bytes that are claimed and staged for the jobs that wait for any of these datasets, which have claims."""
    these = {"pids": list(pids)}
    return sum(int(connection.scalar(each, these) or 0) for each in (_CLAIMED, _STAGED))


def before_all(
    connection: Connection,
    space: Any,  # noqa: ANN401
    room: Room,
    now: datetime,
    silence: timedelta,
) -> Before:
    """Say what those need and hold together that wait to grow: they are before all jobs in the line."""
    growing = growers(connection, now, silence)
    if not growing:
        return Before(0, None)
    needed = sum(each.more for each in growing) + max(each.overtaken for each in growing)
    held = held_for(connection, [each.pid for each in growing])
    beyond = room.total - capacity(connection, space, room)
    return Before(len(growing), needed + held + beyond)


def wait_to_grow(
    connection: Connection, pid: DatasetPid, present: int | None, more: int, now: datetime
) -> None:
    """Note that a claim waits for more. The space must be locked."""
    set_claim(connection, pid, present, present or 0)
    values = {"more": min(more, LARGEST_WISH), "asked_at": now}
    connection.execute(update(claims).where(_THIS).values(values), {"of": pid})


def stop_waiting(connection: Connection, pid: DatasetPid) -> None:
    """Have a claim wait for nothing more."""
    values = {"more": None, "asked_at": None, "overtaken": 0}
    connection.execute(update(claims).where(_THIS, _GROWS).values(values), {"of": pid})


def note_grown(connection: Connection, by: int) -> None:
    """Note with all that wait, in the line and to grow, that so many bytes went ahead of them."""
    note_went_ahead(connection, by)
    connection.execute(update(space_queue).where(WAITS).values(overtaken=space_queue.c.overtaken + by))


def note_went_ahead(connection: Connection, by: int) -> None:
    """Note with those that wait to grow that so many bytes went ahead of them."""
    connection.execute(update(claims).where(_GROWS).values(overtaken=claims.c.overtaken + by))


def must_give_back(
    connection: Connection,
    pid: DatasetPid,
    more: int,
    whole: int,
    now: datetime,
    silence: timedelta,
) -> bool:
    """Say whether waiting for more would be waiting for ever, or keep one waiting that is before this one.

    It is where what the dataset's jobs hold leaves too little, whatever the others do; and where what all hold that wait
    to grow leaves too little for the first of them. The first never has to give back for another one: so it gets its
    space once all that does not wait is gone.

    Args:
        connection: To the ledger; the space is locked.
        pid: The dataset, which was noted to wait.
        more: Bytes that it waits for.
        whole: Bytes that staging can hold in all.
        now: The moment.
        silence: As of `Claims.for_job`.
    """
    growing = growers(connection, now, silence)
    if pid not in [each.pid for each in growing]:
        return False  # nobody waits for it any more: its run is about to end
    if held_for(connection, [pid]) + more > whole:
        return True
    first = growing[0]
    return first.pid != pid and first.more > whole - held_for(connection, [each.pid for each in growing])
