"""Zips and tars of retrievals, and their single files: below the job's link, as the page shows them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Annotated, Any, Literal

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.http_api.downloads.ranged import Conditions, StreamedAnswer, Whole, ranged
from scicat_retriever.http_api.downloads.slots import slots_of
from scicat_retriever.http_api.downloads.uses import uses_of
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.retrievals.admission import TicketText, admitted
from scicat_retriever.http_api.retrievals.view import Shown
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.pipeline.delivery.archives import ArchiveShelf
from scicat_retriever.pipeline.delivery.contents import sources
from scicat_retriever.pipeline.delivery.selections import LONGEST_PATTERN, MOST_PATTERNS, Selection
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH
from scicat_retriever.ports.datablock_record import DatablockRecord

router = APIRouter(prefix=RETRIEVALS_PATH, tags=["retrievals"])

_MEDIA_TYPES = {"zip": "application/zip", "tar": "application/x-tar"}
_Kind = Annotated[Literal["zip", "tar"], Path(description="What the archive is.")]
_Files = Annotated[
    list[Annotated[str, Query(min_length=1, max_length=LONGEST_PATTERN)]],
    Query(
        max_length=MOST_PATTERNS,
        description="Only files that one of these patterns fits, or that lie below a folder that it fits: paths as the page "
        "shows them, where `*` stands for anything, `/` included. May be given again.",
    ),
]
_Range = Annotated[str | None, Header(alias="Range")]
_IfRange = Annotated[str | None, Header(alias="If-Range")]
_IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The whole",
        "content": {each: {} for each in _MEDIA_TYPES.values()},
    },
    206: {
        "description": "The range asked for",
        "content": {each: {} for each in _MEDIA_TYPES.values()},
    },
    304: {"description": "The version that `If-None-Match` names is the present one"},
    **documented(403, 404, 409, 410, 416, 422, 503, page=True),
}


@router.head("/{ticket}/all.{kind}", include_in_schema=False)
@router.get(
    "/{ticket}/all.{kind}",
    summary="Download all of a retrieval, or a selection, as one archive",
    response_class=Response,
    responses=_ANSWERS,
)
async def whole_retrieval(
    request: Request,
    ticket: TicketText,
    kind: _Kind,
    files: _Files = [],  # noqa: B006 - never changed
    range_header: _Range = None,
    if_range: _IfRange = None,
    if_none_match: _IfNoneMatch = None,
) -> Response:
    """Give the datasets that are ready, each in a folder of its own. The archive is computed, and resumable.

    Its name says where some of the job's datasets are not in it.
    """
    asked = Conditions(range_header, if_range, if_none_match)
    return await _sent(request, ticket, None, kind, Selection(tuple(files)), asked)


@router.head("/{ticket}/datasets/{number}/all.{kind}", include_in_schema=False)
@router.get(
    "/{ticket}/datasets/{number}/all.{kind}",
    summary="Download a dataset of a retrieval, or a selection of it, as one archive",
    response_class=Response,
    responses=_ANSWERS,
)
async def whole_dataset(
    request: Request,
    ticket: TicketText,
    number: Annotated[int, Path(ge=1, le=2**31, description="The dataset's place in the job.")],
    kind: _Kind,
    files: _Files = [],  # noqa: B006 - never changed
    range_header: _Range = None,
    if_range: _IfRange = None,
    if_none_match: _IfNoneMatch = None,
) -> Response:
    """Give a dataset that is ready, in a folder of its own. The archive is computed, and resumable."""
    asked = Conditions(range_header, if_range, if_none_match)
    return await _sent(request, ticket, number, kind, Selection(tuple(files)), asked)


async def _sent(
    request: Request, ticket: str, number: int | None, kind: str, selection: Selection, asked: Conditions
) -> Response:
    slots = slots_of(request)
    await slots.take()
    try:
        answer = await to_thread.run_sync(
            _answer, request, ticket, number, kind, selection, asked, limiter=slots.openers
        )
    except BaseException:
        slots.release()
        raise
    if isinstance(answer, StreamedAnswer):
        answer.then(slots.release)
    else:
        slots.release()
    return answer


def _answer(
    request: Request, text: str, number: int | None, kind: str, selection: Selection, asked: Conditions
) -> Response:
    service = service_of(request)
    job_id = admitted(text, service).job_id
    shown = Shown(job_id, "", service)
    pids = shown.ready() if number is None else shown.ready_one(number)
    needed = service.ledger.needs.datablocks
    found = sources(
        {pid: shown.name(pid) for pid in pids},
        {pid: shown.source_folder(pid) for pid in pids},
        lambda pid: needed(job_id, pid),
        service.ledger,
    )
    archive = shelf_of(request).archive(kind, found, selection)
    part = "-selection" if selection.patterns else ""
    name = f"{shown.archive_name(pids, whole=number is None)}{part}.{kind}"
    stack = ExitStack()
    use = _teller(request, service)
    whole = Whole(
        name,
        archive.layout.size,
        archive.layout.etag,
        lambda wanted: archive.read(wanted, service.staging, use, stack),
        _MEDIA_TYPES[kind],
    )
    try:
        return ranged(request, whole, asked, stack)
    except BaseException:
        stack.close()
        raise


def _teller(request: Request, service: Service) -> Callable[[DatablockRecord], None]:
    uses = uses_of(request)

    def tell(record: DatablockRecord) -> None:
        # That the ledger does not answer now is no reason to break a download off.
        with suppress(LedgerUnavailable):
            uses.tell(record, service.clock(), service.ledger.cache)

    return tell


def shelf_of(request: Request) -> ArchiveShelf:
    """Give the shelf that the application was made with."""
    shelf = request.app.state.shelf
    assert isinstance(shelf, ArchiveShelf)  # noqa: S101 - tells the type checker what `create_app` put there
    return shelf
