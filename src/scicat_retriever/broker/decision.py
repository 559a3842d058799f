"""What is to be done with a message: a pure function of its body."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import (
    Failure,
    JobMalformed,
    JobTooLarge,
    JobTypeUnknown,
    RequestError,
)
from scicat_retriever.domain.states import JobState

ParseJob = Callable[[Mapping[str, Any]], RetrieveJob]
"""Reads a job from a JSON object; raises `JobTypeUnknown` for other types and `RequestError` for what is no job."""


class Irrelevant(StrEnum):
    """Why a message needs nothing to be done."""

    UPDATE = "an update of a job that is being carried out or has ended"
    OTHER_TYPE = "a job of another type"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is a job to carry out."""

    job: RetrieveJob


@dataclass(frozen=True, slots=True)
class Ignored:
    """The message needs nothing to be done."""

    why: Irrelevant


@dataclass(frozen=True, slots=True)
class Parked:
    """The message is no job, and somebody must look at it."""

    failure: Failure


Decision = Accepted | Ignored | Parked


def decide(body: bytes, parse: ParseJob, max_body_bytes: int) -> Decision:
    """Say what is to be done with a message, whatever it holds.

    SciCat's `rabbitmq` action publishes the whole job, commonly on updates too, so what the service reports comes back:
    `inProgress` and the words that begin with `finished` are such echoes. Any other word is a job to carry out, since
    SciCat sets the first one as it is configured, and storing a job again changes nothing.

    Args:
        body: The message.
        parse: Reads the job.
        max_body_bytes: Longest body that is read.
    """
    try:
        message = _json_object(body, max_body_bytes)
    except RequestError as error:
        return Parked(error.failure())
    if _is_echo(message):
        return Ignored(Irrelevant.UPDATE)
    try:
        return Accepted(parse(message))
    except JobTypeUnknown:
        return Ignored(Irrelevant.OTHER_TYPE)
    except RequestError as error:
        return Parked(error.failure())


def _json_object(body: bytes, max_body_bytes: int) -> dict[str, Any]:
    if len(body) > max_body_bytes:
        raise JobTooLarge(f"The message is larger than {max_body_bytes} bytes (api.max_body_bytes)")
    try:
        message = json.loads(body)
    except (ValueError, RecursionError):
        raise JobMalformed("The message is not JSON") from None
    if not isinstance(message, dict):
        raise JobMalformed("The message is no JSON object")
    return message


def _is_echo(job: Mapping[str, Any]) -> bool:
    # v4 has statusCode, v3 jobStatusMessage.
    word = job.get("statusCode") or job.get("jobStatusMessage")
    return isinstance(word, str) and (word == JobState.IN_PROGRESS or word.startswith("finished"))
