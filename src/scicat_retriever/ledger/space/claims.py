"""The book of claims: who has staging space, and who waits for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    bindparam,
    case,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)

from scicat_retriever.domain.errors import QuotaExceeded
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.schema import claims, job_datasets, jobs, pins, space_queue
from scicat_retriever.ledger.database.statements import batches, total
from scicat_retriever.ledger.database.transitions import TransitionSubject
from scicat_retriever.ledger.rows.claims import asks_for, claim_of, free_bytes, is_idle, is_written, set_claim
from scicat_retriever.ledger.rows.dataset_sizes import (
    LARGEST_DATASET,
    DatasetSize,
    planned_and_staged,
    sizes_of,
)
from scicat_retriever.ledger.rows.growth import (
    before_all,
    capacity,
    must_give_back,
    note_grown,
    note_went_ahead,
    stop_waiting,
    wait_to_grow,
)
from scicat_retriever.ledger.rows.held_space import change_space, lock_space
from scicat_retriever.ledger.rows.jobs import lock_job
from scicat_retriever.ledger.rows.line import WAITS, ask, stand_again, stands_in_line
from scicat_retriever.ledger.rows.pins import add_pins, end_pins, pinned_by_others
from scicat_retriever.ports.claims import Growth, PlaceInLine
from scicat_retriever.ports.staging_area import Room

_GAVE_BACK = "its job gave its space back"
_GROW = update(claims).where(claims.c.pid == bindparam("of")).values(bytes=claims.c.bytes + bindparam("by"))
_PINS_OF_JOB = select(pins.c.number, pins.c.pid).where(pins.c.owner == bindparam("job"), pins.c.by_job)


class SqlClaims(Book):
    """Claims and the line of jobs, as `ports.claims.Claims` promises."""

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

    def for_job(
        self, job_id: JobId, room: Room, *, silence: timedelta, quota: int | None = None
    ) -> PlaceInLine:
        """Claim the space of a job's datasets and pin them, or do neither."""
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished:
                return PlaceInLine(0, 0, 0)
            self._database.lock_datasets(connection, _pids_of(connection, job_id))
            space = lock_space(connection)
            wanted = [each for each in sizes_of(connection, job_id) if each.is_wanted]
            if row.space_granted_at is not None:
                lacking = [each for each in wanted if each.is_unclaimed]
                self._take(connection, row, wanted, lacking)
                return PlaceInLine(0, 0, sum(each.needs for each in lacking))
            needed = sum(each.needs for each in wanted)
            _require_quota(connection, row, wanted, quota)
            now, free = self._clock(), free_bytes(connection, space, room)
            first = before_all(connection, space, room, now, silence)
            line = ask(connection, job_id, needed, free, room, now, silence, first)
            if line.granted:
                note_went_ahead(connection, needed)
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(space_granted_at=now))
                self._take(connection, row, wanted, wanted)
            return line

    def _take(
        self,
        connection: Connection,
        row: Any,  # noqa: ANN401
        wanted: Sequence[DatasetSize],
        lacking: Sequence[DatasetSize],
    ) -> None:
        """Make the claims and pins that a job lacks, and enlarge claims that are too small for it."""
        made = [{"pid": each.pid, "bytes": each.lacks} for each in lacking if each.is_unclaimed]
        for batch in batches(made):
            connection.execute(insert(claims), batch)
        grown = [
            {"of": each.pid, "by": each.needs} for each in lacking if each.claim is not None and each.needs
        ]
        for batch in batches(grown):
            connection.execute(_GROW, batch)
        change_space(connection, claimed=sum(each.needs for each in lacking))
        values = {
            "owner": row.id,
            "by_job": True,
            "owner_group": row.owner_group,
            "until": None,
            "created_at": self._clock(),
        }
        unpinned = [each for each in wanted if not each.pinned]
        add_pins(connection, [values | {"pid": each.pid, "bytes": each.size} for each in unpinned])

    def for_dataset(self, pid: DatasetPid, room: Room, *, silence: timedelta) -> Growth:
        """Make a planned dataset's claim exact: the bytes of its wanted datablocks that are not staged."""
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            space = lock_space(connection)
            planned, staged = planned_and_staged(connection, pid)
            present = claim_of(connection, pid)
            wanted = planned - staged
            more = wanted - (present or 0)
            missing = more - free_bytes(connection, space, room) if more > 0 else 0
            if missing > 0:
                now = self._clock()
                wait_to_grow(connection, pid, present, more, now)
                whole = capacity(connection, space, room)
                gives_back = must_give_back(connection, pid, more, whole, now, silence)
                if gives_back:
                    stop_waiting(connection, pid)
                return Growth(missing, gives_back)
            set_claim(connection, pid, present, wanted)
            stop_waiting(connection, pid)
            if more > 0:
                note_grown(connection, more)
            smaller = update(pins).where(pins.c.pid == pid, pins.c.bytes < planned)
            connection.execute(smaller.values(bytes=planned))
            return Growth(0)

    def give_back(self, job_id: JobId, pid: DatasetPid, *, if_waiting: bool = False) -> bool:
        """Have a job give back its space, and wait in the line for all that it needs."""
        c = job_datasets.c
        with self._database.writing() as connection:
            row = lock_job(connection, job_id)
            if JobState(row.state).finished:
                return True
            if if_waiting and row.space_granted_at is not None:
                return False
            self._database.lock_datasets(connection, _pids_of(connection, job_id))
            _remember_size(connection, job_id, pid)
            again = and_(c.pid == pid, c.state == DatasetState.STARTED)
            if row.space_granted_at is not None:
                again = or_(again, c.state == DatasetState.RETRIEVED)
                end_pins(connection, connection.execute(_PINS_OF_JOB, {"job": job_id}).all())
            self._ask_anew(connection, job_id, and_(c.job_id == job_id, again))
            if row.space_granted_at is not None:
                lock_space(connection)
                stand_again(connection, job_id, row.space_granted_at)
                connection.execute(update(jobs).where(jobs.c.id == job_id).values(space_granted_at=None))
            return True

    def _ask_anew(self, connection: Connection, job_id: JobId, these: ColumnElement[bool]) -> None:
        """Have datasets of a job be submitted again."""
        new, c = DatasetState.SUBMITTED, job_datasets.c
        rows = connection.execute(select(c.pid, c.state).where(these).order_by(c.position)).all()
        connection.execute(update(job_datasets).where(these).values(state=new, reason=""))
        subjects = [(TransitionSubject("dataset", job_id, row.pid), DatasetState(row.state)) for row in rows]
        self._log.enter_all(connection, subjects, new, _GAVE_BACK)

    def is_in_line(self, job_id: JobId) -> bool:
        """Say whether a job waits in the line for space."""
        with self._database.reading() as connection:
            return stands_in_line(connection, job_id)

    def end(self, pid: DatasetPid) -> None:
        """End a dataset's claim if no job asks for the dataset; else shrink a claim that is too large."""
        # Jobs that chose files may have chosen different ones: the sizes of their choices are added.
        chosen, size = job_datasets.c.chosen, job_datasets.c.bytes
        noted = (func.max(case((~chosen, size))), total(case((chosen, size))))
        asking = select(func.count(), *noted).select_from(job_datasets, jobs)
        with self._database.writing() as connection:
            self._database.lock_datasets(connection, [pid])
            lock_space(connection)
            present = claim_of(connection, pid)
            if present is None or connection.scalar(select(is_written(pid))):
                return
            count, whole, parts = connection.execute(asking.where(asks_for(pid))).one()
            if count:
                planned, staged = planned_and_staged(connection, pid)
                lacks = max(0, max((whole or 0) + int(parts or 0), planned) - staged)
                set_claim(connection, pid, present, min(present, lacks))
            else:
                set_claim(connection, pid, present, None)

    def end_idle(self) -> int:
        """End the claims of datasets that no job asks for and of which nothing is being written."""
        with self._database.reading() as connection:
            if connection.scalar(select(claims.c.pid).where(is_idle()).limit(1)) is None:
                return 0
        with self._database.writing() as connection:
            lock_space(connection)
            ended = connection.scalars(delete(claims).where(is_idle()).returning(claims.c.bytes)).all()
            change_space(connection, claimed=-sum(ended))
            return len(ended)

    def waiting_jobs(self) -> Sequence[tuple[JobId, int]]:
        """Jobs that wait for space, in the order of the line."""
        c = space_queue.c
        waiting = select(c.job_id, c.needed).where(WAITS).order_by(c.wanted_at, c.job_id)
        with self._database.reading() as connection:
            return [(JobId(row.job_id), row.needed) for row in connection.execute(waiting)]


def _remember_size(connection: Connection, job_id: JobId, pid: DatasetPid) -> None:
    """Note the size that a dataset turned out to have for a job.

    It must be kept here: the size of an archive may be forgotten with its next copy.
    """
    its = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == pid)
    for each in sizes_of(connection, job_id):
        if each.pid == pid:
            connection.execute(update(job_datasets).where(its).values(bytes=each.size))


def _pids_of(connection: Connection, job_id: JobId) -> Iterator[str]:
    """Give the datasets of a job; they are read when somebody iterates."""
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
