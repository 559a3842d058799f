"""What happens at intervals, driven by the engine so that it happens once for all workers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
)
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError

from scicat_retriever.workflow.steps import FLOW_TIMEOUT, HEARTBEAT

SWEEP, RECONCILE = "sweep-staging", "reconcile"


@workflow.defn(name="SweepStaging")
class SweepStaging:
    """Removes staged files whose time is over."""

    @workflow.run
    async def run(self) -> int:
        swept: int = await workflow.execute_activity(
            "sweep_expired",
            result_type=int,
            start_to_close_timeout=timedelta(minutes=10),
            heartbeat_timeout=HEARTBEAT,
            schedule_to_close_timeout=timedelta(hours=1),
        )
        return swept


@workflow.defn(name="Reconcile")
class Reconcile:
    """Looks for jobs that the service was never told of, for ends that SciCat missed, and for lost flows."""

    @workflow.run
    async def run(self) -> int:
        differences = 0
        for step in ("restart_lost_flows", "reconcile_jobs"):
            try:
                found: int = await workflow.execute_activity(
                    step,
                    result_type=int,
                    start_to_close_timeout=timedelta(minutes=10),
                    heartbeat_timeout=HEARTBEAT,
                    # A worker that died is made up for; any other failure is the next look's business.
                    retry_policy=RetryPolicy(maximum_attempts=2, initial_interval=timedelta(seconds=1)),
                )
            except ActivityError as error:
                workflow.logger.warning("a look for differences failed: %s", error.cause)
            else:
                differences += found
        return differences


async def ensure(client: Client, queue: str, sweep_interval: float, reconcile_interval: float) -> None:
    """See to it that the schedules exist, as set, and have a first look for differences now.

    Args:
        client: The engine.
        queue: The task queue of flows.
        sweep_interval: Seconds between two looks for staged files whose time is over.
        reconcile_interval: Seconds between two looks for differences to SciCat and the engine.
    """
    for word, flow, interval in (
        (SWEEP, SweepStaging.run, sweep_interval),
        (RECONCILE, Reconcile.run, reconcile_interval),
    ):
        name = f"{queue}-{word}"
        schedule = Schedule(
            action=ScheduleActionStartWorkflow(flow, id=name, task_queue=queue, task_timeout=FLOW_TIMEOUT),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=interval))]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
        )
        try:
            await client.create_schedule(name, schedule)
        except ScheduleAlreadyRunningError:
            await client.get_schedule_handle(name).update(_to(schedule))
    await client.get_schedule_handle(f"{queue}-{RECONCILE}").trigger()


def _to(schedule: Schedule) -> Callable[[ScheduleUpdateInput], ScheduleUpdate]:
    return lambda _: ScheduleUpdate(schedule)
