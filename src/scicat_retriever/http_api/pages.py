"""Pages for scientists whose browser cannot get the file of a link: what happened, and what to do."""

from __future__ import annotations

from fastapi.responses import HTMLResponse
from starlette.requests import Request

from scicat_retriever.domain import errors
from scicat_retriever.http_api.html import html

_ASK_AGAIN = (
    "Open SciCat, find the dataset, and ask for it again (Retrieve). Once it is there, SciCat has new links for you: in "
    "the job's result, and in the e-mail, if your facility sends one."
)
_COPY_AGAIN = (
    "Copy the link again, whole and unchanged, from the job in SciCat or from the e-mail. On a command line put it in "
    "quotes: 'https://…'."
)
_ASK_WHO_GAVE_IT = (
    "Whoever runs this service, or asked for the data, has ended this link. Ask them for another one; or open SciCat and "
    "ask for the dataset again (Retrieve)."
)
_LOOK_AT_THE_PAGE = (
    "Open the page of the retrieval again: it shows what there is, with links that work. Its address is in SciCat, in the "
    "job's result, and in the e-mail, if your facility sends one."
)
_AS_STORED = (
    "Go back to the page of the dataset: its archives can be downloaded now, as they are stored. A zip can be made once the "
    "service has read them again, which it does by itself."
)
_LATER = "Try the same link again in a few minutes. If it stays so, tell those who run this service."
_WORDS = {
    errors.LinkExpired.code: ("This download link has expired", _ASK_AGAIN),
    errors.LinkReleased.code: ("This file is no longer kept for download", _ASK_AGAIN),
    errors.NothingSelected.code: ("There is no such file or folder", _LOOK_AT_THE_PAGE),
    errors.ArchiveNotReady.code: ("There is no zip or tar of this yet", _AS_STORED),
    errors.JobNotFound.code: ("This retrieval is not known", _ASK_AGAIN),
    errors.LinkRevoked.code: ("This link was revoked", _ASK_WHO_GAVE_IT),
    errors.LinkTampered.code: ("This is not the whole link", _COPY_AGAIN),
}
_SIGNED = {errors.LinkExpired.code, errors.LinkReleased.code}
"""Errors of links whose signature was right: the dataset in the link is one that this service named."""


def wants_page(request: Request) -> bool:
    """Say whether a request prefers a page to JSON, as browsers do (RFC 9110, section 12.5.1)."""
    page = json = 0.0
    for each in ",".join(request.headers.getlist("accept")).split(","):
        kind, *parameters = (part.strip().lower() for part in each.split(";"))
        quality = _quality(parameters)
        if kind in {"text/html", "application/xhtml+xml"}:
            page = max(page, quality)
        elif kind in {"application/json", "application/problem+json"}:
            json = max(json, quality)
    return page > json


def page(request: Request, status: int, code: str, detail: str) -> HTMLResponse:
    """Make the page.

    Args:
        request: The download that was asked for.
        status: The HTTP status.
        code: The error's code.
        detail: What happened, in a sentence.
    """
    heading, advice = _WORDS.get(code, ("The download cannot begin", _LATER))
    if status == 422:
        heading, advice = _WORDS[errors.LinkTampered.code]
    dataset = request.query_params.get("dataset", "") if code in _SIGNED else ""
    return html(
        "problem.html", status, heading=heading, dataset=dataset, advice=advice, detail=detail, code=code
    )


def _quality(parameters: list[str]) -> float:
    for each in parameters:
        if each.startswith("q="):
            try:
                return min(1.0, max(0.0, float(each[2:])))
            except ValueError:
                return 0.0
    return 1.0
