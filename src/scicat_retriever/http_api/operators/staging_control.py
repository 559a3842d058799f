"""The control of staging by operators: pin, release and evict datasets, and check the area."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, model_validator
from starlette.concurrency import run_in_threadpool

from scicat_retriever.domain.errors import DatasetPinned, JobNotFound, NothingStaged
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.http_api.bodies import body_as, documented_body
from scicat_retriever.http_api.operators.staging import PREFIX, TAG
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_OPERATE, Service, service_of
from scicat_retriever.pipeline.staging import eviction, inventory, pins

LONGEST = timedelta(days=3650)
"""The longest time from now to the end of a pin."""
OWNERS_NAMED = 3
"""The most owners of pins that are named where a dataset cannot be evicted."""
router = APIRouter(prefix=PREFIX, tags=[TAG], dependencies=MAY_OPERATE)

Pid = Annotated[str, Field(min_length=1, max_length=1000, description="A dataset's pid.")]
Job = Annotated[str, Field(min_length=1, max_length=1000, description="A job's id.")]
Owner = Annotated[
    str,
    Field(
        min_length=1,
        max_length=100,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Who wants it; no job's id.",
    ),
]


class PinWish(BaseModel):
    """What to pin: a `dataset` for an `owner`, or what a `job` brought; `until` a time, or for `seconds`."""

    model_config = ConfigDict(extra="forbid")

    dataset: Pid | None = None
    owner: Owner | None = None
    job: Job | None = None
    until: Annotated[AwareDatetime, Field(strict=True)] | None = Field(
        None, description="With a time zone; of a job, when its links shall expire."
    )
    seconds: PositiveInt | None = Field(None, le=int(LONGEST.total_seconds()), description="From now.")

    @model_validator(mode="after")
    def _names_one_thing_and_one_time(self) -> Self:
        named = (self.dataset is not None, self.owner is not None, self.job is not None)
        if named not in {(True, True, False), (False, False, True)}:
            raise ValueError("give either `dataset` and `owner`, or `job`")
        if (self.until is None) is (self.seconds is None):
            raise ValueError("give either `until` or `seconds`")
        return self


class ReleaseWish(BaseModel):
    """The pins to end: of an `owner` or of a `job`; all of them, or the one on a `dataset`."""

    model_config = ConfigDict(extra="forbid")

    owner: Owner | None = None
    job: Job | None = None
    dataset: Pid | None = None

    @model_validator(mode="after")
    def _names_one_owner(self) -> Self:
        if (self.owner is None) is (self.job is None):
            raise ValueError("give either `owner` or `job`")
        return self


class EvictWish(BaseModel):
    """What to remove from staging: a `dataset`, or as much as frees so many `bytes`."""

    model_config = ConfigDict(extra="forbid")

    dataset: Pid | None = None
    bytes: PositiveInt | None = Field(None, le=2**62)

    @model_validator(mode="after")
    def _names_one_thing(self) -> Self:
        if (self.dataset is None) is (self.bytes is None):
            raise ValueError("give either `dataset` or `bytes`")
        return self


BODIES = (PinWish, ReleaseWish, EvictWish)
"""The models of bodies, for the OpenAPI document."""


class PinnedDataset(BaseModel):
    """A pinned dataset, with the end of its pin."""

    dataset: str
    until: datetime
    links_expire: datetime | None = Field(
        serialization_alias="linksExpire",
        description="When the job's links to it do; null where there is no job.",
    )


class Pinned(BaseModel):
    """The datasets that are pinned for the owner or the job."""

    datasets: list[PinnedDataset]


class Released(BaseModel):
    """The datasets whose pins were ended."""

    datasets: list[str]


class Freed(BaseModel):
    """The bytes that were freed."""

    freed: int = Field(description="Bytes.")


class CheckAsked(BaseModel):
    """The comparison of the ledger with the staging area was asked for, or is under way."""

    last: datetime | None = Field(
        description="When the last one ended. The next one has, when `looks.staging.at` of the overview is another."
    )


@router.post(
    "/pins",
    summary="Keep a dataset, or what a job brought, in staging",
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    openapi_extra=documented_body(PinWish, required=True),
)
async def pin(request: Request) -> Pinned:
    """Pin a staged dataset, or have a job's links work longer, of which SciCat is told.

    A pin that has a later end already keeps it.
    """
    wish = await body_as(request, PinWish)
    return await asyncio.to_thread(_pin, wish, service_of(request))


def _pin(wish: PinWish, service: Service) -> Pinned:
    until = _end(wish, service.clock())
    if wish.job is not None:
        ends = pins.extend(JobId(wish.job), until, service.margin, service.ledger)
        return Pinned(datasets=_extended(ends, service.margin))
    pid, owner = DatasetPid(wish.dataset or ""), wish.owner or ""
    if service.ledger.jobs.get(JobId(owner)) is not None:
        raise _wrong("owner", "there is a job of this id: to keep what it brought, give it as `job`")
    pins.pin(pid, owner, until, service.ledger)
    held = service.ledger.pins.find(pid, owner)
    return Pinned(
        datasets=[
            PinnedDataset(dataset=each.pid, until=each.until, links_expire=None)
            for _, each in held
            if each.until is not None
        ]
    )


def _extended(ends: Mapping[DatasetPid, datetime], margin: timedelta) -> list[PinnedDataset]:
    return [PinnedDataset(dataset=pid, until=end + margin, links_expire=end) for pid, end in ends.items()]


def _end(wish: PinWish, now: datetime) -> datetime:
    if wish.until is None:
        return now + timedelta(seconds=wish.seconds or 0)
    if not now < wish.until <= now + LONGEST:
        raise _wrong("until", f"must be in the future, and within {LONGEST.days} days from now")
    return wish.until.astimezone(UTC)


def _wrong(field: str, why: str) -> RequestValidationError:
    detail: dict[str, Any] = {"loc": ("body", field), "msg": why, "type": "value_error"}
    return RequestValidationError([detail])


@router.post(
    "/release",
    summary="End the pins of a job or of somebody else",
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    openapi_extra=documented_body(ReleaseWish, required=True),
)
async def release(request: Request) -> Released:
    """End pins before their time.

    Datasets that nobody else pins stay until their space is needed. If the pins are a job's, SciCat is told.
    """
    wish = await body_as(request, ReleaseWish)
    return await asyncio.to_thread(_release, wish, service_of(request))


def _release(wish: ReleaseWish, service: Service) -> Released:
    if wish.job is not None and service.ledger.jobs.get(JobId(wish.job)) is None:
        raise JobNotFound("no such job was ever posted here")
    pid = None if wish.dataset is None else DatasetPid(wish.dataset)
    return Released(datasets=list(pins.unpin(wish.job or wish.owner or "", service.ledger, pid)))


@router.post(
    "/evict",
    summary="Evict what nobody pins",
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    openapi_extra=documented_body(EvictWish, required=True),
)
async def evict(request: Request) -> Freed:
    """Evict a dataset, or as many datablocks as needed.

    Datablocks that were used a moment ago stay, unless their dataset is named.
    """
    wish = await body_as(request, EvictWish)
    # Eviction may take long: it must not run in the threads that take jobs in.
    return await run_in_threadpool(_evict, wish, service_of(request))


def _evict(wish: EvictWish, service: Service) -> Freed:
    if wish.bytes is not None:
        return Freed(freed=eviction.make_room(wish.bytes, service, "an operator wants its space"))
    pid = DatasetPid(wish.dataset or "")
    if all(record.state is not DatablockState.STAGED for record in service.ledger.datablocks.of(pid)):
        raise NothingStaged(f"nothing of dataset {pid} is in staging")
    freed = eviction.evict_dataset(pid, service)
    owners = [each.owner for _, each in service.ledger.pins.find(pid, limit=OWNERS_NAMED + 1)]
    if not freed and owners:
        more = " and others" if len(owners) > OWNERS_NAMED else ""
        raise DatasetPinned(f"dataset {pid} is pinned by {', '.join(owners[:OWNERS_NAMED])}{more}")
    return Freed(freed=freed)


@router.post(
    "/check",
    status_code=202,
    summary="Compare the ledger with the staging area now",
    responses=documented(401, 403, 503),
)
async def check(request: Request) -> CheckAsked:
    """Ask for the regular comparison now; its finding is in the overview."""
    service = service_of(request)
    # The time is taken before the comparison is asked for: a caller that waits for a newer finding must not
    # miss it.
    last = (await asyncio.to_thread(service.ledger.findings.latest)).get(inventory.FINDING)
    await service.check_staging()
    return CheckAsked(last=None if last is None else last.at)
