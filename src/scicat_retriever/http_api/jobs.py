"""Intake and status of jobs."""

from __future__ import annotations

import asyncio
from typing import Annotated

import structlog
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from scicat_retriever.catalogue.wire import MAX_FILE_NAME, MAX_FILES, judge
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import JobNotFound, JobRefused, JobUnderWay, LedgerUnavailable
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.http_api.bodies import body_as, bounded_body, documented_body
from scicat_retriever.http_api.intake_queue import intake_of
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_OPERATE, MAY_POST, MAY_READ_A_JOB, Service, service_of
from scicat_retriever.http_api.status import JobStatus, job_status
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.ports.jobs import FlowName

_LARGE_BYTES = 1 << 16
"""The most bytes of a body that is judged in the event loop.

A longer body takes so many milliseconds that other requests should not wait for it.
"""

_JOB_SCHEMA = {
    "type": "object",
    "required": ["id", "type"],
    "properties": {
        "id": {"type": "string"},
        "type": {"type": "string", "examples": ["retrieve"]},
        "jobParams": {
            "type": "object",
            "properties": {"datasetList": {"$ref": "#/components/schemas/DatasetList"}},
            "description": "SciCat v4 keeps the dataset list here.",
        },
        "datasetList": {"$ref": "#/components/schemas/DatasetList"},
    },
    "description": "SciCat's job, v4 or v3, or just `id` and `type`: then the rest is read from SciCat.",
}
DATASET_LIST_SCHEMA = {
    "type": "array",
    "minItems": 1,
    "items": {
        "type": "object",
        "required": ["pid"],
        "properties": {
            "pid": {"type": "string"},
            "files": {
                "type": "array",
                "items": {"type": "string", "minLength": 1},
                "description": "Paths as the catalogue lists them; empty: the whole dataset. A job may name "
                f"{MAX_FILES} files, each of {MAX_FILE_NAME} bytes at most.",
            },
        },
    },
}


class FlowAnswer(BaseModel):
    """The flow that carries the job out: the same for every repetition of the request."""

    uuid: str = Field(description="The flow's UUID.")
    name: str = Field(description="The flow's name.")


log = structlog.get_logger(__name__)
router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])


@router.post(
    "",
    status_code=201,
    dependencies=MAY_POST,
    summary="Take a retrieve job",
    responses=documented(401, 403, 409, 413, 422, 503),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _JOB_SCHEMA}}}
    },
)
async def create_job(request: Request) -> FlowAnswer:
    """Store the job, answer, then retrieve it. Posting it again gives the same answer and changes nothing.

    A job that can never be carried out is refused, and SciCat is told `finishedUnsuccessful` with the same
    words: with this answer alone, the job would stay open there for ever. A job may have been refused since a
    copy of it could not be read; if it now comes with datasets, it is read from SciCat once, and carried out
    as it is there.
    """
    service = service_of(request)
    body = await bounded_body(request)
    try:
        job = await _judged(body, service)
    except JobRefused as refused:
        flow = await asyncio.to_thread(_flow_in_spite_of, refused, service)
    except JobUnderWay as update:
        flow = await asyncio.to_thread(_flow_that_caused, update, service)
    else:
        record = await intake_of(request).store(job)
        if (refusal := intake.refusal_of(record)) is not None:
            raise refusal
        flow = record.flow
        service.wake()
    return FlowAnswer(uuid=flow.uuid, name=flow.name)


async def _judged(body: bytes, service: Service) -> RetrieveJob:
    limits = service.job_types, service.max_body_bytes
    if len(body) > _LARGE_BYTES:
        return await asyncio.to_thread(judge, body, *limits)
    return judge(body, *limits)


def _flow_in_spite_of(refused: JobRefused, service: Service) -> FlowName:
    """Note the refusal of a job and raise it; gives the job's flow if the job was accepted before."""
    try:
        record = intake.refuse(refused, service.ledger.jobs)
    except LedgerUnavailable as error:
        # The refusal stands without the ledger, and the job will be found open in SciCat.
        log.warning("SciCat is told later that a job is refused", why=str(error))
        raise refused from None
    told = refused if record is None else intake.refusal_of(record)
    if record is None or told is not None:
        raise refused if str(told) == str(refused) else told or refused
    return record.flow


def _flow_that_caused(update: JobUnderWay, service: Service) -> FlowName:
    """Give the flow of a job of this service whose update SciCat hands back; else raises `update`."""
    flow = None if update.job_id is None else service.ledger.job_flows.of(update.job_id)
    if flow is None:
        raise update
    return flow


class RetryRequest(BaseModel):
    """The datasets to retrieve again."""

    model_config = ConfigDict(extra="forbid")

    datasets: list[str] | None = Field(
        None,
        min_length=1,
        description="Pids of the datasets to retrieve again; all that are not there if absent.",
    )


@router.delete(
    "/{job_id}",
    status_code=202,
    dependencies=MAY_OPERATE,
    summary="Cancel a job",
    responses=documented(401, 403, 404, 409, 422, 503),
)
async def cancel_job(
    request: Request,
    job_id: str,
    *,
    by: Annotated[
        str,
        Query(
            min_length=1,
            max_length=100,
            pattern=r"^[^\x00-\x1f\x7f]+$",
            description="Who cancels; SciCat is told.",
        ),
    ] = "an operator",
) -> JobStatus:
    """Cancel the job: stop its transfers, and tell SciCat that it was cancelled, and by whom.

    What no other job needs is given back.

    The answer comes at once. The job ends seconds later, as its status shows.
    """
    service = service_of(request)
    await asyncio.to_thread(service.ledger.jobs.cancel, JobId(job_id), by)
    service.wake()
    return await asyncio.to_thread(_status, JobId(job_id), service)


@router.post(
    "/{job_id}/retry",
    status_code=202,
    dependencies=MAY_OPERATE,
    summary="Retrieve again what a job did not bring",
    responses=documented(401, 403, 404, 409, 413, 422, 503),
    openapi_extra=documented_body(RetryRequest, required=False),
)
async def retry_job(request: Request, job_id: str) -> JobStatus:
    """Carry an ended job out again: its datasets that failed or are gone by now.

    Datablocks that are verified already are used again.
    """
    service = service_of(request)
    datasets = (await body_as(request, RetryRequest, absent=b"{}")).datasets
    pids = None if datasets is None else {DatasetPid(pid) for pid in datasets}
    await asyncio.to_thread(intake.retry, JobId(job_id), service.ledger.jobs, pids)
    service.wake()
    return await asyncio.to_thread(_status, JobId(job_id), service)


def _status(job_id: JobId, service: Service, *, datablocks: bool = False) -> JobStatus:
    status = job_status(job_id, service.ledger, datablocks=datablocks)
    if status is None:
        raise JobNotFound("no such job was ever posted here")
    if status.state.finished:
        return status
    why = next((why for why in service.engine_trouble().values() if why), None)
    return status.model_copy(update={"waiting_for": why})


@router.get(
    "/{job_id}",
    dependencies=MAY_READ_A_JOB,
    summary="How far a job is",
    responses=documented(401, 403, 404, 422, 503),
)
def read_job(
    request: Request,
    job_id: str,
    *,
    datablocks: Annotated[bool, Query(description="Whether to list each dataset's datablocks.")] = True,
) -> JobStatus:
    """Give the job's state, its datasets and datablocks with bytes done and total, and what they wait for."""
    return _status(JobId(job_id), service_of(request), datablocks=datablocks)
