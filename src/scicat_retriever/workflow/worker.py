"""The workers: one for flows and short steps, one for copies, one for verification, each with its own slots."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.workflow import schedules
from scicat_retriever.workflow.activities import Activities, Pace
from scicat_retriever.workflow.retrieve_dataset import RetrieveDataset
from scicat_retriever.workflow.retrieve_job import RetrieveJob
from scicat_retriever.workflow.steps import COPY_QUEUE, VERIFY_QUEUE
from scicat_retriever.workflow.subscriptions import Subscriptions

SHORT_STEPS = 32
"""Short steps that run at once in one worker."""
DRAIN_SECONDS = 20.0
"""How long running steps may go on when the worker is asked to stop; a longer copy is made again elsewhere."""


async def run_worker(
    client: Client,
    tools: Toolbox,
    pace: Pace,
    queue: str,
    *,
    read_slots: int,
    verification_slots: int,
    sweep_interval: float,
) -> None:
    """Work until cancelled; then let running steps end, for a while.

    Args:
        client: The engine.
        tools: The ports and policies.
        pace: How repetitions are spaced.
        queue: The task queues' prefix.
        read_slots: Archives read from the long-term store at once.
        verification_slots: Datasets verified at once.
        sweep_interval: Seconds between two looks for staged files whose time is over.
    """
    subscriptions = Subscriptions(client, asyncio.get_running_loop(), queue)
    steps = Activities(tools, pace, subscriptions)
    async with AsyncExitStack() as stack:
        for name, activities, slots in (
            (queue, _short_steps(steps), SHORT_STEPS),
            (queue + COPY_QUEUE, [steps.copy_datablocks], read_slots),
            (queue + VERIFY_QUEUE, [steps.verify_datablocks], verification_slots),
        ):
            threads = stack.enter_context(ThreadPoolExecutor(slots, thread_name_prefix=name))
            await stack.enter_async_context(
                _worker(client, name, activities, slots, threads, flows=name == queue)
            )
        await schedules.ensure(client, queue, sweep_interval)
        await asyncio.Event().wait()


def _short_steps(steps: Activities) -> list[Callable[..., Any]]:
    return [
        steps.report_job_started,
        steps.open_job,
        steps.datasets_to_retrieve,
        steps.note_outcome,
        steps.close_job,
        steps.close_job_untold,
        steps.report_dataset_started,
        steps.plan_dataset,
        steps.datablocks_to_copy,
        steps.prepare_datablocks,
        steps.wait_for_space,
        steps.wait_for_recall,
        steps.publish_dataset,
        steps.discard_dataset,
        steps.report_dataset_failed,
        steps.sweep_expired,
        steps.subscribe,
        steps.unsubscribe,
    ]


def _worker(
    client: Client,
    queue: str,
    activities: Sequence[Callable[..., Any]],
    slots: int,
    threads: ThreadPoolExecutor,
    *,
    flows: bool,
) -> Worker:
    restrictions = SandboxRestrictions.default.with_passthrough_modules("scicat_retriever", "structlog")
    return Worker(
        client,
        task_queue=queue,
        activities=activities,
        workflows=[RetrieveJob, RetrieveDataset, schedules.SweepStaging] if flows else [],
        activity_executor=threads,
        max_concurrent_activities=slots,
        # A flow whose worker died is taken over by another after this time.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        graceful_shutdown_timeout=timedelta(seconds=DRAIN_SECONDS),
        workflow_runner=SandboxedWorkflowRunner(restrictions=restrictions),
    )
