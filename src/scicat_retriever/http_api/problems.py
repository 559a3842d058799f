"""Errors as problem details (RFC 9457): what happened, what to do, and who can do it."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.http_api.pages import page, wants_page
from scicat_retriever.http_api.paths import path_for_log
from scicat_retriever.pipeline.tools.links import DOWNLOADS_PATH, RETRIEVALS_PATH

log = structlog.get_logger(__name__)
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 30

HTTP_STATUS: dict[type[RetrieverError], int] = {
    errors.JobMalformed: 422,
    errors.JobTypeUnknown: 422,
    errors.DatasetListEmpty: 422,
    errors.FilesUnknown: 422,
    errors.JobTooLarge: 413,
    errors.JobNotFound: 404,
    errors.StoreUnknown: 404,
    errors.ReportNotParked: 404,
    errors.JobUnderWay: 409,
    errors.ArchiveNotReady: 409,
    errors.NothingSelected: 404,
    errors.NotSigned: 404,
    errors.JobEnded: 409,
    errors.JobNotEnded: 409,
    errors.DatasetNotOfJob: 404,
    errors.NothingToRetry: 409,
    errors.NothingStaged: 404,
    errors.DatasetPinned: 409,
    errors.QuotaExceeded: 409,
    errors.JobLargerThanStaging: 409,
    errors.TokenInvalid: 401,
    errors.TokenScopeTooSmall: 403,
    errors.LinkTampered: 403,
    errors.LinkExpired: 403,
    errors.LinkReleased: 410,
    errors.LinkRevoked: 410,
    errors.RangeUnsatisfiable: 416,
    errors.DownloadsBusy: 503,
    errors.EngineUnavailable: 503,
    errors.LedgerUnavailable: 503,
    errors.StagingWriteFailed: 503,
    errors.StagingNotOurs: 503,
}
"""The HTTP status of each error that callers are told as it is; any other error is a 500."""


_INSIDE = {
    500: "the service failed; its log says why",
    503: "a part of the service does not answer at the moment: try again later",
}


class Problem(BaseModel):
    """A problem detail (RFC 9457, section 3)."""

    type: str = Field(description="`urn:scicat-retriever:error:<code>`; `about:blank` for plain HTTP errors.")
    title: str = Field(description="The kind of problem, in a few words.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What happened, and what to do.")
    who: str | None = Field(None, description="Who can act: `user`, `operator` or `system`.")
    field: str | None = Field(None, description="JSON path of the offending field, where there is one.")


def problem(error: RetrieverError) -> JSONResponse:
    """Answer with an error of the service."""
    status = HTTP_STATUS.get(type(error), 500)
    body = Problem(
        type=f"urn:scicat-retriever:error:{error.code}",
        title=error.code.replace("_", " "),
        status=status,
        # The words of an internal error may name machines and users: only the log has them.
        detail=str(error) if isinstance(error, errors.DownloadsBusy) else _INSIDE.get(status, str(error)),
        who=error.who,
        field=error.field if isinstance(error, errors.JobMalformed) else None,
    )
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if isinstance(error, errors.TokenScopeTooSmall):  # RFC 6750, section 3.1
        headers["WWW-Authenticate"] = f'Bearer error="insufficient_scope", scope="{error.scope}"'
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    return _answer(body, headers)


def plain_problem(status: int, detail: str) -> JSONResponse:
    """Answer with an error of HTTP itself."""
    return _answer(Problem(type="about:blank", title=HTTPStatus(status).phrase, status=status, detail=detail))


def documented(*statuses: int, page: bool = False) -> dict[int | str, dict[str, Any]]:
    """Describe the problems that a route answers with, to browsers with a page, for the OpenAPI document."""
    content: dict[str, Any] = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    if page:
        content["text/html"] = {"schema": {"type": "string"}}
    return {status: {"description": "A problem detail (RFC 9457)", "content": content} for status in statuses}


def _answer(body: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    content: dict[str, Any] = body.model_dump(exclude_none=True)
    return JSONResponse(content, body.status, headers, media_type=MEDIA_TYPE)


def _for_people(request: Request, answer: JSONResponse, code: str) -> Response:
    """Give a page instead of the JSON if a browser followed the link of a download."""
    if not request.url.path.startswith((DOWNLOADS_PATH, f"{RETRIEVALS_PATH}/")):
        return answer
    answer.headers["Vary"] = "Accept"
    if not wants_page(request):
        return answer
    told = page(request, answer.status_code, code, json.loads(bytes(answer.body))["detail"])
    if "Retry-After" in answer.headers:
        told.headers["Retry-After"] = answer.headers["Retry-After"]
    return told


def install(app: FastAPI) -> None:
    """Have every error, whoever raises it, answered with problem details."""

    @app.exception_handler(RetrieverError)
    def ours(request: Request, error: RetrieverError) -> Response:
        answer = problem(error)
        if answer.status_code >= 500:
            log.error(
                "a request failed", path=path_for_log(request.url.path), code=error.code, why=str(error)
            )
        return _for_people(request, answer, error.code)

    @app.exception_handler(HTTPException)
    def plain(_: Request, error: HTTPException) -> Response:
        detail = str(error.detail)
        return _answer(
            Problem(type="about:blank", title=detail, status=error.status_code, detail=detail),
            dict(error.headers or {}),
        )

    @app.exception_handler(RequestValidationError)
    def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(str(step) for step in first["loc"])
        detail = f"{field}: {first['msg']}"
        if request.url.path.startswith(DOWNLOADS_PATH) and first["type"] == "missing":
            detail = f"this link is not whole, {first['loc'][-1]} is missing: use it exactly as it was given"
            detail += ", and in quotes on a command line"
        body = Problem(type="about:blank", title="invalid request", status=422, detail=detail, field=field)
        return _for_people(request, _answer(body), "invalid_request")

    @app.exception_handler(ClientDisconnect)
    def gone(_: Request, __: ClientDisconnect) -> Response:
        return Response(status_code=400)  # nobody reads it

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        log.error(
            "a request failed by a fault of the service", path=path_for_log(request.url.path), exc_info=error
        )
        return _for_people(request, problem(errors.InternalError(str(error))), errors.InternalError.code)
