"""The reports that are not delivered to SciCat yet, for operators."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState
from scicat_retriever.http_api.bodies import body_as, documented_body
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_OPERATE, MAY_READ, service_of
from scicat_retriever.http_api.status import ReportStatus
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.reports import Report, Subject

_PRINTABLE = r"^[^\x00-\x1f\x7f]+$"
router = APIRouter(prefix="/api/v1/reports", tags=["service"])


class ReportEntry(ReportStatus):
    """A report, and its subject."""

    number: int = Field(description="Its place in the order of all reports; give the last one as `after`.")
    kind: Literal["job", "dataset"]
    name: str = Field(description="The job's id, or the dataset's pid.")
    told: str = Field(
        description="The `statusCode` or `retrieveStatusMessage` that SciCat is to hold; empty where a dataset is told its "
        "links alone, since its job cannot be told any more."
    )


class ReportPage(BaseModel):
    """Some of the reports, and how many there are in all."""

    waiting: int
    parked: int = Field(description="Those that are parked, the undeliverable ones included.")
    undeliverable: int
    reports: list[ReportEntry]


class Which(BaseModel):
    """The parked reports to try again; all of them where neither is named."""

    model_config = ConfigDict(extra="forbid")

    job: str | None = Field(None, description="A job's id.")
    dataset: str | None = Field(None, description="A dataset's pid.")


class Drop(BaseModel):
    """The parked reports to give up, and why."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[Annotated[int, Field(ge=0, le=2**62)]] = Field(min_length=1, max_length=1000)
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=_PRINTABLE)]
    by: Annotated[str, Field(min_length=1, max_length=100, pattern=_PRINTABLE)] = "an operator"


class Dropped(BaseModel):
    """The reports that were dropped."""

    reports: list[ReportEntry]


class Unparked(BaseModel):
    """The number of parked reports that are tried again."""

    count: int


@router.get(
    "",
    dependencies=MAY_READ,
    summary="Reports: what SciCat was not told yet",
    responses=documented(401, 403, 422, 503),
)
def list_reports(
    request: Request,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    *,
    dropped: Annotated[bool, Query(description="Whether to give also those that were dropped.")] = False,
) -> ReportPage:
    """Give reports that wait to be told or are parked, in their order."""
    ledger = service_of(request).ledger
    waiting, parked = ledger.reports.count()
    entries = [_entry(report) for report in ledger.reports.find(after=after, limit=limit, dropped=dropped)]
    gone = ledger.reports.count_undeliverable()
    return ReportPage(waiting=waiting, parked=parked, undeliverable=gone, reports=entries)


def _entry(report: Report) -> ReportEntry:
    word = report.content if isinstance(report.content, JobState) else report.content.status
    return ReportEntry(
        **ReportStatus.of(report).model_dump(),
        number=report.number,
        kind=report.subject.kind.value,
        name=report.subject.name,
        told="" if word is None else word.value,
    )


@router.post(
    "/retry",
    dependencies=MAY_OPERATE,
    summary="Try parked reports again",
    responses=documented(401, 403, 413, 422, 503),
    openapi_extra=documented_body(Which, required=True),
)
async def retry_reports(request: Request) -> Unparked:
    """Have parked reports tried again, once what kept them from being told is mended."""
    which = await body_as(request, Which)
    return await asyncio.to_thread(_unpark, which, service_of(request).ledger)


def _unpark(which: Which, ledger: Ledger) -> Unparked:
    subjects = []
    if which.job is not None:
        subjects.append(Subject.job(JobId(which.job)))
    if which.dataset is not None:
        subjects.append(Subject.dataset(DatasetPid(which.dataset)))
    if not subjects:
        return Unparked(count=ledger.reports.unpark())
    return Unparked(count=sum(ledger.reports.unpark(subject) for subject in subjects))


@router.post(
    "/drop",
    dependencies=MAY_OPERATE,
    summary="Drop parked reports",
    responses=documented(401, 403, 404, 413, 422, 503),
    openapi_extra=documented_body(Drop, required=True),
)
async def drop_reports(request: Request) -> Dropped:
    """Drop parked reports: SciCat is never told of them.

    All of the reports named are dropped, or none where one of them is not parked.

    They are kept as `dropped`, with who did it and why, and written into the ledger's book of transitions.
    """
    which = await body_as(request, Drop)
    words = f"{which.by}: {which.reason}"
    dropped = await asyncio.to_thread(service_of(request).ledger.reports.drop, which.numbers, words)
    return Dropped(reports=[_entry(report) for report in dropped])
