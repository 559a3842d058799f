"""The decision what is done with a message: a pure function of its body."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import Failure, JobRefused, JobTypeUnknown, JobUnderWay

JudgeJob = Callable[[bytes], RetrieveJob]
"""Reads a job to carry out.

Raises `JobRefused` (`JobTypeUnknown` for other types) or `JobUnderWay` for all else.
"""


class Irrelevant(StrEnum):
    """Why a message needs nothing to be done."""

    UPDATE = "an update of a job that is being carried out or has ended"
    OTHER_TYPE = "a job of another type"


@dataclass(frozen=True, slots=True)
class Accepted:
    """The message is a job to carry out."""

    job: RetrieveJob


@dataclass(frozen=True, slots=True)
class Refused:
    """The message is a job that can never be carried out; SciCat is told so."""

    job: RetrieveJob
    why: JobRefused


@dataclass(frozen=True, slots=True)
class Ignored:
    """The message needs nothing to be done."""

    why: Irrelevant


@dataclass(frozen=True, slots=True)
class Parked:
    """The message is put aside for an operator: no job can be read from it, or its job cannot be stored."""

    failure: Failure


MessageDecision = Accepted | Refused | Ignored | Parked


def decide(body: bytes, judge: JudgeJob) -> MessageDecision:
    """Decide what is done with a message, whatever it holds.

    SciCat's `rabbitmq` action publishes the whole job, commonly on updates too, so the service's own reports
    come back. A job with the status `inProgress`, or with one that begins with `finished`, is such an echo. A
    job with any other status is carried out: its first status is what SciCat is configured to set, and to
    store a job again changes nothing.

    Args:
        body: The message.
        judge: Reads the job.
    """
    try:
        return Accepted(judge(body))
    except JobUnderWay:
        return Ignored(Irrelevant.UPDATE)
    except JobTypeUnknown:
        return Ignored(Irrelevant.OTHER_TYPE)
    except JobRefused as refused:
        return Parked(refused.failure()) if refused.job is None else Refused(refused.job, refused)
