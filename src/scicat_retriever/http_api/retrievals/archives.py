"""Zips and tars of retrievals, and their single files: below the job's link, as the page shows them."""

from __future__ import annotations

import base64
from contextlib import ExitStack
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request, Response

from scicat_retriever.domain.errors import NothingSelected
from scicat_retriever.http_api.downloads.journal import Right
from scicat_retriever.http_api.downloads.ranged import OCTETS, Asked, Conditions, Whole, ranged, sent
from scicat_retriever.http_api.downloads.uses import in_use
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.retrievals.admission import Number, TicketText, admitted
from scicat_retriever.http_api.retrievals.view import Shown
from scicat_retriever.http_api.service import service_of
from scicat_retriever.pipeline.delivery.archives import ArchiveShelf, read_entry
from scicat_retriever.pipeline.delivery.browsing import file_at
from scicat_retriever.pipeline.delivery.selections import LONGEST_PATTERN, MOST_PATTERNS, Selection
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH, Ticket

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


_ANSWERS_OF_FILE = _ANSWERS | {
    status: {"description": _ANSWERS[status]["description"], "content": {OCTETS: {}}} for status in (200, 206)
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
    asked: Asked,
    files: _Files = [],  # noqa: B006 - never changed
) -> Response:
    """Give the datasets that are ready, each in a folder of its own. The archive is computed, and resumable.

    Its name says where some of the job's datasets are not in it.
    """
    return await sent(request, partial(_archive, request, ticket, None, kind, Selection(tuple(files)), asked))


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
    number: Number,
    kind: _Kind,
    asked: Asked,
    files: _Files = [],  # noqa: B006 - never changed
) -> Response:
    """Give a dataset that is ready, in a folder of its own. The archive is computed, and resumable."""
    return await sent(
        request, partial(_archive, request, ticket, number, kind, Selection(tuple(files)), asked)
    )


@router.head("/{ticket}/datasets/{number}/files/{path:path}", include_in_schema=False)
@router.get(
    "/{ticket}/datasets/{number}/files/{path:path}",
    summary="Download one file of a dataset",
    response_class=Response,
    responses=_ANSWERS_OF_FILE,
)
async def single_file(
    request: Request,
    ticket: TicketText,
    number: Number,
    path: Annotated[str, Path(max_length=2000, description="As the page shows it.")],
    asked: Asked,
) -> Response:
    """Give a file out of the archive that it lies in, whole or a range of it."""
    return await sent(request, partial(_file, request, ticket, number, path, asked))


def _archive(
    request: Request, text: str, number: int | None, kind: str, selection: Selection, asked: Conditions
) -> Response:
    service = service_of(request)
    ticket = admitted(text, service)
    shown = Shown(ticket.job_id, "", service)
    pids = shown.ready() if number is None else shown.ready_one(number)
    archive = shelf_of(request).archive(kind, shown.needed(pids), selection)
    part = "-selection" if selection.patterns else ""
    stack, use = ExitStack(), in_use(request)
    whole = Whole(
        f"{shown.archive_name(pids, whole=number is None)}{part}.{kind}",
        archive.layout.size,
        archive.layout.etag,
        lambda wanted: archive.read(wanted, service.staging, use, stack),
        _MEDIA_TYPES[kind],
    )
    return ranged(request, whole, asked, stack, _right(ticket, _asked_for(number, kind, selection)))


def _asked_for(number: int | None, kind: str, selection: Selection) -> str:
    """Give the path of an archive below the retrieval, and what was chosen of it."""
    folder = "" if number is None else f"datasets/{number}/"
    chosen = "&".join(f"files={pattern}" for pattern in selection.patterns)
    return f"{folder}all.{kind}{'?' if chosen else ''}{chosen}"


def _right(ticket: Ticket, what: str) -> Right:
    return Right(f"link {ticket.id}", what, ticket.job_id)


def _file(request: Request, text: str, number: int, path: str, asked: Conditions) -> Response:
    service = service_of(request)
    ticket = admitted(text, service)
    shown = Shown(ticket.job_id, "", service)
    (pid,) = shown.ready_one(number)
    contents = shelf_of(request).contents(shown.needed([pid]))
    entry = file_at(contents, f"{shown.name(pid)}/{path}")
    if entry is None:
        raise NothingSelected("the dataset has no such file: see the names on its page")
    algorithm = str(contents.sources[entry.source].manifest.hashing)
    stack, use = ExitStack(), in_use(request)
    whole = Whole(
        path.rpartition("/")[2],
        entry.size,
        f"{algorithm}-{entry.digest}",
        read_entry(entry, contents.sources, service.staging, use, stack),
        digest=_repr_digest(algorithm, entry.digest),
    )
    return ranged(request, whole, asked, stack, _right(ticket, f"datasets/{number}/files/{path}"))


def _repr_digest(algorithm: str, digest: str) -> str:
    """Write a digest as `Repr-Digest` (RFC 9530); empty for what has no name there."""
    name = {"sha256": "sha-256", "sha512": "sha-512"}.get(algorithm)
    return "" if name is None else f"{name}=:{base64.b64encode(bytes.fromhex(digest)).decode()}:"


def shelf_of(request: Request) -> ArchiveShelf:
    """Give the shelf that the application was made with."""
    shelf = request.app.state.shelf
    assert isinstance(shelf, ArchiveShelf)  # noqa: S101 - tells the type checker what `create_app` put there
    return shelf
