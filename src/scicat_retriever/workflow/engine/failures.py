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
"""How often a step is tried that fails by a fault of the service itself."""

_TOLD = 20
"""The most failures of one step that are told one by one."""

_EXPECTED = (NoSpaceYet, NotYetOnline, SpaceGivenBack, WorkerStopping)
"""Errors that are ordinary: when a step ends by one, the SDK writes no warning with a traceback."""
_BENIGN = ApplicationErrorCategory.BENIGN

_WAITED_TOO_LONG: dict[str, type[RetrieverError]] = {
    NoSpaceYet.code: SpaceTimedOut,
}


def engine_error(
    error: RetrieverError, *, attempt: int, give_up: bool, pause: timedelta, archive_id: str | None = None
) -> ApplicationError:
    """Turn a step's error into one after which the engine repeats the step after `pause`, or does not.

    A fault of the service itself may be a rare accident, so the step is repeated a few times. `archive_id`
    names the datablock that the error is about, if it is about one.
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
    """Give the failure that a failed step means to the flow; a wait that took too long has its own code."""
    cause = error.cause if isinstance(error, ActivityError) else error
    match cause:
        case ApplicationError() if cause.details:
            # The error's type is not asked: the engine needs it, so it is not sealed.
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
            # The time was over while the step waited to be tried again: the error before says more than the
            # time.
            return failure_of(last, archive_id)
        case engine.TimeoutError():
            subject = archive_id or "the step"
            return TransferTimedOut(f"{subject} was not done within the time allowed").failure(archive_id)
        case CancelledError():
            return JobCancelled("the work was cancelled").failure(archive_id)
        case _:
            return InternalError(f"a step failed: {cause}").failure(archive_id)
