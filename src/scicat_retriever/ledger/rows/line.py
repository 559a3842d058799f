"""The line of jobs that wait for space, as rows: who is before whom, and how much went ahead of each.

The line has a table of its own, since a job that gets its space writes into the rows of the jobs before it
that it went ahead. Rows of `jobs` could not be written then: they are locked before the space is, never after
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, and_, bindparam, delete, func, insert, select, update

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ledger.database.schema import space_queue
from scicat_retriever.ports.claims import PlaceInLine
from scicat_retriever.ports.staging_area import Room

LARGEST_WISH = 2**62
"""The most bytes that a job may need, as a column holds them: a sum with `overtaken` stays within 64 bits."""

# In these words, SQLite looks for those that wait in the index, beside those that have their space.
WAITS = space_queue.c.needed >= 0
"""The condition that a row of `space_queue` is that of a job that waits."""

_MOMENT = timedelta(microseconds=1)
_OWN = select(space_queue.c.wanted_at).where(space_queue.c.job_id == bindparam("job"))
_LATEST = select(func.max(space_queue.c.wanted_at))
_THIS_PLACE = space_queue.c.job_id == bindparam("job")


@dataclass(frozen=True, slots=True)
class Before:
    """Those that wait before all jobs of the line.

    Attributes:
        count: How many they are.
        most: The sum of the bytes that they need, that they hold, and that went ahead of them; None where
            there are none.
    """

    count: int
    most: int | None


def ask(
    connection: Connection,
    job_id: JobId,
    needed: int,
    free: int,
    room: Room,
    now: datetime,
    silence: timedelta,
    first: Before,
) -> PlaceInLine:
    """Have a job ask for its space: the job gets it, or a place in the line. The space must be locked.

    Args:
        connection: To the ledger.
        job_id: A job that does not have its space.
        needed: Bytes that it lacks.
        free: Bytes that are free in the room.
        room: What the staging area offers.
        now: The moment.
        silence: As of `Claims.for_job`.
        first: Those that come before all of the line.
    """
    place = connection.scalar(_OWN, {"job": job_id})
    before = WAITS if place is None else and_(WAITS, space_queue.c.wanted_at < place)
    # A row asked at a time that is far ahead was written by a clock that has gone back since.
    heard = space_queue.c.asked_at.between(now - silence, now + silence)
    count, most = connection.execute(
        select(func.count(), func.max(space_queue.c.overtaken + space_queue.c.needed)).where(before, heard)
    ).one()
    missing = max(0, needed - free)
    leaves_room = all(each is None or each + needed <= room.total for each in (most, first.most))
    if needed == 0 or (missing == 0 and leaves_room):
        if needed:
            connection.execute(
                update(space_queue).where(before).values(overtaken=space_queue.c.overtaken + needed)
            )
        if place is not None:
            connection.execute(update(space_queue).where(_THIS_PLACE).values(needed=None), {"job": job_id})
        return PlaceInLine(0, 0, needed)
    asked = {"needed": min(needed, LARGEST_WISH), "asked_at": now}
    if place is None:
        connection.execute(insert(space_queue).values(_place(job_id, _last(connection, now)) | asked))
    else:
        connection.execute(update(space_queue).where(space_queue.c.job_id == job_id).values(asked))
    return PlaceInLine(missing, first.count + count + 1, needed)


def stand_again(connection: Connection, job_id: JobId, since: datetime) -> None:
    """Have a job that gave its space back wait in the line.

    Its place is the one that it had; where it never had one, that of the moment `since` when it got its
    space.
    """
    if connection.scalar(_OWN, {"job": job_id}) is None:
        connection.execute(insert(space_queue).values(_place(job_id, since)))
    # What the job needs is known when it asks; until then it is passed over.
    connection.execute(
        update(space_queue).where(_THIS_PLACE).values(needed=0, asked_at=None), {"job": job_id}
    )


def stands_in_line(connection: Connection, job_id: JobId) -> bool:
    """Say whether a job waits in the line."""
    return connection.scalar(_OWN.where(WAITS), {"job": job_id}) is not None


def leave_line(connection: Connection, job_id: JobId) -> None:
    """Have a job lose its place in the line."""
    connection.execute(delete(space_queue).where(_THIS_PLACE), {"job": job_id})


def _last(connection: Connection, now: datetime) -> datetime:
    """A time after that of every job in the line, whatever the clock says."""
    latest = connection.scalar(_LATEST)
    return now if latest is None else max(now, latest + _MOMENT)


def _place(job_id: JobId, since: datetime) -> dict[str, object]:
    return {"job_id": job_id, "wanted_at": since, "needed": None, "overtaken": 0, "asked_at": None}
