"""What happens at intervals, driven by the engine so that it happens once for all workers."""

from __future__ import annotations

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
)

SWEEP = "sweep-staging"


@workflow.defn(name="SweepStaging")
class SweepStaging:
    """Removes staged files whose time is over."""

    @workflow.run
    async def run(self) -> int:
        swept: int = await workflow.execute_activity(
            "sweep_expired",
            result_type=int,
            start_to_close_timeout=timedelta(minutes=10),
            schedule_to_close_timeout=timedelta(hours=1),
        )
        return swept


async def ensure(client: Client, queue: str, sweep_interval: float) -> None:
    """See to it that the schedules exist, as set.

    Args:
        client: The engine.
        queue: The task queue of flows.
        sweep_interval: Seconds between two looks for staged files whose time is over.
    """
    name = f"{queue}-{SWEEP}"
    schedule = Schedule(
        action=ScheduleActionStartWorkflow(SweepStaging.run, id=name, task_queue=queue),
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=sweep_interval))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(name, schedule)
    except ScheduleAlreadyRunningError:
        await client.get_schedule_handle(name).update(lambda _: ScheduleUpdate(schedule))
