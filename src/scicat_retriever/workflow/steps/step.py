"""What makes a method a step that the engine runs: heartbeats, and errors that it understands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError

from scicat_retriever.domain import errors
from scicat_retriever.domain.backoff import Backoff, Polling, pause_before
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.workflow.engine.failures import engine_error
from scicat_retriever.workflow.engine.heart import Heart
from scicat_retriever.workflow.engine.sealed_values import Forged, forged

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound="Steps")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """How repetitions are spaced: of failures, and of questions whether a wait is over."""

    backoff: Backoff
    polling: Polling


def step(body: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Make a method an activity that speaks the engine's errors."""

    @functools.wraps(body)
    def run(self: S, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if any(isinstance(each, Forged) for each in args):
            raise forged()
        try:
            with self.heart.beating(tuple(activity.info().heartbeat_details)):
                return body(self, *args, **kwargs)
        except (ApplicationError, CancelledError):
            raise
        except errors.JobCancelled as error:
            raise self._stopped() from error
        except RetrieverError as error:
            raise self.engine_error(error) from error
        except Exception as error:
            log.exception("a step failed by a fault of the service", step=body.__name__)
            fault = errors.InternalError(f"{body.__name__}: {type(error).__name__}: {error}")
            raise self.engine_error(fault) from error

    return activity.defn(name=body.__name__, no_thread_cancel_exception=True)(run)


class Steps:
    """Steps that share how their repetitions are spaced.

    Args:
        pace: How.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self.heart = Heart()

    def engine_error(
        self, error: RetrieverError, *, give_up: bool = False, archive_id: str | None = None
    ) -> ApplicationError:
        """Turn an error into one that the engine repeats after a pause, or does not repeat."""
        pace = self._pace
        initial, maximum = pace.backoff.backoff_initial, pace.backoff.backoff_maximum
        if isinstance(error, errors.NoSpaceYet):
            initial, maximum = pace.polling.poll_initial, pace.polling.poll_maximum
        info = activity.info()
        log.info(
            "step not done", step=info.activity_type, code=error.code, attempt=info.attempt, why=str(error)
        )
        pause_now = pause_before(info.attempt, initial, maximum)
        return engine_error(
            error, attempt=info.attempt, give_up=give_up, pause=pause_now, archive_id=archive_id
        )

    def _stopped(self) -> Exception:
        """Tell a cancelled step from one whose worker stops, or stood still: the latter goes on elsewhere."""
        details = activity.cancellation_details()
        if details is not None and details.cancel_requested:
            return CancelledError("the step was cancelled")
        return self.engine_error(
            errors.WorkerStopping("the worker stops or stood still; the step is repeated")
        )
