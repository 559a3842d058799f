"""The staging area for operators: staged datablocks, pins, and the line of waiting jobs."""

from __future__ import annotations

from datetime import datetime
from itertools import takewhile
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.http_api.operators.overview import Look
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_READ, Service, service_of
from scicat_retriever.pipeline.staging import eviction, fixity, inventory
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.inventory import Usage
from scicat_retriever.ports.pins import Pin
from scicat_retriever.ports.staging_area import Room

PREFIX, TAG = "/api/v1/staging", "staging"
LINE_SHOWN = 100
"""The most waiting jobs that are named."""
router = APIRouter(prefix=PREFIX, tags=[TAG], dependencies=MAY_READ)
Limit = Annotated[int, Query(ge=1, le=1000)]


class WaitingJob(BaseModel):
    """A job that waits for staging space."""

    job: str
    bytes: int = Field(description="What it needs beside what is staged or claimed already.")


class Line(BaseModel):
    """The jobs that wait for staging space."""

    jobs: int
    bytes: int
    first: list[WaitingJob] = Field(description=f"The first {LINE_SHOWN} of them, in the order of the line.")


class GroupUsage(BaseModel):
    """What the jobs of an owner group have pinned."""

    group: str
    pinned: int = Field(description="Bytes, each dataset once.")
    quota: int | None = Field(description="Bytes that they may pin in all; null: any number.")


class StagingUsage(BaseModel):
    """Sums over the staging area, in bytes but for the counts."""

    total: int = Field(description="What the staging area may hold by its settings.")
    capacity: int = Field(description="What it can hold now, others on the same file system considered.")
    free: int = Field(description="Neither staged nor claimed.")
    staged: int
    claimed: int = Field(description="Set aside for datasets on their way.")
    written: int = Field(description="How much of `claimed` is written already.")
    pinned: int = Field(description="Of `staged`, what somebody pins.")
    cached: int = Field(description="Of `staged`, what nobody pins: it goes when its space is needed.")
    datablocks: int = Field(description="How many are staged.")
    waiting: Line
    by_group: list[GroupUsage] = Field(serialization_alias="byGroup")
    last_check: Look | None = Field(
        serialization_alias="lastCheck", description="The last comparison of ledger and staging area."
    )
    last_fixity: Look | None = Field(
        serialization_alias="lastFixity", description="The last reading of staged datablocks."
    )


class StagedDatablock(BaseModel):
    """A datablock that is staged."""

    dataset: str
    datablock: str = Field(description="The datablock's id in SciCat.")
    archive_id: str = Field(serialization_alias="archiveId")
    size: int = Field(description="Bytes.")
    staged_at: datetime | None = Field(serialization_alias="stagedAt")
    used_at: datetime | None = Field(
        serialization_alias="usedAt", description="When it was staged, asked for or downloaded last."
    )
    checked_at: datetime | None = Field(
        serialization_alias="checkedAt", description="When its bytes were read and compared last."
    )
    pinned: bool
    pins: int = Field(description="How many pins its dataset has.")
    pinned_until: datetime | None = Field(
        serialization_alias="pinnedUntil",
        description="The latest end of its pins; null where one of them lasts as long as its job runs.",
    )

    @classmethod
    def of(cls, record: DatablockRecord, pins: list[Pin]) -> StagedDatablock:
        """Make the entry of a datablock, with the pins on its dataset."""
        ends = [pin.until for pin in pins]
        return cls(
            dataset=record.key.pid,
            datablock=record.key.id,
            archive_id=record.datablock.archive_id,
            size=record.bytes_total,
            staged_at=record.staged_at,
            used_at=record.used_at,
            checked_at=record.checked_at,
            pinned=record.pinned,
            pins=len(pins),
            pinned_until=None if None in ends else max((end for end in ends if end), default=None),
        )


class StagedPage(BaseModel):
    """Some of the staged datablocks, by the names of dataset and datablock."""

    datablocks: list[StagedDatablock]


class PinEntry(BaseModel):
    """A pin: somebody's wish that a dataset stays staged."""

    number: int = Field(description="Its place in the order of all pins; give the last one as `after`.")
    dataset: str
    owner: str = Field(description="A job's id, or the name that an operator gave.")
    by_job: bool = Field(serialization_alias="byJob")
    group: str | None = Field(description="The owner group in whose quota it counts.")
    until: datetime | None = Field(description="Null: as long as its job runs.")
    created_at: datetime = Field(serialization_alias="createdAt")


class PinPage(BaseModel):
    """Some of the pins, in the order in which they were made."""

    pins: list[PinEntry]


@router.get("/usage", summary="How full staging is, and who waits", responses=documented(401, 403, 503))
def read_usage(request: Request) -> StagingUsage:
    """Give the sums over staging, the line of jobs, the quotas, and the findings of the last looks."""
    service = service_of(request)
    usage, room = service.ledger.inventory.usage(), service.staging.room()
    looks = {
        name: Look(at=each.at, found=dict(each.found))
        for name, each in service.ledger.findings.latest().items()
    }
    first = service.ledger.claims.waiting_jobs()[:LINE_SHOWN]
    return StagingUsage(
        total=room.total,
        capacity=eviction.capacity(room, usage),
        free=_free(room, usage),
        staged=usage.staged,
        claimed=usage.claimed,
        written=usage.written,
        pinned=usage.pinned,
        cached=usage.cached,
        datablocks=usage.datablocks,
        waiting=Line(
            jobs=usage.waiting_jobs,
            bytes=usage.waiting,
            first=[WaitingJob(job=job_id, bytes=needed) for job_id, needed in first],
        ),
        by_group=_by_group(service),
        last_check=looks.get(inventory.FINDING),
        last_fixity=looks.get(fixity.FINDING),
    )


def _free(room: Room, usage: Usage) -> int:
    """Count the free bytes as the ledger does when it grants space (see `ports.claims.Claims`)."""
    free = room.total - usage.staged - usage.claimed
    if room.free is not None:
        free = min(free, room.free - (usage.claimed - usage.written))
    return max(0, free)


def _by_group(service: Service) -> list[GroupUsage]:
    pinned = service.ledger.pins.bytes_by_group()
    return [
        GroupUsage(group=group, pinned=pinned.get(group, 0), quota=service.cache.quota(group))
        for group in sorted({*pinned, *service.cache.quotas})
    ]


@router.get("", summary="What is staged", responses=documented(401, 403, 422, 503))
def list_staged(
    request: Request,
    *,
    dataset: Annotated[str | None, Query(description="Only this dataset, by its pid.")] = None,
    after_dataset: Annotated[
        str,
        Query(alias="afterDataset", description="With `afterDatablock`, the last one of the page before."),
    ] = "",
    after_datablock: Annotated[str, Query(alias="afterDatablock")] = "",
    limit: Limit = 100,
) -> StagedPage:
    """Give staged datablocks with their pins, by the names of dataset and datablock."""
    ledger = service_of(request).ledger
    first = after_datablock if dataset in {None, after_dataset} else ""
    after = DatablockKey(DatasetPid(dataset or after_dataset), DatablockId(first))
    records = takewhile(
        lambda each: dataset in {None, each.key.pid}, ledger.inventory.staged_after(after, limit)
    )
    pins: dict[DatasetPid, list[Pin]] = {}
    page = []
    for record in records:
        pid = record.key.pid
        if pid not in pins:
            pins[pid] = [pin for _, pin in ledger.pins.find(pid)] if record.pinned else []
        page.append(StagedDatablock.of(record, pins[pid]))
    return StagedPage(datablocks=page)


@router.get("/pins", summary="Who keeps what in staging", responses=documented(401, 403, 422, 503))
def list_pins(
    request: Request,
    *,
    dataset: Annotated[str | None, Query(description="Only on this dataset, by its pid.")] = None,
    owner: Annotated[str | None, Query(description="Only of this owner.")] = None,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Limit = 100,
) -> PinPage:
    """Give pins, in the order in which they were made."""
    pid = None if dataset is None else DatasetPid(dataset)
    found = service_of(request).ledger.pins.find(pid, owner, after, limit)
    return PinPage(
        pins=[
            PinEntry(
                number=number,
                dataset=pin.pid,
                owner=pin.owner,
                by_job=pin.by_job,
                group=pin.group,
                until=pin.until,
                created_at=pin.created_at,
            )
            for number, pin in found
        ]
    )
