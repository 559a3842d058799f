"""The links of retrievals, for operators: show the one of a job, and end those that were given."""

from __future__ import annotations

from urllib.parse import unquote

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from scicat_retriever.domain.errors import JobNotFound
from scicat_retriever.domain.ids import JobId
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_OPERATE, Service, service_of

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], dependencies=MAY_OPERATE)


class JobLink(BaseModel):
    """The link of a job's retrieval: whoever has it can download."""

    url: str = Field(description="The page, or JSON.")
    id: str = Field(description="What the rows of downloads call it. The link cannot be made of it.")
    revoked: int = Field(description="How often links of the job were revoked.")


@router.get(
    "/{job_id}/link", summary="The link of a job's retrieval", responses=documented(401, 403, 404, 422, 503)
)
def show_link(request: Request, job_id: str) -> JobLink:
    """Give the link that is good now."""
    service = service_of(request)
    if service.ledger.jobs.get(JobId(job_id)) is None:
        raise JobNotFound(f"the ledger has no job {job_id}")
    return _link(JobId(job_id), service.ledger.links.serial(JobId(job_id)), service)


@router.post(
    "/{job_id}/link/revoke",
    summary="End all links of a job's retrieval",
    responses=documented(401, 403, 404, 422, 503),
)
def revoke_links(request: Request, job_id: str) -> JobLink:
    """End the links that were given, those to its single datablocks left out. Gives a new one.

    SciCat keeps the old link until the job is told again: `retriever staging pin --job` does that.
    """
    service = service_of(request)
    return _link(JobId(job_id), service.ledger.links.revoke(JobId(job_id)), service)


def _link(job_id: JobId, serial: int, service: Service) -> JobLink:
    url = service.links.retrieval(job_id, serial)
    ticket = service.links.ticket(unquote(url.rpartition("/")[2]))
    return JobLink(url=url, id=ticket.id, revoked=serial)
