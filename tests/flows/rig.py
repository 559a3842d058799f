"""Flows on an engine whose clock skips what nothing happens in: days pass in a moment. All they hand on is sealed."""

from __future__ import annotations

import asyncio
import faulthandler
import sys
import threading
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from scicat_retriever.domain.backoff import Backoff, Polling
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from scicat_retriever.workflow.engine.sealed_values import sealing_converter
from scicat_retriever.workflow.flows.declaration import FLOW_QUEUE
from scicat_retriever.workflow.flows.retrieve_dataset import RetrieveDatasetFlow
from scicat_retriever.workflow.flows.retrieve_job import RetrieveJobFlow
from scicat_retriever.workflow.flows.subscriptions import Subscriptions
from scicat_retriever.workflow.flows.tasks import DatasetOutcome, DatasetTask, FlowLimits, JobTask
from scicat_retriever.workflow.steps.runner import Pace, StepRunner
from scicat_retriever.workflow.worker import FLOWS, QUEUES, flow_runner
from tests.flows.fake_steps import LONGEST, PID, FakeSteps, Joins

T = TypeVar("T")
HOUR, DAY = 3600.0, 86400.0
KEY = "a key of the tests' own, long enough to seal with"
LIMITS = FlowLimits(
    parallel_datasets=4,
    parallel_datablocks=2,
    catalogue_timeout=6 * HOUR,
    report_timeout=5 * DAY,
    space_timeout=2 * DAY,
    appear_timeout=HOUR,
    recall_timeout=2 * DAY,
    transfer_timeout=DAY,
    transfer_attempts=3,
    job_timeout=30 * DAY,
    backoff_initial=60.0,
    backoff_maximum=HOUR,
    queue="retriever",
)
PACE = Pace(Backoff(60.0, HOUR), Polling(HOUR, HOUR))
STEP_ENDED = EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED
TURN_BEGUN = EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED
TURN_ENDED = EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
CANCEL_REQUESTED = EventType.EVENT_TYPE_ACTIVITY_TASK_CANCEL_REQUESTED


class Answers:
    """Stands for the flows of datasets: answers each job that asks with what a test says, or not at all.

    Attributes:
        failures: Why a dataset's run fails; none for one that goes well.
        passing: Why the next run of a dataset fails, and those after it do not.
        silent: Datasets that nobody answers for.
        waiting: Who asked and was not answered, or took his wish back.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self.failures: dict[DatasetPid, tuple[Failure, ...]] = {}
        self.passing: dict[DatasetPid, tuple[Failure, ...]] = {}
        self.silent: set[DatasetPid] = set()
        self.waiting: list[tuple[str, DatasetPid]] = []
        self.most_waiting = 0

    def join(self, job_flow: str, task: DatasetTask) -> None:
        if task.pid in self.silent:
            with self._lock:
                self.waiting.append((job_flow, task.pid))
                self.most_waiting = max(self.most_waiting, len(self.waiting))
        else:
            self.answer(job_flow, task.pid)

    def leave(self, job_flow: str, pid: DatasetPid) -> None:
        self.waiting = [each for each in self.waiting if each != (job_flow, pid)]

    def answer(self, job_flow: str, pid: DatasetPid) -> None:
        outcome = DatasetOutcome(pid, self.passing.pop(pid, self.failures.get(pid, ())))
        handle = self._client.get_workflow_handle(job_flow)
        asyncio.run_coroutine_threadsafe(
            handle.signal(RetrieveJobFlow.dataset_ended, outcome), self._loop
        ).result(LONGEST)


class Rig:
    """One test's workers, steps and flows.

    Attributes:
        env: The engine.
        steps: The steps.
        limits: What its flows go by.
    """

    def __init__(self, env: WorkflowEnvironment, stack: AsyncExitStack) -> None:
        self.env = env
        self._stack = stack
        self.limits = LIMITS
        self.answers = Answers(env.client)
        self.steps = FakeSteps(self.answers)

    def use_dataset_flows(self, datablocks: int = 3) -> None:
        """Have jobs ask the real flows of datasets."""
        self._set_joins(Subscriptions(self.env.client, asyncio.get_running_loop(), LIMITS.queue), datablocks)

    def _set_joins(self, joins: Joins, datablocks: int) -> None:
        self.steps = FakeSteps(joins, datablocks)

    def set_datablocks(self, count: int) -> None:
        """Have datasets of so many datablocks. Call it before anything else."""
        self._set_joins(self.answers, count)

    async def work(self, *, keeps_flows: bool = True) -> Callable[[], Awaitable[None]]:
        """Begin to work as one more worker of the service does; gives what ends that."""
        runner, stack = StepRunner(PACE), AsyncExitStack()
        await self._stack.enter_async_context(stack)
        threads = ThreadPoolExecutor(16)
        stack.callback(threads.shutdown, wait=False)  # a worker ends when its steps have ended
        for suffix in QUEUES:
            await stack.enter_async_context(
                Worker(
                    self.env.client,
                    task_queue=self.limits.queue + suffix,
                    activities=runner.activities(suffix, self.steps),
                    activity_executor=threads,
                    workflows=FLOWS if suffix == FLOW_QUEUE else (),
                    workflow_runner=flow_runner(),
                    # This engine goes on asking a worker that is gone for the flows that it remembers.
                    max_cached_workflows=100 if keeps_flows else 0,
                    graceful_shutdown_timeout=timedelta(seconds=0),
                    max_heartbeat_throttle_interval=timedelta(seconds=0.1),
                )
            )
        return stack.aclose

    async def job(self, name: str = "job", **task: Any) -> WorkflowHandle[RetrieveJobFlow, str]:
        """Start a job's flow."""
        return await self.env.client.start_workflow(
            RetrieveJobFlow.run,
            JobTask(JobId(name), self.limits, **task),
            id=f"{LIMITS.queue}-{name}",
            task_queue=self.limits.queue,
        )

    async def waiting_job(self, *datasets: DatasetPid) -> WorkflowHandle[RetrieveJobFlow, str]:
        """Start a job's flow, and wait until it waits for its datasets, which nobody answers for."""
        self.steps.datasets = list(datasets)
        self.answers.silent = set(datasets)
        flow = await self.job()
        await self.until(lambda: len(self.answers.waiting) == len(datasets))
        await self.until_idle(flow)
        return flow

    async def two_jobs(self) -> list[WorkflowHandle[RetrieveJobFlow, str]]:
        """Start the flows of two jobs that wait for the same dataset, whose first datablock is on tape."""
        self.steps.on_tape = {self.steps.blocks[PID][0].id}
        flows = [await self.job("first"), await self.job("second")]
        await self.until(lambda: len(self.steps.of("subscribe")) == len(flows))
        return flows

    async def dataset(self, pid: DatasetPid, **task: Any) -> WorkflowHandle[RetrieveDatasetFlow, None]:
        """Start a dataset's flow that no job asked for."""
        return await self.env.client.start_workflow(
            RetrieveDatasetFlow.run,
            DatasetTask(pid, self.limits, **task),
            id=dataset_flow(pid),
            task_queue=self.limits.queue,
        )

    def flow_of(self, pid: DatasetPid) -> WorkflowHandle[Any, Any]:
        return self.env.client.get_workflow_handle(dataset_flow(pid))

    async def look(self, flow: Callable[..., Awaitable[int]]) -> WorkflowHandle[Any, int]:
        """Start a schedule's flow."""
        return await self.env.client.start_workflow(
            flow, id=f"{LIMITS.queue}-look", task_queue=self.limits.queue
        )

    async def cancel(self, flow: WorkflowHandle[RetrieveJobFlow, str], by: str = "somebody") -> None:
        await flow.signal(RetrieveJobFlow.cancel, by)

    async def tell(self, flow: WorkflowHandle[RetrieveJobFlow, str], pid: DatasetPid) -> None:
        """Have a dataset's flow say that the dataset is there."""
        await flow.signal(RetrieveJobFlow.dataset_ended, DatasetOutcome(pid))

    async def tell_of_recalls(self, pid: DatasetPid) -> None:
        """Have a dataset's flow hear that there is news of its recalls."""
        await self.flow_of(pid).signal(RetrieveDatasetFlow.recalls_changed)

    @property
    def address(self) -> str:
        """Where the engine listens."""
        return self.env.client.service_client.config.target_host

    async def begun(self, hold: Any) -> None:
        """Wait until a step that is held has begun."""
        assert await asyncio.to_thread(hold.entered.wait, LONGEST), self.steps.names()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait, while no time passes for the flows."""
        end = time.monotonic() + LONGEST
        while not condition():
            assert time.monotonic() < end, self.steps.names()
            await asyncio.sleep(0.01)

    async def until_told_to_stop(self, flow: WorkflowHandle[Any, Any]) -> None:
        """Wait until a flow has asked for the end of the step that it waits for."""
        end = time.monotonic() + LONGEST
        while CANCEL_REQUESTED not in [event.event_type async for event in flow.fetch_history_events()]:
            assert time.monotonic() < end, self.steps.names()
            await asyncio.sleep(0.01)

    async def until_idle(self, flow: WorkflowHandle[Any, Any]) -> None:
        """Wait until a flow waits for something else than a step.

        This engine stands still where a step ends by itself in the moment in which the flow gives it up.
        """
        end = time.monotonic() + LONGEST
        while True:
            kinds = Counter([event.event_type async for event in flow.fetch_history_events()])
            steps, turns = kinds[EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED], kinds[TURN_BEGUN]
            if steps and steps == kinds[STEP_ENDED] and turns == kinds[TURN_ENDED]:
                return
            assert time.monotonic() < end, self.steps.names()
            await asyncio.sleep(0.01)

    async def now(self) -> datetime:
        return await self.env.get_current_time()

    async def lasted(self, flow: WorkflowHandle[Any, Any]) -> float:
        """Give the simulated hours from a flow's beginning to its end."""
        found = await flow.describe()
        assert found.close_time is not None
        return (found.close_time - found.start_time).total_seconds() / HOUR


def _program(name: str) -> str:
    return str(Path(sys.executable).with_name(name))


async def _skipping_time() -> WorkflowEnvironment:
    return await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=_program("temporal-test-server"), data_converter=sealing_converter([KEY])
    )


async def ended(what: str, end: Awaitable[None], seconds: float = LONGEST) -> None:
    """Wait for an end, but not for ever.

    Raises:
        AssertionError: It did not come; what each thread does is written to the standard error.
    """
    try:
        async with asyncio.timeout(seconds):
            await end
    except TimeoutError:
        faulthandler.dump_traceback(all_threads=False)  # of very many threads, not all are written
        faulthandler.dump_traceback()
        raise AssertionError(f"{what} did not end in {seconds:g} s; see above what hangs") from None


class Engine:
    """An engine, and the event loop that its client lives in. Time is skipped, unless another one is given.

    Args:
        start: Starts the engine.
    """

    def __init__(self, start: Callable[[], Coroutine[Any, Any, WorkflowEnvironment]] | None = None) -> None:
        self._loop = asyncio.Runner()
        self._env = self._loop.run((start or _skipping_time)())

    @classmethod
    def forgetful(cls, events: int) -> Engine:
        """Start an engine as the service runs it, which asks for a fresh history after so many events."""
        return cls(
            partial(
                WorkflowEnvironment.start_local,
                data_converter=sealing_converter([KEY]),
                dev_server_existing_path=_program("temporal"),
                dev_server_extra_args=[
                    "--dynamic-config-value", f"limit.historyCount.suggestContinueAsNew={events}"
                ],
            )
        )  # fmt: skip

    def play(self, scene: Callable[[Rig], Coroutine[Any, Any, T]]) -> T:
        """Play what a test says, on a rig of its own."""
        return self._loop.run(self._play(scene))

    async def _play(self, scene: Callable[[Rig], Coroutine[Any, Any, T]]) -> T:
        async with AsyncExitStack() as stack:
            rig = Rig(self._env, stack)
            try:
                return await scene(rig)
            finally:
                rig.steps.let_go()
                await ended("the test's workers", stack.aclose())

    def close(self) -> None:
        try:
            self._loop.run(ended("the engine", self._env.shutdown()))
        finally:
            self._loop.close()
