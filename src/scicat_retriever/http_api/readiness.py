"""The readiness of the service: for load balancers, monitoring, and people who see nothing happen."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.http_api.service import service_of

router = APIRouter(prefix="/api/v1", tags=["service"])
LONGEST = 5.0
"""Seconds that a dependency may take to answer."""
_WORDS = {
    "ledger": "the ledger cannot be used",
    "staging": "the staging area cannot be used",
    "engine": "the workflow engine does not answer",
    "worker": "no worker of the service works",
}
"""Anybody may ask, so no more is told than this; the log, and the status of jobs, say more."""
log = structlog.get_logger(__name__)


class Dependency(BaseModel):
    """Something that the service needs."""

    ready: bool
    why: str | None = Field(None, description="What is wrong with it, in words.")


class Readiness(BaseModel):
    """Whether the service can do its work."""

    ready: bool
    ledger: Dependency
    staging: Dependency
    engine: Dependency
    worker: Dependency = Field(description="Whether a worker asks the engine for something to do.")


@router.get(
    "/ready",
    summary="Whether the service can do its work",
    responses={503: {"model": Readiness, "description": "Something that the service needs is not there."}},
)
async def ready(request: Request, response: Response) -> Readiness:
    """Say of each thing that the service needs whether it is there.

    Jobs are accepted as long as the ledger is there.

    The engine and the workers are looked at every few seconds: their part of the answer is a few seconds old.
    """
    service = service_of(request)
    ledger, staging = await asyncio.gather(
        _answers(service.ledger.findings.latest), _answers(service.staging.room)
    )
    trouble = service.engine_trouble()
    found = {"ledger": ledger, "staging": staging, **{name: why is None for name, why in trouble.items()}}
    everything = all(found.values())
    if not everything:
        response.status_code = 503
    told = {
        name: Dependency(ready=is_there, why=None if is_there else _WORDS[name])
        for name, is_there in found.items()
    }
    return Readiness(ready=everything, **told)


async def _answers(question: Callable[[], object]) -> bool:
    try:
        async with asyncio.timeout(LONGEST):
            await asyncio.to_thread(question)
    except (TimeoutError, RetrieverError) as error:
        log.warning("something that the service needs is not there", why=str(error) or "it does not answer")
        return False
    return True
