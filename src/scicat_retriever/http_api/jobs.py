"""Intake and status of jobs."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Security
from pydantic import BaseModel, Field

from scicat_retriever.catalogue.wire import parse_job
from scicat_retriever.domain.errors import JobNotFound, JobTooLarge
from scicat_retriever.domain.ids import JobId
from scicat_retriever.http_api.auth import bearer_scheme
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.http_api.status import JobStatus, job_status
from scicat_retriever.pipeline import intake
from scicat_retriever.ports.ledger import JobRecord

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
                "items": {"type": "string"},
                "description": "Empty: the whole dataset.",
            },
        },
    },
}


class FlowAnswer(BaseModel):
    """The flow that carries a job out: the same for every repetition of the request."""

    uuid: str = Field(description="The flow's UUID.")
    name: str = Field(description="The flow's name.")


def _authorized(request: Request) -> None:
    service_of(request).guard.check(request)


router = APIRouter(
    prefix="/api/v1/jobs", tags=["jobs"], dependencies=[Security(bearer_scheme), Depends(_authorized)]
)


@router.post(
    "",
    status_code=201,
    summary="Take a retrieve job",
    responses=documented(401, 413, 422, 503),
    openapi_extra={
        "requestBody": {"required": True, "content": {"application/json": {"schema": _JOB_SCHEMA}}}
    },
)
async def create_job(request: Request) -> FlowAnswer:
    """Store the job, answer, then retrieve it. Posting it again gives the same answer and changes nothing."""
    service = service_of(request)
    body = await _bounded_body(request, service)
    record = await asyncio.to_thread(_accept, body, service)
    service.wake()
    return FlowAnswer(uuid=record.flow.uuid, name=record.flow.name)


def _accept(body: bytes, service: Service) -> JobRecord:
    return intake.accept(parse_job(body, service.job_types), service.ledger)


async def _bounded_body(request: Request, service: Service) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > service.max_body_bytes:
            raise JobTooLarge(f"the job is larger than {service.max_body_bytes} bytes (api.max_body_bytes)")
    return bytes(body)


@router.get("/{job_id}", summary="How far a job is", responses=documented(401, 404, 422, 503))
def read_job(
    request: Request,
    job_id: str,
    *,
    datablocks: Annotated[bool, Query(description="Whether to list each dataset's datablocks.")] = True,
) -> JobStatus:
    """Give the job's state, its datasets and datablocks with bytes done and total, and what they wait for."""
    status = job_status(JobId(job_id), service_of(request).ledger, datablocks=datablocks)
    if status is None:
        raise JobNotFound("no such job was ever posted here")
    return status
