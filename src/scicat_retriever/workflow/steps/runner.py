"""Steps as the engine runs them: with heartbeats, in threads, and with errors that it understands."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError

from scicat_retriever.domain import errors
from scicat_retriever.domain.backoff import Backoff, Polling, pause_before
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.pipeline.tools.attempts import AttemptFailed
from scicat_retriever.workflow.engine.failures import engine_error
from scicat_retriever.workflow.engine.heart import Heart
from scicat_retriever.workflow.engine.sealed_values import Forged, forged
from scicat_retriever.workflow.flows.declaration import Declaration, declaration_of, declared_in

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Pace:
    """The pauses between repetitions: after failures, and between questions whether a wait is over."""

    backoff: Backoff
    polling: Polling


class StepRunner:
    """The maker of activities from steps. One heart sends the heartbeats of all steps that run.

    Args:
        pace: How repetitions are spaced.
    """

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._heart = Heart()

    def activities(self, queue: str, *implementations: object) -> list[Callable[..., Any]]:
        """Make the activities of those steps that one queue's workers run.

        Args:
            queue: The suffix of the task queue.
            implementations: Objects of classes that implement declared steps.
        """
        return [
            self._activity(step, getattr(each, method))
            for each in implementations
            for method, step in declared_in(type(each))
            if declaration_of(step).kind.queue == queue
        ]

    def _activity(self, step: Callable[..., Any], body: Callable[P, R]) -> Callable[..., Any]:
        declared = declaration_of(step)

        @functools.wraps(body, updated=())
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            if any(isinstance(each, Forged) for each in args):
                raise forged()
            try:
                with self._heart.beating(tuple(activity.info().heartbeat_details)):
                    return body(*args, **kwargs)
            except (ApplicationError, CancelledError):
                raise
            except errors.JobCancelled as error:
                raise self._stopped(declared) from error
            except AttemptFailed as failed:
                raise self._engine_error(declared, failed.error, failed=failed) from failed.error
            except RetrieverError as error:
                raise self._engine_error(declared, error) from error
            except Exception as error:
                log.exception("a step failed by a fault of the service", step=declared.name)
                fault = errors.InternalError(f"{declared.name}: {type(error).__name__}: {error}")
                raise self._engine_error(declared, fault) from error

        return activity.defn(name=declared.name, no_thread_cancel_exception=True)(run)

    def _engine_error(
        self, declared: Declaration, error: RetrieverError, *, failed: AttemptFailed | None = None
    ) -> ApplicationError:
        """Turn an error into one that the engine repeats after a pause, or does not repeat."""
        pace, attempt = self._pace, activity.info().attempt
        initial, maximum = pace.backoff.backoff_initial, pace.backoff.backoff_maximum
        if isinstance(error, errors.NoSpaceYet):
            initial, maximum = pace.polling.poll_initial, pace.polling.poll_maximum
        log.info("step not done", step=declared.name, code=error.code, attempt=attempt, why=str(error))
        return engine_error(
            error,
            attempt=attempt,
            give_up=declared.is_final(error, attempt) if failed is None else failed.is_final,
            pause=pause_before(attempt, initial, maximum),
            archive_id=None if failed is None else failed.archive_id,
        )

    def _stopped(self, declared: Declaration) -> Exception:
        """Give the error of a stopped step.

        A cancelled step ends. A step whose worker stops, or stood still, goes on elsewhere.
        """
        details = activity.cancellation_details()
        if details is not None and details.cancel_requested:
            return CancelledError("the step was cancelled")
        stopping = errors.WorkerStopping("the worker stops or stood still; the step is repeated")
        return self._engine_error(declared, stopping)
