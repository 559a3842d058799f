"""How large the datasets of a job are, and how much of them is staged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, and_, bindparam, case, func, or_, select

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.ledger.database.schema import claims, datablocks, job_datasets, pins
from scicat_retriever.ledger.database.statements import total
from scicat_retriever.ledger.rows.claims import NOT_ENDED
from scicat_retriever.ledger.rows.needs import brings_its_own, is_asked_for, needs

LARGEST_DATASET = 2**60
"""The most bytes that a dataset may have, an exbibyte: sums over a few stay far from the limit of 64 bits."""

_IS_STAGED = datablocks.c.state == DatablockState.STAGED
_SUMS = (
    total(datablocks.c.bytes_total).label("planned"),
    total(case((_IS_STAGED, datablocks.c.bytes_total))).label("staged"),
    func.count(datablocks.c.id).label("datablocks"),
    func.count(case((_IS_STAGED, 1))).label("there"),
)
_ITS_PIN = and_(pins.c.owner == job_datasets.c.job_id, pins.c.by_job, pins.c.pid == job_datasets.c.pid)
_GROUPS = (
    job_datasets.c.pid,
    job_datasets.c.position,
    job_datasets.c.state,
    job_datasets.c.bytes,
    job_datasets.c.chosen,
    claims.c.bytes.label("claim"),
    pins.c.number,
)
_OF_JOB = (
    select(*_GROUPS, *_SUMS)
    .select_from(
        job_datasets.outerjoin(claims, claims.c.pid == job_datasets.c.pid)
        .outerjoin(pins, _ITS_PIN)
        .outerjoin(datablocks, needs())
    )
    .where(job_datasets.c.job_id == bindparam("job"))
    .group_by(*_GROUPS)
    .order_by(job_datasets.c.position)
)
# Includes what jobs need that asked after the last plan: a claim that grew for them must not shrink again.
_OF_DATASET = select(*_SUMS).where(
    datablocks.c.pid == bindparam("of"), datablocks.c.listed, or_(datablocks.c.wanted, is_asked_for())
)
_APART = brings_its_own(bindparam("job"))


@dataclass(frozen=True, slots=True)
class DatasetSize:
    """One dataset of a job: what the job needs of it.

    Attributes:
        pid: The dataset.
        state: How far it is for the job.
        size: Bytes: what was noted or, where that is more, what was planned.
        staged: How many bytes of it are staged.
        whole: Whether it is planned, and all of it is staged.
        claim: Bytes that are claimed for it; None where it has no claim.
        apart: Whether the job chose a datablock or an extract of it that no job which asks for the dataset
            brings.
        pinned: Whether the job pins it.
    """

    pid: DatasetPid
    state: DatasetState
    size: int
    staged: int
    whole: bool
    claim: int | None
    apart: bool
    pinned: bool

    @property
    def lacks(self) -> int:
        """Bytes that its claim must have: what the job needs of it and is not staged."""
        return max(0, self.size - self.staged)

    @property
    def is_wanted(self) -> bool:
        """Whether it is to be retrieved for the job, or was retrieved and is whole.

        A dataset that is long gone is not pinned again.
        """
        return self.state in NOT_ENDED or (self.state is DatasetState.RETRIEVED and self.whole)

    @property
    def is_unclaimed(self) -> bool:
        """Whether it is to be retrieved and has no claim."""
        return self.state in NOT_ENDED and self.claim is None

    @property
    def needs(self) -> int:
        """Bytes that have to be claimed for it beside what is claimed already."""
        if self.state not in NOT_ENDED:
            return 0
        return self.lacks if self.apart else max(0, self.lacks - (self.claim or 0))


def sizes_of(connection: Connection, job_id: JobId) -> Sequence[DatasetSize]:
    """Give all datasets of a job in the order asked for."""
    rows = connection.execute(_OF_JOB, {"job": job_id}).all()
    joins = any(row.chosen and row.claim is not None for row in rows)
    apart = set(connection.scalars(_APART, {"job": job_id})) if joins else set()
    return [
        DatasetSize(
            DatasetPid(row.pid),
            DatasetState(row.state),
            min(max(row.bytes or 0, int(row.planned or 0)), LARGEST_DATASET),
            int(row.staged or 0),
            row.datablocks == row.there > 0,
            row.claim,
            row.pid in apart,
            row.number is not None,
        )
        for row in rows
    ]


def planned_and_staged(connection: Connection, pid: DatasetPid) -> tuple[int, int]:
    """Bytes of a dataset's wanted datablocks, and how many of these are staged.

    Wanted are those that the last plan retrieves, and those that jobs need which asked since.
    """
    row = connection.execute(_OF_DATASET, {"of": pid}).one()
    return int(row.planned or 0), int(row.staged or 0)
