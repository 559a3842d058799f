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
)

SWEEP = "sweep-staging"
SWEEP_SECONDS = 300.0
"""How often staged files whose time is over are looked for."""


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


async def ensure(client: Client, queue: str) -> None:
    """See to it that the schedules exist; one that is there stays as it is."""
    action = ScheduleActionStartWorkflow(SweepStaging.run, id=f"{queue}-{SWEEP}", task_queue=queue)
    schedule = Schedule(
        action=action,
        spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=SWEEP_SECONDS))]),
        policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP),
    )
    try:
        await client.create_schedule(f"{queue}-{SWEEP}", schedule)
    except ScheduleAlreadyRunningError:
        return
