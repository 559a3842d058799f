"""The book of needs: what jobs need of their datasets, and how much of it is there."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from sqlalchemy import Connection, LargeBinary, and_, delete, func, insert, select, update

from scicat_retriever.domain.dataset import CataloguedDatablock
from scicat_retriever.domain.errors import Failure, TransitionIllegal
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.database.packing import pack_respelled, unpack_respelled
from scicat_retriever.ledger.database.schema import chosen_datablocks, copies, datablocks, job_datasets
from scicat_retriever.ledger.database.statements import batches, total
from scicat_retriever.ledger.database.transitions import TransitionSubject
from scicat_retriever.ledger.datablocks.extracts import note_extracts
from scicat_retriever.ledger.rows.claims import NOT_ENDED
from scicat_retriever.ledger.rows.datablocks import (
    datablock_record,
)
from scicat_retriever.ledger.rows.dataset_sizes import LARGEST_DATASET
from scicat_retriever.ledger.rows.jobs import lock_job
from scicat_retriever.ledger.rows.needs import is_brought, needs
from scicat_retriever.ledger.rows.recalls import WAITS_FOR_TAPE
from scicat_retriever.onepass.manifest import LONGEST_BEGIN, algorithms_in
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.needs import DatasetProgress, DatasetWait


class SqlNeeds(Book):
    """What jobs need, as `ports.needs.Needs` promises."""

    def note_choice(
        self,
        job_id: JobId,
        pid: DatasetPid,
        datablocks: Collection[DatablockId],
        size: int,
        unknown: Failure | None,
        extracts: Sequence[CataloguedDatablock] = (),
        respelled: Mapping[DatablockId, Mapping[str, str]] = MappingProxyType({}),
    ) -> None:
        """Note which datablocks, or extracts, hold the files that a job chose."""
        its = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == pid)
        noted: dict[str, object] = {
            "bytes": min(max(0, size), LARGEST_DATASET),
            "unknown": () if unknown is None else (unknown,),
        }
        with self._database.writing() as connection:
            lock_job(connection, job_id)
            row = connection.execute(select(job_datasets.c.state, job_datasets.c.chosen).where(its)).first()
            if row is None or not row.chosen:
                raise TransitionIllegal(f"The job {job_id} did not choose files of {pid}.")
            _replace_choice(connection, job_id, pid, datablocks, respelled)
            if extracts:
                self._database.lock_datasets(connection, [pid])
                note_extracts(self._log, connection, pid, extracts)
            if unknown is not None and not datablocks and row.state in NOT_ENDED:
                noted |= {"state": DatasetState.FAILED, "failures": (unknown,), "reason": ""}
                subject, old = TransitionSubject("dataset", job_id, pid), DatasetState(row.state)
                self._log.enter(connection, subject, old, DatasetState.FAILED, unknown.code)
            connection.execute(update(job_datasets).where(its).values(noted))

    def respelled(self, job_id: JobId, pid: DatasetPid) -> Mapping[str, str]:
        """The catalogued paths of chosen names that are spelled otherwise."""
        c = chosen_datablocks.c
        its = select(c.respelled).where(c.job_id == job_id, c.pid == pid, c.respelled != "")
        with self._database.reading() as connection:
            packed = connection.scalars(its.order_by(c.datablock)).all()
        return {name: path for each in packed for name, path in unpack_respelled(each).items()}

    def datablocks(self, job_id: JobId, pid: DatasetPid) -> Sequence[DatablockRecord]:
        """The datablocks that a job needs of a dataset."""
        its = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == pid)
        needed = select(datablocks).join_from(job_datasets, datablocks, needs()).where(its)
        with self._database.reading() as connection:
            rows = connection.execute(needed.order_by(datablocks.c.position))
            return [datablock_record(row) for row in rows]

    def hashed(self, job_id: JobId) -> Mapping[DatasetPid, Collection[tuple[Integrity | None, str]]]:
        """How staged datablocks of a job were compared and hashed."""
        begin = func.substr(copies.c.manifest, 1, LONGEST_BEGIN, type_=LargeBinary)
        its_copy = and_(copies.c.pid == datablocks.c.pid, copies.c.datablock == datablocks.c.id)
        its = (
            select(datablocks.c.pid, datablocks.c.integrity, begin)
            .distinct()
            .join_from(job_datasets, datablocks, needs())
            .join(copies, its_copy)
            .where(job_datasets.c.job_id == job_id, datablocks.c.state == DatablockState.STAGED)
        )
        found: dict[DatasetPid, set[tuple[Integrity | None, str]]] = {}
        with self._database.reading() as connection:
            for pid, integrity, text in connection.execute(its):
                how = None if integrity is None else Integrity(integrity)
                found.setdefault(DatasetPid(pid), set()).add((how, algorithms_in(bytes(text))))
        return found

    def is_brought(self, job_id: JobId, pid: DatasetPid) -> bool:
        """Say whether all that a job needs of a dataset is staged."""
        its = and_(job_datasets.c.job_id == job_id, job_datasets.c.pid == pid)
        with self._database.reading() as connection:
            return bool(connection.scalar(select(is_brought()).select_from(job_datasets).where(its)))

    def progress(self, job_id: JobId) -> Sequence[DatasetProgress]:
        """Sums for each dataset of a job that was planned."""
        staged = func.count().filter(datablocks.c.state == DatablockState.STAGED)
        sums = (
            select(
                job_datasets.c.pid,
                func.count().label("datablocks"),
                staged.label("staged"),
                total(datablocks.c.bytes_done).label("bytes_done"),
                total(datablocks.c.bytes_total).label("bytes_total"),
            )
            .join_from(job_datasets, datablocks, needs())
            .where(job_datasets.c.job_id == job_id)
            .group_by(job_datasets.c.pid, job_datasets.c.position)
            .order_by(job_datasets.c.position)
        )
        with self._database.reading() as connection:
            return [
                DatasetProgress(
                    DatasetPid(row.pid), row.datablocks, row.staged, int(row.bytes_done), int(row.bytes_total)
                )
                for row in connection.execute(sums)
            ]

    def waits(self, job_id: JobId) -> Mapping[DatasetPid, DatasetWait]:
        """What the datasets of a job wait for.

        Many of their datablocks wait for the same: so few rows are read.
        """
        first = func.min(datablocks.c.position)
        its = (
            select(job_datasets.c.pid, datablocks.c.reason, func.count().label("waiting"))
            .join_from(job_datasets, datablocks, needs())
            .where(
                job_datasets.c.job_id == job_id,
                job_datasets.c.state == DatasetState.STARTED,
                datablocks.c.state.in_(WAITS_FOR_TAPE),
                datablocks.c.reason != "",
            )
            .group_by(job_datasets.c.pid, datablocks.c.reason)
            .order_by(job_datasets.c.pid, first)
        )
        waits: dict[DatasetPid, DatasetWait] = {}
        with self._database.reading() as connection:
            for pid, reason, waiting in connection.execute(its):
                known = waits.get(DatasetPid(pid), DatasetWait(reason, 0))
                waits[DatasetPid(pid)] = DatasetWait(known.reason, known.datablocks + waiting)
        return waits


def _replace_choice(
    connection: Connection,
    job_id: JobId,
    pid: DatasetPid,
    chosen: Collection[DatablockId],
    respelled: Mapping[DatablockId, Mapping[str, str]],
) -> None:
    c = chosen_datablocks.c
    connection.execute(delete(chosen_datablocks).where(c.job_id == job_id, c.pid == pid))
    for batch in batches(sorted(set(chosen))):
        rows = [
            {
                "job_id": job_id,
                "pid": pid,
                "datablock": datablock,
                "respelled": pack_respelled(respelled.get(datablock, {})),
            }
            for datablock in batch
        ]
        connection.execute(insert(chosen_datablocks), rows)
