"""The part of the SQL ledger that shares staging space out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.ledger.claim_rows import (
    asks_for,
    claim_of,
    free_bytes,
    is_idle,
    is_written,
    set_claim,
)
from scicat_retriever.ledger.dataset_sizes import LARGEST_DATASET, DatasetSize, planned_and_staged, sizes_of
from scicat_retriever.ledger.held_space import change_space
from scicat_retriever.ledger.jobs import lock_job
from scicat_retriever.ledger.line_rows import WAITS, ask
from scicat_retriever.ledger.part import batches
from scicat_retriever.ledger.pin_rows import PinRows, pinned_by_others
from scicat_retriever.ledger.schema import claims, job_datasets, jobs, pins, places
from scicat_retriever.ports.space import Line
from scicat_retriever.ports.staging_area import Room


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
                bounded = [{"of": pid, "size": min(max(0, size), LARGEST_DATASET)} for pid, size in batch]
                connection.execute(noted, bounded)

    def job_size(self, job_id: JobId) -> int:
        """Bytes of all datasets of a job."""
        with self._database.reading() as connection:
            return sum(each.size for each in sizes_of(connection, job_id))

    def claim_job(self, job_id: JobId, room: Room, *, silence: timedelta, quota: int | None = None) -> Line:
        """Claim the space of a job's datasets and pin them, or do neither."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished:
                return Line(0, 0, 0)
            self._database.lock_datasets(connection, _pids_of(connection, job_id))
            space = self._lock_space(connection)
            wanted = [each for each in sizes_of(connection, job_id) if each.is_wanted]
            needed = sum(each.lacks for each in wanted if each.needs_claim)
            if row.space_granted_at is None:
                _require_quota(connection, row, wanted, quota)
                now, free = self._clock(), free_bytes(connection, space, room)
                line = ask(connection, job_id, needed, free, room, now, silence)
                if not line.granted:
                    return line
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(space_granted_at=now))
            self._take(connection, row, wanted)
            return Line(0, 0, needed)

    def _take(self, connection: Connection, row: Any, wanted: Sequence[DatasetSize]) -> None:  # noqa: ANN401
        """Make the claims and pins that a job lacks."""
        lacking = [{"pid": each.pid, "bytes": each.lacks} for each in wanted if each.needs_claim]
        for batch in batches(lacking):
            connection.execute(insert(claims), batch)
        change_space(connection, claimed=sum(each.lacks for each in wanted if each.needs_claim))
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
            space = self._lock_space(connection)
            planned, staged = planned_and_staged(connection, pid)
            present = claim_of(connection, pid)
            wanted = planned - staged
            more = wanted - (present or 0)
            missing = more - free_bytes(connection, space, room) if more > 0 else 0
            if missing > 0:
                return missing
            set_claim(connection, pid, present, wanted)
            smaller = update(pins).where(pins.c.pid == pid, pins.c.bytes < planned)
            connection.execute(smaller.values(bytes=planned))
            return 0

    def end_claim(self, pid: DatasetPid) -> None:
        """Give a dataset's claim back, or what of it is too much."""
        asking = select(func.count(), func.max(job_datasets.c.bytes)).select_from(job_datasets, jobs)
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            self._lock_space(connection)
            present = claim_of(connection, pid)
            if present is None or connection.scalar(select(is_written(pid))):
                return
            count, noted = connection.execute(asking.where(asks_for(pid))).one()
            if count:
                planned, staged = planned_and_staged(connection, pid)
                lacks = max(0, max(noted or 0, planned) - staged)
                set_claim(connection, pid, present, min(present, lacks))
            else:
                set_claim(connection, pid, present, None)

    def end_idle_claims(self) -> int:
        """Give back the claims that are nobody's."""
        with self._database.reading() as connection:
            if connection.scalar(select(claims.c.pid).where(is_idle()).limit(1)) is None:
                return 0
        with self._database.writing() as connection:
            self._lock_space(connection)
            ended = connection.scalars(delete(claims).where(is_idle()).returning(claims.c.bytes)).all()
            change_space(connection, claimed=-sum(ended))
            return len(ended)

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        """Jobs that wait for space, in the order of the line."""
        c = places.c
        waiting = select(c.job_id, c.needed).where(WAITS).order_by(c.wanted_at, c.job_id)
        with self._database.reading() as connection:
            return [(JobId(row.job_id), row.needed) for row in connection.execute(waiting)]


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
