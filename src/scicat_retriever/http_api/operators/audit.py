"""What was downloaded, for operators: one row for each request that was answered with bytes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from scicat_retriever.domain.ids import JobId
from scicat_retriever.http_api.downloads.journal import SEEN_AGAIN_AFTER
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.service import MAY_READ, service_of
from scicat_retriever.ports.downloads import Download, DownloadEnd

router = APIRouter(prefix="/api/v1/audit", tags=["service"], dependencies=MAY_READ)
LOST_AFTER = 5 * SEEN_AGAIN_AFTER
"""A download of which nothing was heard for so long has ended, or its process cannot reach the ledger."""
End = Literal["running", "elsewhere", "whole", "broken off", "failed", "not known"]


class DownloadEntry(BaseModel):
    """One request that was answered with bytes, or sent elsewhere for them."""

    number: int = Field(description="Give the last one as `before`, for older ones.")
    job: str | None = Field(description="The job of the retrieval; null for a link to one datablock.")
    who: str = Field(description="By whose right: the id of a link. The link cannot be made of it.")
    what: str = Field(description="The path below the retrieval, or the name of the datablock's file.")
    first: int = Field(description="The first byte that was asked for, from 0.")
    last: int = Field(description="The last byte that was asked for; `first - 1` where the whole is empty.")
    sent: int | None = Field(
        description="Bytes that were handed to the network until `seen`; null where that is not known."
    )
    began: datetime
    seen: datetime = Field(description="When it ended; of one that has not, when it was last known to run.")
    end: End = Field(
        description="`whole`: all bytes were handed to the network; whether they arrived is not known. `broken off`: the client "
        "went away, or was too slow, or the service was stopped. `failed`: the service could not go on. `elsewhere`: the client "
        "was sent to the storage's own server, and what that one sent is not known. `not known`: its process was killed, or "
        "cannot reach the ledger."
    )

    @classmethod
    def of(cls, number: int, download: Download, now: datetime) -> DownloadEntry:
        """Show a download."""
        return cls(
            number=number,
            job=download.job_id,
            who=download.who,
            what=download.what,
            first=download.first,
            last=download.last,
            sent=download.sent,
            began=download.began,
            seen=download.seen,
            end=_end(download, now - download.seen),
        )


class JobSum(BaseModel):
    """The downloads of a job that are still kept."""

    job: str
    downloads: int
    sent: int = Field(description="Bytes that were handed to the network, where that is known.")
    last: datetime = Field(description="When the last one began.")


class DownloadPage(BaseModel):
    """Some of the downloads, the last one first, and the sums of their jobs."""

    downloads: list[DownloadEntry]
    sums: list[JobSum] = Field(description="Of the jobs of these downloads, over all pages.")
    next: int | None = Field(description="Give it as `before`, for older ones; null where there are none.")


@router.get(
    "/downloads", summary="What was downloaded, and how that ended", responses=documented(401, 403, 422, 503)
)
def list_downloads(
    request: Request,
    job: Annotated[str | None, Query(max_length=1000, description="Only of this job.")] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="Only below this number.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> DownloadPage:
    """Give downloads, the last one first. They are kept for `api.downloads_kept`."""
    service = service_of(request)
    job_id = None if job is None else JobId(job)
    found = list(service.ledger.downloads.find(job_id, before, limit + 1))
    shown, now = found[:limit], service.clock()
    jobs = list(dict.fromkeys(each.job_id for _, each in shown if each.job_id is not None))
    return DownloadPage(
        downloads=[DownloadEntry.of(number, each, now) for number, each in shown],
        sums=[
            JobSum(job=each.job_id, downloads=each.downloads, sent=each.sent, last=each.last)
            for each in service.ledger.downloads.sums(jobs)
        ],
        next=shown[-1][0] if len(found) > limit else None,
    )


def _end(download: Download, silent: timedelta) -> End:
    is_lost = download.end is DownloadEnd.RUNNING and silent > LOST_AFTER
    return "not known" if is_lost else download.end.value
