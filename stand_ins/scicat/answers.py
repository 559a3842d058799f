"""The answers of SciCat's backend and the shapes of its refusals.

SciCat has three shapes of errors, all kept here as observed: the framework's ``{message, error, statusCode}``, the
application's ``{status, message}``, and that of a check with details, ``{message, error: "<JSON text>"}``, which
names no status at all. A crash is a bare JSON string.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

JsonObject = dict[str, Any]

_PHRASES = {422: "Unprocessable Entity"}
"""Phrases of Node.js where later versions of Python have another one (RFC 9110)."""


@dataclass(frozen=True)
class Answer:
    """What the stand-in answers: a status and a JSON body; ``body=None`` sends no bytes at all."""

    status: int
    body: object = None
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Raised by a route to answer with an error."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(f"{answer.status} {answer.body}")
        self.answer = answer


def framework_refusal(status: int, message: str | list[str]) -> Refusal:
    """Give a refusal in the shape ``{message, error, statusCode}``."""
    error = _PHRASES.get(status) or HTTPStatus(status).phrase
    return Refusal(Answer(status, {"message": message, "error": error, "statusCode": status}))


def application_refusal(status: int, message: str, **more: str) -> Refusal:
    """Give a refusal in the shape ``{status, message}``."""
    return Refusal(Answer(status, {"status": status, "message": message, **more}))


def detailed_refusal(status: int, message: str, details: object) -> Refusal:
    """Give a refusal in the shape ``{message, error}``, where ``error`` is a JSON text that holds the details."""
    return Refusal(Answer(status, {"message": message, "error": json_text(details)}))


def json_text(value: object) -> str:
    """Write JSON as Node.js does: without blanks, and with all characters as they are."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def session_expired() -> Refusal:
    """Give the answer to a token that ran out, on whatever route: log in again."""
    return framework_refusal(401, "SESSION_EXPIRED")


def bare_refusal(status: int) -> Refusal:
    """Give a refusal with the status phrase alone, ``{message, statusCode}``."""
    return Refusal(Answer(status, {"message": HTTPStatus(status).phrase, "statusCode": status}))


def crash() -> Refusal:
    """Give SciCat's answer to an unexpected error: 500 and a bare JSON string."""
    return Refusal(Answer(500, "Internal server error"))


def forbidden_resource() -> Refusal:
    """Give the refusal of the endpoint guard: the account may never call this route."""
    return framework_refusal(403, "Forbidden resource")


def unauthorized_access() -> Refusal:
    """Give the refusal of the record guard: the account may not touch this one record."""
    return framework_refusal(403, "Unauthorized access")


def no_such_route(method: str, target: str) -> Refusal:
    """Give the answer to an unknown route; ``target`` is the raw path with its query."""
    return framework_refusal(404, f"Cannot {method} {target}")
