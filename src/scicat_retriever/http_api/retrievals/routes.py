"""The routes of retrievals: all lie below the job's link, whose secret part is the right to them."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel

from scicat_retriever.domain.errors import ArchiveNotReady, LinkReleased, NothingSelected
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.http_api.downloads.slots import slots_of
from scicat_retriever.http_api.html import html
from scicat_retriever.http_api.pages import wants_page
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.retrievals import view
from scicat_retriever.http_api.retrievals.admission import Number, TicketText, admitted, url_of
from scicat_retriever.http_api.retrievals.archives import shelf_of
from scicat_retriever.http_api.retrievals.folders import Folder, folder_of
from scicat_retriever.http_api.retrievals.view import Availability, Retrieval, RetrievedDataset, Shown
from scicat_retriever.http_api.service import service_of
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH

router = APIRouter(prefix=RETRIEVALS_PATH, tags=["retrievals"])

_After = Annotated[int, Query(ge=0, le=2**31, description="The number of the last one that was given.")]
_PAGE_TOO: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {"schema": {"type": "string"}}}}}


@router.get(
    "/{ticket}",
    summary="A retrieval: a page for people, JSON for programs",
    response_model=Retrieval,
    responses={**_PAGE_TOO, **documented(403, 404, 410, 422, 503, page=True)},
)
async def retrieval(request: Request, ticket: TicketText, after: _After = 0) -> Response | Retrieval:
    """Say how far a job is and where what it brought can be downloaded. No token is needed.

    Who asks for HTML in `Accept`, as browsers do, gets the page; everybody else JSON, with absolute URLs.
    """
    service = service_of(request)
    its = await asyncio.to_thread(admitted, ticket, service)
    shown = await asyncio.to_thread(view.retrieval, its.job_id, url_of(ticket, service), service, after)
    if not wants_page(request):
        return _json(shown)
    return html("retrieval.html", shown=shown, heading=_heading(shown), ended=shown.state.finished)


@router.get(
    "/{ticket}/datasets/{number}",
    summary="A dataset of a retrieval: a page for people, JSON for programs",
    response_model=RetrievedDataset,
    responses={**_PAGE_TOO, **documented(403, 404, 410, 422, 503, page=True)},
)
async def dataset(
    request: Request,
    ticket: TicketText,
    number: Number,
    after: _After = 0,
    folder: Annotated[str, Query(max_length=2000, description="The folder to show.")] = "",
    behind: Annotated[str, Query(max_length=255, description="The last name that was given of it.")] = "",
) -> Response | RetrievedDataset:
    """Say how far a dataset is and, once it is ready, where its archives and files are."""
    service = service_of(request)
    its = await asyncio.to_thread(admitted, ticket, service)
    url = url_of(ticket, service)
    shown = await asyncio.to_thread(view.dataset, its.job_id, number, url, service, after)
    if shown.state is Availability.READY:
        look = partial(_folder, request, Shown(its.job_id, url, service), shown, folder, behind)
        shown.folder = await to_thread.run_sync(look, limiter=slots_of(request).openers)
    return html("dataset.html", shown=shown, back=url) if wants_page(request) else _json(shown)


def _folder(request: Request, its: Shown, shown: RetrievedDataset, path: str, behind: str) -> Folder | None:
    try:
        contents = shelf_of(request).contents(its.needed([DatasetPid(shown.pid)]))
    except ArchiveNotReady:
        return None  # its archives can be downloaded all the same
    found = folder_of(contents, shown.name, path, behind, shown.url)
    if found is None:
        raise NothingSelected("the dataset has no such folder: see the names on its page")
    return found


@router.post(
    "/{ticket}/keep",
    summary="Keep what was retrieved for longer",
    status_code=303,
    response_class=Response,
    responses=documented(403, 404, 410, 422, 503, page=True),
)
async def keep(request: Request, ticket: TicketText) -> Response:
    """Keep the datasets that are ready for as long, from now, as when the job ended (`links.lifetime`).

    What was given back already is not brought back. Redirects to the page.
    """
    service = service_of(request)
    its = await asyncio.to_thread(admitted, ticket, service)
    url = url_of(ticket, service)
    shown = await asyncio.to_thread(view.retrieval, its.job_id, url, service)
    if not shown.ready:
        raise LinkReleased("nothing of this retrieval is kept any more: ask for the datasets again in SciCat")
    if shown.state.finished:
        until = service.clock() + service.lifetime + service.margin
        await asyncio.to_thread(service.ledger.pins.keep_for_job, its.job_id, until)
    return RedirectResponse(url, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


def _json(shown: BaseModel) -> Response:
    headers = {"Vary": "Accept", "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return Response(shown.model_dump_json(by_alias=True), headers=headers, media_type="application/json")


def _heading(shown: Retrieval) -> str:
    """Say in a few words how a retrieval stands."""
    if shown.ready and shown.ready == shown.total:
        return "Your data are ready" if shown.total > 1 else f"{shown.datasets[0].name} is ready"
    if shown.ready:
        return f"{shown.ready} of {shown.total} datasets are ready"
    if not shown.state.finished:
        return "Your data are on their way"
    if any(each.state is Availability.GONE for each in shown.datasets):
        return "Your data are not kept any more"
    return "Your data could not be retrieved"
