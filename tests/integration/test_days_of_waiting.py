"""A dataset's flow in simulated time: hours and days pass in seconds, on a real engine whose clock can be put forward."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from temporalio.client import WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from scicat_retriever.domain.backoff import Backoff, Polling
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from scicat_retriever.pipeline.recalls.desk import RecallDesk
from scicat_retriever.pipeline.recalls.watch import DeskPace
from scicat_retriever.recall_planner.planner import RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy
from scicat_retriever.workflow.flows.declaration import COPY_QUEUE, FLOW_QUEUE, VERIFY_QUEUE
from scicat_retriever.workflow.flows.retrieve_dataset import WINDOW, RetrieveDatasetFlow
from scicat_retriever.workflow.flows.subscriptions import Subscriptions
from scicat_retriever.workflow.flows.tasks import DatasetTask, FlowLimits
from scicat_retriever.workflow.steps.dataset_activities import DatasetActivities
from scicat_retriever.workflow.steps.recall_desks import RecallDesks
from scicat_retriever.workflow.steps.runner import Pace, StepRunner
from scicat_retriever.workflow.worker import flow_runner
from tests.unit.pipeline.rig import FILES, PID, Rig, tar

QUEUE = "retriever"
HOUR, DAY = 3600.0, 86400.0
LIMITS = FlowLimits(
    parallel_datasets=4,
    parallel_datablocks=8,
    catalogue_timeout=HOUR,
    report_timeout=HOUR,
    space_timeout=DAY,
    appear_timeout=HOUR,
    recall_timeout=2 * DAY,
    transfer_timeout=DAY,
    transfer_attempts=3,
    job_timeout=30 * DAY,
    backoff_initial=1.0,
    backoff_maximum=300.0,
    queue=QUEUE,
)
STEP = 600.0
"""Simulated seconds between two turns of the recall desk."""


@dataclass
class Waiting:
    """A dataset's flow that waits, and the time that passes meanwhile."""

    env: WorkflowEnvironment
    rig: Rig
    desk: RecallDesk
    flow: WorkflowHandle[RetrieveDatasetFlow, None]
    begun: datetime

    async def pass_time(self, hours: float) -> None:
        """Let simulated time pass; the desk takes its turns. Stops when the flow has ended."""
        end = self.rig.clock.now + timedelta(hours=hours)
        while self.rig.clock.now < end and not await self.has_ended():
            await asyncio.to_thread(self.desk.turn)
            await self.env.sleep(STEP)
            self.rig.clock.now = await self.env.get_current_time()

    async def let_it_end(self, seconds: float = 120.0) -> None:
        """Wait for the flow's end, in real seconds; time passes for the desk alone."""
        end = time.monotonic() + seconds
        while not await self.has_ended():
            assert time.monotonic() < end, self.states()
            self.rig.clock.advance(timedelta(seconds=60))
            await asyncio.to_thread(self.desk.turn)
            await asyncio.sleep(0.05)

    async def has_ended(self) -> bool:
        return (await self.flow.describe()).close_time is not None

    async def hours(self) -> float:
        """How long the flow has run, simulated hours."""
        description = await self.flow.describe()
        return ((description.close_time or self.rig.clock.now) - self.begun).total_seconds() / HOUR

    def states(self) -> list[DatablockState]:
        return [each.state for each in self.rig.ledger.datablocks.of(PID)]


@asynccontextmanager
async def waiting_for_tape(count: int = 3) -> AsyncIterator[Waiting]:
    """Have a dataset's flow run whose archives are all on tape."""
    async with AsyncExitStack() as stack:
        server = Path(sys.executable).with_name("temporal-test-server")
        env = await stack.enter_async_context(
            await WorkflowEnvironment.start_time_skipping(test_server_existing_path=str(server))
        )
        rig = Rig()
        rig.clock.now = begun = (await env.get_current_time()).astimezone(UTC)
        blocks = [rig.archive(number) for number in range(count)]
        for block in blocks:
            rig.store.put(block.datablock.archive_id, tar(FILES), on_tape=True)
        rig.catalogue.add_dataset(PID, blocks)
        subscriptions = Subscriptions(env.client, asyncio.get_running_loop(), QUEUE)
        policy = RecallPolicy(collect_time=0.0)
        desk = RecallDesk(
            "lts", "desk", RecallPlanner(policy), rig.tools, subscriptions.tell_of_recalls, DeskPace()
        )
        silent = RecallDesks("none", {}, rig.tools, subscriptions.tell_of_recalls, DeskPace())
        steps, runner = DatasetActivities(rig.tools, silent), StepRunner(Pace(Backoff(), Polling()))
        threads = stack.enter_context(ThreadPoolExecutor(16))
        for suffix in (FLOW_QUEUE, COPY_QUEUE, VERIFY_QUEUE):
            await stack.enter_async_context(
                Worker(
                    env.client,
                    task_queue=QUEUE + suffix,
                    activities=runner.activities(suffix, steps),
                    activity_executor=threads,
                    workflows=[RetrieveDatasetFlow] if suffix == FLOW_QUEUE else [],
                    workflow_runner=flow_runner(),
                )
            )
        flow = await env.client.start_workflow(
            RetrieveDatasetFlow.run, DatasetTask(PID, LIMITS), id=dataset_flow(PID), task_queue=QUEUE
        )
        yield Waiting(env, rig, desk, flow, begun)


async def _retrieved_after_forty_hours() -> None:
    async with waiting_for_tape() as waiting:
        await waiting.pass_time(40)
        assert set(waiting.states()) == {DatablockState.RECALLING}
        events = [event async for event in waiting.flow.fetch_history_events()]
        assert len(events) < 12 * 40 + 60, "waiting must cost next to no history"
        for number in range(3):
            waiting.rig.store.deliver(f"p-{number}.tar")
        await waiting.pass_time(4)
        assert await waiting.has_ended()
        assert set(waiting.states()) == {DatablockState.STAGED}
        assert [waiting.rig.store.opened.count(ArchiveId(f"p-{number}.tar")) for number in range(3)] == [
            1
        ] * 3


def test_a_dataset_that_comes_back_from_tape_after_forty_hours_is_retrieved() -> None:
    asyncio.run(_retrieved_after_forty_hours())


async def _last_ones_first() -> None:
    async with waiting_for_tape(WINDOW + 10) as waiting:
        await waiting.pass_time(2)
        for number in range(WINDOW, WINDOW + 10):
            waiting.rig.store.deliver(f"p-{number}.tar")
        await waiting.pass_time(10)
        events = [event async for event in waiting.flow.fetch_history_events()]
        assert len(events) < 12 * 12 + 120, (
            "news of what is not this window's affair must cost next to nothing"
        )
        for number in range(WINDOW):
            waiting.rig.store.deliver(f"p-{number}.tar")
        await waiting.let_it_end()
        assert set(waiting.states()) == {DatablockState.STAGED}
        assert len(waiting.rig.store.opened) == WINDOW + 10


def test_datablocks_that_come_back_before_their_turn_cost_no_steps() -> None:
    asyncio.run(_last_ones_first())


async def _given_up_after_two_days() -> None:
    async with waiting_for_tape() as waiting:
        await waiting.pass_time(47)
        assert not await waiting.has_ended()
        await waiting.pass_time(4)
        assert await waiting.has_ended()
        assert 48 <= await waiting.hours() < 49
        assert set(waiting.states()) == {DatablockState.FAILED}
        assert "recall_timed_out" in str(waiting.rig.ledger.reports.find()[-1].content)


def test_a_recall_is_given_up_when_its_time_is_over_and_not_before() -> None:
    asyncio.run(_given_up_after_two_days())


async def _missing() -> None:
    async with waiting_for_tape() as waiting:
        await waiting.pass_time(20)
        waiting.rig.store.lose("p-1.tar")
        await waiting.pass_time(5)
        assert await waiting.has_ended()
        assert 20 <= await waiting.hours() < 22


def test_an_archive_that_vanishes_from_the_store_is_looked_for_as_long_as_one_may_appear() -> None:
    asyncio.run(_missing())


async def _store_away() -> None:
    async with waiting_for_tape() as waiting:
        await waiting.pass_time(1)
        waiting.rig.store.go_away("the tape library is down")
        await waiting.pass_time(24)
        assert {each.reason for each in waiting.rig.ledger.datablocks.of(PID)} == {"the tape library is down"}
        waiting.rig.store.come_back()
        for number in range(3):
            waiting.rig.store.deliver(f"p-{number}.tar")
        await waiting.pass_time(3)
        assert set(waiting.states()) == {DatablockState.STAGED}


def test_a_store_that_is_away_for_a_day_costs_a_day() -> None:
    asyncio.run(_store_away())
