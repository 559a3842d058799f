"""Claims that wait to grow, as rows: who they are, what their jobs hold meanwhile, and who has to give back.

Claims that wait while their jobs hold space could wait for one another for ever. So the jobs of all waiting
claims may hold no more together than leaves the first claim its space. The first claim is that of the job
that came first, by its number and not by the clock.
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

# What jobs hold that wait for these datasets: everything that they pin, and the datasets themselves.
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
        overtaken: Bytes that went ahead of it since it waits.
    """

    pid: DatasetPid
    more: int
    overtaken: int


def growers(connection: Connection, now: datetime, silence: timedelta) -> Sequence[Grower]:
    """Give the claims that wait to grow, in the order in which the first job of each came.

    A claim that has not asked for longer than `silence`, or that no job waits for, is left out.
    """
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
    """Bytes that staging can hold in all, less what others have filled of the same file system."""
    if room.free is None:
        return room.total
    return min(room.total, int(space.staged) + written(connection) + room.free)


def held_for(connection: Connection, pids: Collection[str]) -> int:
    """Bytes that are claimed and staged for the jobs that wait for any of these datasets.

    Of these datasets, only those that have a claim count.
    """
    these = {"pids": list(pids)}
    return sum(int(connection.scalar(each, these) or 0) for each in (_CLAIMED, _STAGED))


def before_all(
    connection: Connection,
    space: Any,  # noqa: ANN401
    room: Room,
    now: datetime,
    silence: timedelta,
) -> Before:
    """Sum up the claims that wait to grow, which are before all jobs in the line.

    The sum is of what they need, what their jobs hold, and the most that went ahead of one of them; and of
    the room that others have filled.
    """
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
    """Note that a claim waits for `more` bytes. The space must be locked."""
    set_claim(connection, pid, present, present or 0)
    values = {"more": min(more, LARGEST_WISH), "asked_at": now}
    connection.execute(update(claims).where(_THIS).values(values), {"of": pid})


def stop_waiting(connection: Connection, pid: DatasetPid) -> None:
    """Note that a claim does not wait any more."""
    values = {"more": None, "asked_at": None, "overtaken": 0}
    connection.execute(update(claims).where(_THIS, _GROWS).values(values), {"of": pid})


def note_grown(connection: Connection, by: int) -> None:
    """Add bytes that went ahead to `overtaken` of all that wait: jobs in the line, and claims that grow."""
    note_went_ahead(connection, by)
    connection.execute(update(space_queue).where(WAITS).values(overtaken=space_queue.c.overtaken + by))


def note_went_ahead(connection: Connection, by: int) -> None:
    """Add bytes that went ahead to `overtaken` of the claims that wait to grow."""
    connection.execute(update(claims).where(_GROWS).values(overtaken=claims.c.overtaken + by))


def must_give_back(
    connection: Connection,
    pid: DatasetPid,
    more: int,
    whole: int,
    now: datetime,
    silence: timedelta,
) -> bool:
    """Say whether a dataset's jobs must give their space back, since its claim must not wait for more.

    That is so in two cases. What the dataset's jobs hold and `more` together are larger than `whole`: it
    would wait for ever. Or another claim is the first of those that wait, and what the jobs of all waiting
    claims hold leaves it too little: it would wait for ever. The first claim never gives back for another
    one, so it gets its space once everything that does not wait is gone.

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
