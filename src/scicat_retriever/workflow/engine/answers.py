"""Answers of steps, for flows that believe only the service's own workers."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar, cast

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from scicat_retriever.workflow.engine.sealed_values import FORGED, Forged

R = TypeVar("R")


async def answer_of(step: Callable[[], Coroutine[Any, Any, R]]) -> R:
    """Run a step, and run it again if somebody else told how it ended; gives the step's result.

    A step whose end was forged may still run: steps may be repeated at any time, also while a repetition
    runs.

    Args:
        step: Begins the step anew with each call.

    Raises:
        ActivityError: The step failed.
    """
    while True:
        try:
            answer = await step()
        except ActivityError as error:
            if not _is_forged(error):
                raise
        else:
            if not isinstance(cast("object", answer), Forged):
                return answer
        workflow.logger.warning("the end of a step was forged: the step is repeated")


def _is_forged(error: BaseException | None) -> bool:
    """Say whether any part of a failure comes from somebody else."""
    while error is not None:
        if isinstance(error, ApplicationError) and error.type == FORGED:
            return True
        error = error.__cause__
    return False
