"""The workers: for flows and short steps, for copies, for verification, each with slots of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import uuid
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from scicat_retriever.pipeline.recalls.watch import DeskPace
from scicat_retriever.pipeline.reports.patience import Patience
from scicat_retriever.pipeline.reports.teller import Teller
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.recall_planner.requests import RecallPolicy
from scicat_retriever.workflow.engine.heart import INTERVAL
from scicat_retriever.workflow.flows import schedules
from scicat_retriever.workflow.flows.choices import WorkerSlots
from scicat_retriever.workflow.flows.declaration import COPY_QUEUE, FLOW_QUEUE, VERIFY_QUEUE
from scicat_retriever.workflow.flows.retrieve_dataset import RetrieveDatasetFlow
from scicat_retriever.workflow.flows.retrieve_job import RetrieveJobFlow
from scicat_retriever.workflow.flows.subscriptions import Subscriptions
from scicat_retriever.workflow.flows.tasks import FlowLimits
from scicat_retriever.workflow.steps.dataset_activities import DatasetActivities
from scicat_retriever.workflow.steps.job_activities import JobActivities
from scicat_retriever.workflow.steps.lost_flows import LostFlows
from scicat_retriever.workflow.steps.recall_desks import RecallDesks
from scicat_retriever.workflow.steps.regular_looks import RegularLooks
from scicat_retriever.workflow.steps.runner import Pace, StepRunner

FLOWS = (RetrieveJobFlow, RetrieveDatasetFlow, *schedules.FLOWS)
"""All flows."""
QUEUES = (FLOW_QUEUE, COPY_QUEUE, VERIFY_QUEUE)
"""Suffixes of the task queues that a worker polls."""
SHORT_STEPS = 32
"""Short steps that run at once in one worker."""
DRAIN_SECONDS = 20.0
"""Seconds that running steps may go on once the worker is to stop; longer copies begin again elsewhere."""


@dataclass(frozen=True, slots=True)
class WorkerLimits:
    """How much a worker does at once, and how often it looks.

    Attributes:
        slots: How much is read and verified at once.
        intervals: Seconds between two runs of each scheduled flow.
        fixity_pace: How staged datablocks are read again.
        patience: How SciCat is told again.
        undeliverable_kept: How long a report is kept that SciCat can never take.
        downloads_kept: How long the row of a download is kept.
        job_types: SciCat's job types that are carried out.
        recall_policies: How each long-term store is used, by its name.
        desk_pace: How often a long-term store is asked.
    """

    slots: WorkerSlots
    intervals: Mapping[str, float]
    fixity_pace: FixityPace
    patience: Patience
    undeliverable_kept: timedelta
    downloads_kept: timedelta
    job_types: Collection[str]
    recall_policies: Mapping[str, RecallPolicy]
    desk_pace: DeskPace


async def run_worker(
    client: Client, tools: Toolbox, pace: Pace, flow_limits: FlowLimits, limits: WorkerLimits
) -> None:
    """Work until cancelled; then let running steps end, for a while.

    Args:
        client: The engine.
        tools: The ports and policies.
        pace: How repetitions are spaced.
        flow_limits: The limits of flows that the worker starts itself; names the task queues.
        limits: The worker's own limits.

    Raises:
        EngineNotOurs: The engine works for another ledger in these task queues; nothing was taken from it.
        EngineUnavailable: The engine does not answer.
    """
    queue, loop = flow_limits.queue, asyncio.get_running_loop()
    identity = tools.ledger.ownership.identity()
    await schedules.require_ours(client, queue, identity)
    subscriptions = Subscriptions(client, loop, queue)
    name = f"{socket.gethostname()} {os.getpid()} {uuid.uuid4()}"
    teller = Teller(name, tools, limits.patience)
    desks = RecallDesks(name, limits.recall_policies, tools, subscriptions.tell_of_recalls, limits.desk_pace)
    lost_flows = LostFlows(client, loop, tools.ledger, subscriptions, flow_limits)
    runner = StepRunner(pace)
    steps = (
        JobActivities(tools, subscriptions, teller),
        DatasetActivities(tools, desks),
        RegularLooks(
            tools,
            lost_flows,
            limits.job_types,
            limits.fixity_pace,
            limits.undeliverable_kept,
            limits.downloads_kept,
        ),
    )
    async with AsyncExitStack() as stack:
        for suffix, slots in zip(
            QUEUES, (SHORT_STEPS, limits.slots.read_slots, limits.slots.verification_slots), strict=True
        ):
            task_queue, activities = queue + suffix, runner.activities(suffix, *steps)
            threads = stack.enter_context(ThreadPoolExecutor(slots, thread_name_prefix=task_queue))
            await stack.enter_async_context(
                _worker(client, task_queue, activities, slots, threads, flows=task_queue == queue)
            )
        await schedules.ensure(client, queue, limits.intervals, identity)
        await _run_threads(teller.run, desks.run)


async def _run_threads(*runs: Callable[[threading.Event], None]) -> None:
    """Run functions, each in a thread of its own, until cancelled."""
    stop = threading.Event()
    running = asyncio.gather(*(asyncio.to_thread(run, stop) for run in runs))
    try:
        await asyncio.shield(running)
    finally:
        stop.set()
        await running


def flow_runner() -> SandboxedWorkflowRunner:
    """Make the sandbox that flows run in; the service's own code is not imported anew for each flow."""
    restrictions = SandboxRestrictions.default.with_passthrough_modules("scicat_retriever", "structlog")
    return SandboxedWorkflowRunner(restrictions=restrictions)


def _worker(
    client: Client,
    queue: str,
    activities: Sequence[Callable[..., Any]],
    slots: int,
    threads: ThreadPoolExecutor,
    *,
    flows: bool,
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        activities=activities,
        workflows=FLOWS if flows else (),
        activity_executor=threads,
        max_concurrent_activities=slots,
        # A flow whose worker died is taken over by another worker after this time.
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=2),
        # By default the SDK holds heartbeats back for four fifths of their timeout, and so the word that a
        # step is given up.
        max_heartbeat_throttle_interval=timedelta(seconds=INTERVAL),
        graceful_shutdown_timeout=timedelta(seconds=DRAIN_SECONDS),
        workflow_runner=flow_runner(),
    )
