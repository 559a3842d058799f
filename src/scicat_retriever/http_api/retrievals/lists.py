"""Manifests of retrievals, lists of checksums, signatures of both, and the key to check these."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Header, Path, Request, Response
from fastapi.responses import PlainTextResponse

from scicat_retriever import __version__
from scicat_retriever.domain.errors import NothingSelected, NotSigned
from scicat_retriever.http_api.downloads.ranged import StreamedAnswer, file_headers, is_named, pieces_of, sent
from scicat_retriever.http_api.downloads.slots import slots_of
from scicat_retriever.http_api.problems import documented
from scicat_retriever.http_api.retrievals.admission import Number, TicketText, admitted
from scicat_retriever.http_api.retrievals.archives import shelf_of
from scicat_retriever.http_api.retrievals.view import Shown
from scicat_retriever.http_api.service import Service, service_of
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.pipeline.delivery.contents import Source
from scicat_retriever.pipeline.delivery.file_manifest import NAME, VERSION, Head, file_manifest
from scicat_retriever.pipeline.delivery.lists import PROGRAMS, checksum_list, in_lists, list_name
from scicat_retriever.pipeline.delivery.names import attachment
from scicat_retriever.pipeline.delivery.signature import ENDING, PUBLIC_KEY_PATH, ListSigner
from scicat_retriever.pipeline.tools.links import RETRIEVALS_PATH

router = APIRouter(prefix=RETRIEVALS_PATH, tags=["retrievals"])
key_router = APIRouter(tags=["retrievals"])

_Program = Annotated[
    Literal["MD5", "SHA1", "SHA224", "SHA256", "SHA384", "SHA512", "B2"],
    Path(description="The program that checks the list, in capital letters and without its `sum`."),
]
_IfNoneMatch = Annotated[str | None, Header(alias="If-None-Match")]
_JSON, _PLAIN = "application/json", "text/plain"
_UNCHANGED: dict[int | str, dict[str, Any]] = {
    304: {"description": "The version that `If-None-Match` names is the present one"}
}
_PROBLEMS = documented(403, 404, 409, 410, 422, 503, page=True)
_SIGNATURE: dict[int | str, dict[str, Any]] = {
    200: {"description": "The signature's file, of minisign", "content": {_PLAIN: {}}},
    **_PROBLEMS,
}
_MANIFEST: dict[int | str, dict[str, Any]] = {
    200: {"description": "The manifest", "content": {_JSON: {"schema": {"type": "object"}}}},
    **_UNCHANGED,
    **_PROBLEMS,
}
_LIST: dict[int | str, dict[str, Any]] = {
    200: {"description": "The list", "content": {_PLAIN: {}}},
    **_UNCHANGED,
    **_PROBLEMS,
}
_BY_PROGRAM = {program: algorithm for algorithm, program in PROGRAMS.items()}


@router.head(f"/{{ticket}}/{NAME}", include_in_schema=False)
@router.get(
    f"/{{ticket}}/{NAME}",
    summary="All files of a retrieval, with sizes, times and checksums",
    response_class=Response,
    responses=_MANIFEST,
)
async def manifest(request: Request, ticket: TicketText, if_none_match: _IfNoneMatch = None) -> Response:
    """Give the manifest of the datasets that are ready, as it is sent: in one piece, without ranges."""
    return await sent(request, partial(_list, request, ticket, None, None, if_none_match))


@router.get(
    f"/{{ticket}}/{NAME}{ENDING}",
    summary="The signature of a retrieval's manifest",
    response_class=Response,
    responses=_SIGNATURE,
)
async def manifest_signature(request: Request, ticket: TicketText) -> Response:
    """Sign the manifest as it is now (minisign)."""
    return await sent(request, partial(_signature, request, ticket, None, None))


@router.head("/{ticket}/{program}SUMS", include_in_schema=False)
@router.get(
    "/{ticket}/{program}SUMS",
    summary="A list of a retrieval's checksums, for sha256sum and its kin",
    response_class=Response,
    responses=_LIST,
)
async def checksums(
    request: Request, ticket: TicketText, program: _Program, if_none_match: _IfNoneMatch = None
) -> Response:
    """Give the list of what is ready, by one algorithm; 404 where no file has a checksum of it."""
    return await sent(request, partial(_list, request, ticket, None, _BY_PROGRAM[program], if_none_match))


@router.get(
    f"/{{ticket}}/{{program}}SUMS{ENDING}",
    summary="The signature of a list of a retrieval's checksums",
    response_class=Response,
    responses=_SIGNATURE,
)
async def checksums_signature(request: Request, ticket: TicketText, program: _Program) -> Response:
    """Sign the list as it is now (minisign)."""
    return await sent(request, partial(_signature, request, ticket, None, _BY_PROGRAM[program]))


@router.head(f"/{{ticket}}/datasets/{{number}}/{NAME}", include_in_schema=False)
@router.get(
    f"/{{ticket}}/datasets/{{number}}/{NAME}",
    summary="All files of a dataset, with sizes, times and checksums",
    response_class=Response,
    responses=_MANIFEST,
)
async def manifest_of_dataset(
    request: Request, ticket: TicketText, number: Number, if_none_match: _IfNoneMatch = None
) -> Response:
    """Give the manifest of a dataset that is ready, as it is sent: in one piece, without ranges."""
    return await sent(request, partial(_list, request, ticket, number, None, if_none_match))


@router.get(
    f"/{{ticket}}/datasets/{{number}}/{NAME}{ENDING}",
    summary="The signature of a dataset's manifest",
    response_class=Response,
    responses=_SIGNATURE,
)
async def manifest_signature_of_dataset(request: Request, ticket: TicketText, number: Number) -> Response:
    """Sign the manifest as it is now (minisign)."""
    return await sent(request, partial(_signature, request, ticket, number, None))


@router.head("/{ticket}/datasets/{number}/{program}SUMS", include_in_schema=False)
@router.get(
    "/{ticket}/datasets/{number}/{program}SUMS",
    summary="A list of a dataset's checksums, for sha256sum and its kin",
    response_class=Response,
    responses=_LIST,
)
async def checksums_of_dataset(
    request: Request,
    ticket: TicketText,
    number: Number,
    program: _Program,
    if_none_match: _IfNoneMatch = None,
) -> Response:
    """Give the list of a dataset that is ready, by one algorithm; 404 where no file has a checksum of it."""
    return await sent(request, partial(_list, request, ticket, number, _BY_PROGRAM[program], if_none_match))


@router.get(
    f"/{{ticket}}/datasets/{{number}}/{{program}}SUMS{ENDING}",
    summary="The signature of a list of a dataset's checksums",
    response_class=Response,
    responses=_SIGNATURE,
)
async def checksums_signature_of_dataset(
    request: Request, ticket: TicketText, number: Number, program: _Program
) -> Response:
    """Sign the list as it is now (minisign)."""
    return await sent(request, partial(_signature, request, ticket, number, _BY_PROGRAM[program]))


@key_router.get(
    PUBLIC_KEY_PATH,
    summary="The public key that signatures of manifests and lists are checked with",
    response_class=PlainTextResponse,
    responses=documented(404),
)
async def public_key(request: Request) -> PlainTextResponse:
    """Give the file that `minisign -p` takes. No token is needed."""
    return PlainTextResponse(_signer_of(service_of(request)).public_key)


@dataclass(frozen=True, slots=True)
class _Asked:
    """A manifest, or a list, that was asked for.

    Attributes:
        name: What its file is called.
        etag: Changes whenever a byte does; without quotes.
        media_type: What it is.
        write: Gives its bytes, each time anew.
        subject: What it is the file of.
    """

    name: str
    etag: str
    media_type: str
    write: Callable[[], Iterator[bytes]]
    subject: str


def _asked(request: Request, text: str, number: int | None, algorithm: ChecksumAlgorithm | None) -> _Asked:
    service = service_of(request)
    job_id = admitted(text, service).job_id
    shown = Shown(job_id, "", service)
    pids = shown.ready() if number is None else shown.ready_one(number)
    head = Head(__version__, job_id, shown.others(pids) if number is None else ())
    contents = shelf_of(request).contents(shown.needed(pids))
    found = contents.sources
    if algorithm is not None and not any(_is_listed(each, algorithm) for each in found):
        raise NothingSelected(
            f"no file has a catalogued {algorithm} checksum: the page, and manifest.json, say which lists there are"
        )
    subject = job_id if number is None else f"{job_id}/datasets/{number}"
    etag = _etag(algorithm, head, found)
    if algorithm is None:
        return _Asked(NAME, etag, _JSON, partial(file_manifest, contents, head), subject)
    write = partial(checksum_list, contents, algorithm)
    return _Asked(list_name(algorithm), etag, _PLAIN, write, subject)


def _list(
    request: Request,
    text: str,
    number: int | None,
    algorithm: ChecksumAlgorithm | None,
    if_none_match: str | None,
) -> Response:
    its = _asked(request, text, number, algorithm)
    tag = f'"{its.etag}"'
    headers = file_headers(its.name, tag, "none")
    if is_named(if_none_match, tag):
        return Response(None, 304, headers)
    if request.method == "HEAD":
        answer = Response(None, 200, headers, media_type=its.media_type)
        del answer.headers["content-length"]  # it is not known before all was written
        return answer
    return StreamedAnswer(
        pieces_of(its.write(), slots_of(request).readers), ExitStack(), 200, headers, its.media_type
    )


def _signature(
    request: Request, text: str, number: int | None, algorithm: ChecksumAlgorithm | None
) -> Response:
    service = service_of(request)
    signer = _signer_of(service)
    its = _asked(request, text, number, algorithm)
    headers = {
        "Content-Disposition": attachment(f"{its.name}{ENDING}"),
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    made = signer.sign(its.write(), its.name, its.subject, service.clock())
    return PlainTextResponse(made, headers=headers)


def _signer_of(service: Service) -> ListSigner:
    if service.signer is None:
        raise NotSigned(
            "this service has no key to sign with: ask those who run it to set links.manifest_secret"
        )
    return service.signer


def _is_listed(source: Source, algorithm: ChecksumAlgorithm) -> bool:
    return in_lists(source.record) and algorithm in source.manifest.hashing.algorithms


def _etag(algorithm: ChecksumAlgorithm | None, head: Head, found: Sequence[Source]) -> str:
    """Name a version by all that its bytes follow from."""
    told: list[object] = [VERSION, algorithm, head.service, head.job_id, *head.missing]
    for each in found:
        record = each.record
        told.append(
            [
                *(record.key.pid, record.key.id, record.archive_checksum, str(record.integrity)),
                *(str(record.staged_at), str(each.manifest.hashing), each.folder, each.source_folder),
                *(record.datablock.archive_id, record.bytes_total),
            ]
        )
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:32]
