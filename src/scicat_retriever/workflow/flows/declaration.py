"""The declaration of a step: its name, the workers that run it, its time, and how it is tried again.

The declarations are in `job_steps`, `dataset_steps` and `looks`, as the methods that the steps'
implementations have. Flows call a step by its declaration (`run`, `look`), so that no adapter is imported
into a flow; workers are made of the same declarations (`steps.runner`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from temporalio import activity, workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.workflow.engine.answers import answer_of
from scicat_retriever.workflow.engine.heart import TIMEOUT
from scicat_retriever.workflow.flows.tasks import FlowLimits

P = ParamSpec("P")
R = TypeVar("R")
F = TypeVar("F", bound=Callable[..., Any])

FLOW_QUEUE, COPY_QUEUE, VERIFY_QUEUE = "", "-copy", "-verify"
"""Suffixes of the task queues: of flows and short steps, of copies, of verification.

The workers of the last two have as many slots as steps may run at once.
"""
HEARTBEAT = timedelta(seconds=TIMEOUT)
"""Silence after which a step's worker is taken for dead, and the step is given to another worker."""
SHORT = 120.0
"""Seconds of one attempt of a step that only asks the ledger, SciCat or the store."""
LONG = 3600.0
"""Seconds of one attempt of a step that goes through a dataset's datablocks."""
LEDGER_TIMEOUT = 14 * 86400.0
"""Seconds for which a step is tried again whose only obstacle can be the service's own database."""
TOO_LONG = "TemporalTimeout:StartToClose"
"""The engine's name for an attempt that took longer than it may."""
_MARK = "_declaration_of_a_step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """The rules that steps of one kind have in common.

    Times are seconds; some depend on the limits of the calling flow.

    A step that was begun has its effect. So by default a cancelled flow waits for the step's end, and does
    not go on beside it: else SciCat could be told two different things.

    Attributes:
        patience: Time after which it is not tried again; None for no end.
        attempt: Time that one attempt may take.
        queue: Suffix of the task queue.
        cancellation: Whether a cancelled flow waits for the step's end.
        never: The engine's types of errors that are final.
    """

    patience: Callable[[FlowLimits], float | None]
    attempt: Callable[[FlowLimits], float] = lambda _: SHORT
    queue: str = FLOW_QUEUE
    cancellation: ActivityCancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED
    never: tuple[str, ...] = ()


ASK_LEDGER = Kind(patience=lambda _: LEDGER_TIMEOUT)
"""Steps whose only obstacle can be the service's own database."""
GO_THROUGH_DATASET = replace(ASK_LEDGER, attempt=lambda _: LONG)
"""The same, where one attempt goes through all datablocks or files of a dataset."""
ASK_CATALOGUE = Kind(patience=lambda limits: limits.catalogue_timeout, attempt=lambda _: LONG)
"""Steps that ask SciCat; they give up early where the service lacks a right (`gives_up`)."""
TELL_CATALOGUE = Kind(patience=lambda limits: limits.report_timeout)
"""Steps that wait until SciCat has been told."""
WAIT_FOR_SPACE = Kind(
    patience=lambda limits: limits.space_timeout, cancellation=ActivityCancellationType.TRY_CANCEL
)
"""Steps that are tried again until others have made room."""
COPY = Kind(
    patience=lambda _: None,
    attempt=lambda limits: limits.transfer_timeout,
    queue=COPY_QUEUE,
    never=(TOO_LONG,),
)
"""Steps that move bytes: one attempt may take long, and waits for its slot as long as it must.

An attempt that takes longer than it may is final.
"""
VERIFY = replace(COPY, queue=VERIFY_QUEUE)
"""Steps that compare bytes, otherwise the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The rules of a step that the flow of a schedule takes: such a flow has no limits.

    By default a step whose worker died is tried once more; any other failure is left to the next look.

    Attributes:
        attempt: How long one attempt may take.
        patience: Time after which it is not tried again; None for no end.
        retry: How it is tried again.
        queue: Suffix of the task queue; the schedule's flow is in the same queue.
    """

    attempt: timedelta
    patience: timedelta | None = None
    retry: RetryPolicy = field(
        default_factory=lambda: RetryPolicy(maximum_attempts=2, initial_interval=timedelta(seconds=1))
    )
    queue: str = FLOW_QUEUE


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """The declaration of a step, beside its arguments and its result.

    Attributes:
        name: The engine's name of the step. It is in the history of flows that run: never change it.
        kind: The rules: how long the step may take, and how it is tried again.
        gives_up: Errors that would be tried again otherwise, each with the number of attempts after which it
            is final.
    """

    name: str
    kind: Kind | Look
    gives_up: Mapping[type[RetrieverError], int] = field(default_factory=dict)

    def is_final(self, error: RetrieverError, attempt: int) -> bool:
        """Say whether `gives_up` ends the step with this error of this attempt, counted from 1."""
        return any(
            isinstance(error, kind) and attempt >= attempts for kind, attempts in self.gives_up.items()
        )


def declare(
    name: str, kind: Kind | Look, gives_up: Mapping[type[RetrieverError], int] | None = None
) -> Callable[[F], F]:
    """Declare a method to be a step: its arguments and its result are what the flow gives and gets.

    Args:
        name: See `Declaration`.
        kind: See `Declaration`.
        gives_up: See `Declaration`.
    """

    def mark(step: F) -> F:
        setattr(step, _MARK, Declaration(name=name, kind=kind, gives_up=gives_up or {}))
        return activity.defn(name=name)(step)

    return mark


def declaration_of(step: Callable[..., Any]) -> Declaration:
    """Give the declaration of a step."""
    return cast("Declaration", getattr(step, _MARK))


def declared_in(steps: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Give the name and the method of each step that a class, or a base of it, declares."""
    for each in reversed(inspect.getmro(steps)):
        for name, member in vars(each).items():
            if hasattr(member, _MARK):
                yield name, member


async def run(
    step: Callable[Concatenate[Any, P], R], limits: FlowLimits, *args: P.args, **kwargs: P.kwargs
) -> R:
    """Run a step, and repeat it as it is declared; gives its result.

    An answer that does not come from the service's own workers is not believed: the step runs again.

    Args:
        step: The step, by its declaration.
        limits: The limits of the calling flow.
        args: The step's arguments.
        kwargs: None: the engine hands on positional arguments alone.

    Raises:
        ActivityError: It failed.
    """
    if kwargs:
        raise TypeError("steps are given positional arguments alone")
    kind = declaration_of(step).kind
    if isinstance(kind, Look):
        raise TypeError(f"{step} is taken by the flows of schedules alone")
    patience = kind.patience(limits)
    return await answer_of(
        lambda: workflow.execute_activity(
            cast("Callable[..., R]", step),
            args=args,
            task_queue=limits.queue + kind.queue,
            start_to_close_timeout=timedelta(seconds=kind.attempt(limits)),
            heartbeat_timeout=HEARTBEAT,
            schedule_to_close_timeout=None if patience is None else timedelta(seconds=patience),
            cancellation_type=kind.cancellation,
            retry_policy=_retries(limits, kind),
        )
    )


async def look(step: Callable[[Any], R]) -> R:
    """Run a step of a schedule, in the queue of the calling flow; gives its result.

    Raises:
        ActivityError: It failed.
    """
    kind = declaration_of(step).kind
    if isinstance(kind, Kind):
        raise TypeError(f"{step} goes by the limits of a flow")
    return await answer_of(
        lambda: workflow.execute_activity(
            cast("Callable[..., R]", step),
            args=[],
            start_to_close_timeout=kind.attempt,
            heartbeat_timeout=HEARTBEAT,
            schedule_to_close_timeout=kind.patience,
            retry_policy=kind.retry,
        )
    )


def _retries(limits: FlowLimits, kind: Kind) -> RetryPolicy:
    """Give exponential backoff with a ceiling; the service's own errors add jitter (see `failures`)."""
    return RetryPolicy(
        non_retryable_error_types=list(kind.never),
        initial_interval=timedelta(seconds=limits.backoff_initial),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=max(limits.backoff_initial, limits.backoff_maximum)),
    )
