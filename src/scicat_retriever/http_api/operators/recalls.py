"""The open recalls, for operators: what each waits for, and how long."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from scicat_retriever.domain.errors import StoreUnknown
from scicat_retriever.domain.ids import JobId
from scicat_retriever.domain.states import RecallPhase
from scicat_retriever.http_api.bodies import body_as, documented_body
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_OPERATE, MAY_READ, service_of
from scicat_retriever.ports.recalls import RecallRecord

router = APIRouter(prefix="/api/v1", tags=["service"])


class StoreRecalls(BaseModel):
    """How many recalls of a long-term store are open."""

    store: str = Field(description="Its name in the settings.")
    waiting: int = Field(
        description="They are not asked for just now: their turn has not come, the store does not answer or has no such "
        "archive, or the recall failed and is asked for again."
    )
    asked: int = Field(description="The store was asked for them.")
    online: int = Field(description="They can be read and are not copied yet.")
    ended: int = Field(description="The store will not give them; their datasets hear of it.")


class OpenRecall(BaseModel):
    """An archive that is wanted from tape."""

    pid: str = Field(description="The dataset.")
    archive_id: str = Field(serialization_alias="archiveId")
    store: str = Field(
        description="The long-term store that it is recalled from, by its name in the settings."
    )
    phase: RecallPhase
    tape: str | None = Field(description="Its tape, where the store tells.")
    position: int | None = Field(description="Where on that tape it lies.")
    size: int = Field(description="Bytes.")
    group: str = Field(description="The owner group that wants it; empty where that is not known.")
    priority: int = Field(description="The highest of the jobs that wait for its dataset.")
    wanted_at: datetime = Field(serialization_alias="wantedAt")
    asked_at: datetime | None = Field(serialization_alias="askedAt")
    expected_at: datetime | None = Field(
        serialization_alias="expectedAt",
        description="When it was expected online, as foretold when it was asked for.",
    )
    waiting_for: str | None = Field(serialization_alias="waitingFor")

    @classmethod
    def of(cls, record: RecallRecord) -> OpenRecall:
        """Make the entry of an open recall."""
        tape = record.tape if record.tape is not None and record.tape.tape else None
        return cls(
            pid=record.key.pid,
            archive_id=record.archive_id,
            store=record.store,
            phase=record.phase,
            tape=None if tape is None else tape.tape,
            position=None if tape is None else tape.position,
            size=record.bytes,
            group=record.group,
            priority=record.priority,
            wanted_at=record.wanted_at,
            asked_at=record.asked_at,
            expected_at=record.expected_at,
            waiting_for=record.reason or None,
        )


class Recalls(BaseModel):
    """The open recalls: their counts, and some of them."""

    stores: list[StoreRecalls]
    recalls: list[OpenRecall] = Field(description="Those that were wanted first, of each store.")


class Priority(BaseModel):
    """How urgent a job is."""

    model_config = ConfigDict(extra="forbid")

    priority: int = Field(ge=-1000, le=1000, description="The larger goes first to tape; 0 is ordinary.")


def _named(stores: Sequence[str]) -> str:
    return f"there {'is only' if len(stores) == 1 else 'are'} {', '.join(stores)}"


@router.get(
    "/recalls",
    dependencies=MAY_READ,
    summary="Recalls: archives that are wanted from tape",
    responses=documented(401, 403, 404, 422, 503),
)
def list_recalls(
    request: Request,
    store: Annotated[str | None, Query(max_length=100, description="Only of this store.")] = None,
    limit: Annotated[int, Query(ge=0, le=1000)] = 100,
) -> Recalls:
    """Give the count of open recalls of each store, and the recalls that were wanted first."""
    service = service_of(request)
    ledger, every = service.ledger, service.ledger.recalls.counts()
    # Recalls of a store that was taken out of the settings are still shown.
    if store is not None and store not in {*service.stores, *every}:
        raise StoreUnknown(f"there is no long-term store {store!r}; {_named(service.stores)}")
    counts = {name: each for name, each in sorted(every.items()) if store is None or name == store}
    found = (
        [OpenRecall.of(each) for name in counts for each in ledger.recalls.of_store(name, limit)]
        if limit
        else []
    )
    stores = [
        StoreRecalls(store=name, **{phase.value: its.get(phase, 0) for phase in RecallPhase})
        for name, its in counts.items()
    ]
    return Recalls(stores=stores, recalls=found)


@router.put(
    "/jobs/{job_id}/priority",
    tags=["jobs"],
    dependencies=MAY_OPERATE,
    summary="Have a job go first to tape",
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    openapi_extra=documented_body(Priority, required=True),
)
async def set_priority(request: Request, job_id: str) -> Priority:
    """Set the priority of a job that has not ended.

    Each open recall of its datasets then has the highest priority of the jobs that wait for the dataset now;
    this may be lower than before.
    """
    wanted = await body_as(request, Priority)
    ledger = service_of(request).ledger
    await asyncio.to_thread(ledger.recalls.set_priority, JobId(job_id), wanted.priority)
    return wanted
