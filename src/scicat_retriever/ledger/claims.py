"""The part of the SQL ledger that shares staging space out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ledger.claim_rows import asks_for, free_bytes, is_idle, set_claim
from scicat_retriever.ledger.dataset_sizes import DatasetSize, planned_and_staged, sizes_of
from scicat_retriever.ledger.jobs import lock_job
from scicat_retriever.ledger.part import batches
from scicat_retriever.ledger.pin_rows import PinRows, pinned_by_others
from scicat_retriever.ledger.schema import claims, job_datasets, jobs, pins
from scicat_retriever.ports.space import Line
from scicat_retriever.ports.staging_area import Room

_BEFORE = select(func.count(), func.min(jobs.c.space_wanted_at)).where(
    jobs.c.space_wanted_at.is_not(None), jobs.c.number < bindparam("mine")
)


class ClaimsPart(PinRows):
    """Claims and the line of jobs, as `ports.space.SpaceLedger` promises."""

    def datasets_without_size(self, job_id: JobId, limit: int) -> Sequence[DatasetPid]:
        """Datasets of a job whose size was not noted yet."""
        c = job_datasets.c
        unknown = select(c.pid).where(c.job_id == job_id, c.bytes.is_(None)).order_by(c.position).limit(limit)
        with self._database.reading() as connection:
            return [DatasetPid(pid) for pid in connection.scalars(unknown)]

    def note_sizes(self, job_id: JobId, sizes: Mapping[DatasetPid, int]) -> None:
        """Note how many bytes datasets of a job take."""
        its = (job_datasets.c.job_id == job_id, job_datasets.c.pid == bindparam("of"))
        noted = update(job_datasets).where(*its).values(bytes=bindparam("size"))
        with self._database.writing() as connection:
            lock_job(connection, job_id)
            for batch in batches(sorted(sizes.items())):
                connection.execute(noted, [{"of": pid, "size": size} for pid, size in batch])

    def job_size(self, job_id: JobId) -> int:
        """Bytes of all datasets of a job."""
        with self._database.reading() as connection:
            return sum(each.size for each in sizes_of(connection, job_id))

    def claim_job(
        self, job_id: JobId, room: Room, *, overtaking: timedelta, quota: int | None = None
    ) -> Line:
        """Claim the space of a job's datasets and pin them, or do neither."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished:
                return Line(0, 0, 0)
            self._database.lock_datasets(connection, _pids_of(connection, job_id))
            held = self._lock_space(connection)
            wanted = [each for each in sizes_of(connection, job_id) if each.state is not DatasetState.FAILED]
            needed = sum(each.lacks for each in wanted if each.needs_claim)
            if row.space_granted_at is None:
                _require_quota(connection, row, wanted, quota)
                line = self._line(connection, row, needed, free_bytes(connection, held, room), overtaking)
                if not line.granted:
                    self._wait(connection, row, needed)
                    return line
                granted = {
                    "space_granted_at": self._clock(),
                    "space_wanted_at": None,
                    "space_needed": None,
                }
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(granted))
            self._take(connection, row, wanted)
            return Line(0, 0, needed)

    def _line(
        self,
        connection: Connection,
        row: Any,  # noqa: ANN401
        needed: int,
        free: int,
        overtaking: timedelta,
    ) -> Line:
        """Say whether a locked job gets its space now, and where it stands if it does not."""
        count, since = connection.execute(_BEFORE, {"mine": row.number}).one()
        missing = max(0, needed - free)
        patient = since is None or since >= self._clock() - overtaking
        if needed == 0 or (missing == 0 and patient):
            return Line(0, 0, needed)
        return Line(missing, count + 1, needed)

    def _wait(self, connection: Connection, row: Any, needed: int) -> None:  # noqa: ANN401
        now = self._clock()
        # A clock that has gone back must not make it wait for longer before it counts as waiting.
        since = now if row.space_wanted_at is None else min(now, row.space_wanted_at)
        waiting = {"space_wanted_at": since, "space_needed": needed}
        connection.execute(update(jobs).where(jobs.c.id == row.id).values(waiting))

    def _take(self, connection: Connection, row: Any, wanted: Sequence[DatasetSize]) -> None:  # noqa: ANN401
        """Make the claims and pins that a job lacks."""
        lacking = [{"pid": each.pid, "bytes": each.lacks} for each in wanted if each.needs_claim]
        for batch in batches(lacking):
            connection.execute(insert(claims), batch)
        values = {
            "owner": row.id,
            "by_job": True,
            "owner_group": row.owner_group,
            "until": None,
            "created_at": self._clock(),
        }
        unpinned = [each for each in wanted if not each.pinned]
        self._add_pins(connection, [values | {"pid": each.pid, "bytes": each.size} for each in unpinned])

    def claim_dataset(self, pid: DatasetPid, room: Room) -> int:
        """Have a planned dataset's claim hold exactly what of it is not staged."""
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            held = self._lock_space(connection)
            planned, staged = planned_and_staged(connection, pid)
            present = connection.scalar(select(claims.c.bytes).where(claims.c.pid == pid))
            wanted = planned - staged
            more = wanted - (present or 0)
            missing = more - free_bytes(connection, held, room) if more > 0 else 0
            if missing > 0:
                return missing
            if present != wanted:
                set_claim(connection, pid, wanted)
            smaller = update(pins).where(pins.c.pid == pid, pins.c.bytes < planned)
            connection.execute(smaller.values(bytes=planned))
            return 0

    def end_claim(self, pid: DatasetPid) -> None:
        """Give a dataset's claim back, unless it is still asked for."""
        asking = select(func.count(), func.max(job_datasets.c.bytes)).select_from(job_datasets, jobs)
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            self._lock_space(connection)
            count, noted = connection.execute(asking.where(asks_for(pid))).one()
            if count:
                planned, staged = planned_and_staged(connection, pid)
                set_claim(connection, pid, max(0, max(noted or 0, planned) - staged))
            else:
                connection.execute(delete(claims).where(claims.c.pid == pid))

    def end_idle_claims(self) -> int:
        """Give back the claims that are nobody's."""
        with self._database.reading() as connection:
            if connection.scalar(select(claims.c.pid).where(is_idle()).limit(1)) is None:
                return 0
        with self._database.writing() as connection:
            self._lock_space(connection)
            return connection.execute(delete(claims).where(is_idle())).rowcount

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        """Jobs that wait for space, in the order of the line."""
        c = jobs.c
        waiting = select(c.id, c.space_needed).where(c.space_wanted_at.is_not(None)).order_by(c.number)
        with self._database.reading() as connection:
            return [(JobId(row.id), row.space_needed) for row in connection.execute(waiting)]


def _pids_of(connection: Connection, job_id: JobId) -> Iterator[str]:
    """Give the datasets of a job, read only where somebody goes through them."""
    yield from connection.scalars(select(job_datasets.c.pid).where(job_datasets.c.job_id == job_id))


def _require_quota(
    connection: Connection,
    row: Any,  # noqa: ANN401
    wanted: Sequence[DatasetSize],
    quota: int | None,
) -> None:
    if quota is None or row.owner_group is None:
        return
    others = pinned_by_others(connection, row.owner_group, row.id)
    mine = sum(each.size for each in wanted)
    if mine + others > quota:
        raise QuotaExceeded(
            f"The job asks for {mine} bytes, and other jobs of group {row.owner_group} have pinned {others} bytes; "
            f"the group may have {quota} bytes in all."
        )
