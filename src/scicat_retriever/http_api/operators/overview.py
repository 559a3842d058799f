"""The overview of the service for operators."""

from __future__ import annotations

from datetime import datetime

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_READ, service_of

router = APIRouter(prefix="/api/v1/overview", tags=["service"], dependencies=MAY_READ)


class Look(BaseModel):
    """The last finding of a regular look."""

    at: datetime
    found: dict[str, int | str] = Field(
        description="`catalogue`: open jobs in SciCat and how they differ from the ledger, or the error; "
        "`visibility` tells whether an empty list can be believed. `engine`: flows that were lost and restarted, and "
        "flows stuck by a fault of the service. `staging`: how the staging area differs from the ledger, or the error; "
        "`advice` says what an operator should look after. `fixity`: staged datablocks that were read again. "
        "`recalls from NAME`: how wrong the outlooks were of what came lately from that long-term store: the error as a "
        "share of the wait, of half of them and of nine in ten."
    )


class Overview(BaseModel):
    """Reports that are not delivered to SciCat yet, and the findings of the regular looks."""

    reports_waiting: int = Field(serialization_alias="reportsWaiting")
    reports_parked: int = Field(serialization_alias="reportsParked")
    reports_undeliverable: int = Field(
        serialization_alias="reportsUndeliverable",
        description="Those of the parked ones that can never be told.",
    )
    looks: dict[str, Look]


@router.get("", summary="How the service fares", responses=documented(401, 403, 503))
def overview(request: Request) -> Overview:
    """Give the counts of reports that wait for SciCat, and the findings of the last regular looks."""
    ledger = service_of(request).ledger
    waiting, parked = ledger.reports.count()
    looks = {
        name: Look(at=each.at, found=dict(each.found)) for name, each in ledger.findings.latest().items()
    }
    return Overview(
        reports_waiting=waiting,
        reports_parked=parked,
        reports_undeliverable=ledger.reports.count_undeliverable(),
        looks=looks,
    )
