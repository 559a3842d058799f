"""Errors across the engine's border: from a step's exception to the engine's, and back to a `Failure`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import timedelta

from temporalio import exceptions as engine
from temporalio.exceptions import ActivityError, ApplicationError, ApplicationErrorCategory, CancelledError

from scicat_retriever.domain.errors import (
    Actor,
    Cause,
    Failure,
    InternalError,
    JobCancelled,
    NoSpaceYet,
    NotYetOnline,
    RetrieverError,
    SpaceGivenBack,
    SpaceTimedOut,
    TransferTimedOut,
    WorkerStopping,
)

INTERNAL_ATTEMPTS = 5
"""How often a step is tried that fails by a fault of our own."""

_TOLD = 20
"""Failures of one step that are told one by one."""

_EXPECTED = (NoSpaceYet, NotYetOnline, SpaceGivenBack, WorkerStopping)
"""What happens in each service that is well: of the end of such a step the SDK writes no warning with a traceback."""
_BENIGN = ApplicationErrorCategory.BENIGN

_WAITED_TOO_LONG: dict[str, type[RetrieverError]] = {
    NoSpaceYet.code: SpaceTimedOut,
}


def engine_error(
    error: RetrieverError, *, attempt: int, give_up: bool, pause: timedelta, archive_id: str | None = None
) -> ApplicationError:
    """Turn a step's error, about a datablock or not, into one that the engine repeats after `pause`, or does not.

    A fault of our own may be a rare accident, so it is repeated a few times.
    """
    failure = error.failure(archive_id)
    accident = isinstance(error, InternalError) and attempt < INTERNAL_ATTEMPTS
    return ApplicationError(
        failure.message,
        dataclasses.asdict(failure),
        type=error.code,
        non_retryable=give_up or not (error.retryable or accident),
        next_retry_delay=pause,
        category=_BENIGN
        if isinstance(error, _EXPECTED) and not give_up
        else ApplicationErrorCategory.UNSPECIFIED,
    )


def first_of(failures: Sequence[Failure]) -> list[Failure]:
    """Give the first 20 failures; the last of them says how many more there are."""
    told, more = list(failures[:_TOLD]), len(failures) - _TOLD
    if more > 0:
        told[-1] = dataclasses.replace(
            told[-1], message=f"{told[-1].message} (and {more} more datablocks failed)"
        )
    return told


def failure_of(error: BaseException, archive_id: str | None = None) -> Failure:
    """Say what a failed step means to the flow; a wait that took too long gets its own code."""
    cause = error.cause if isinstance(error, ActivityError) else error
    match cause:
        case ApplicationError() if cause.details:
            # Not by the error's type: the engine needs it, so it is not sealed.
            told = cause.details[0]
            code = told["code"]
            failure = Failure(
                code,
                told["message"],
                Actor(told["who"]),
                Cause(told["cause"]),
                told["archive_id"] or archive_id,
            )
            if code in _WAITED_TOO_LONG:
                late = _WAITED_TOO_LONG[code]
                return late(f"gave up: {failure.message}").failure(failure.archive_id)
            return failure
        case engine.TimeoutError(cause=ApplicationError() as last):
            # The time was over while the step waited to be tried again: what it waited for says more than the time.
            return failure_of(last, archive_id)
        case engine.TimeoutError():
            subject = archive_id or "the step"
            return TransferTimedOut(f"{subject} was not done within the time allowed").failure(archive_id)
        case CancelledError():
            return JobCancelled("the work was cancelled").failure(archive_id)
        case _:
            return InternalError(f"a step failed: {cause}").failure(archive_id)
