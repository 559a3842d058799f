"""A watch in the API process: whether the engine answers, and whether workers ask it for something to do."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.workflow.flows.declaration import COPY_QUEUE, VERIFY_QUEUE

INTERVAL, IN_TROUBLE, AT_START = 4.0, 0.5, 0.1
"""Seconds between two looks: usually, while something is wrong, and while the first worker is starting."""
ANSWER = timedelta(seconds=4)
"""The time that the engine may take to answer; if it takes longer, it hangs."""
ASKED_LATELY = timedelta(seconds=80)
"""A worker asks anew at least so often, since a question that nobody answers ends after 60 to 70 seconds."""
STARTING = timedelta(seconds=30)
"""The time after the engine's first answer in which a missing worker is no warning: it may be starting."""
ENGINE, WORKER = "engine", "worker"
log = structlog.get_logger(__name__)


class EngineWatch:
    """The trouble with the engine and the workers; each change is written into the log.

    Args:
        client: The engine; may connect lazily.
        queue: The task queue of flows.
        address: Where the engine is, for the words.
        clock: Gives the time, UTC and aware.
    """

    def __init__(self, client: Client, queue: str, address: str, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._queue = queue
        self._address = address
        self._clock = clock
        self._trouble: Mapping[str, str | None] = {ENGINE: "it was not asked yet", WORKER: None}
        self._said: dict[str, str | None] = dict.fromkeys(self._trouble)
        self._has_worked = False
        self._answered_at: datetime | None = None

    def trouble(self) -> Mapping[str, str | None]:
        """Give what is wrong with the engine, and with the workers; None for one that is well."""
        return self._trouble

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._pause())

    def _pause(self) -> float:
        if not any(self._trouble.values()):
            return INTERVAL
        return AT_START if self._trouble[ENGINE] is None and self._workers_may_be_starting() else IN_TROUBLE

    async def look(self) -> None:
        """Look once."""
        found = await self._found()
        worked = not any(found.values())
        if worked and any(self._trouble.values()):
            log.info("the engine answers, and workers work")
        self._trouble = found
        self._has_worked |= worked
        self._warn({ENGINE: found[ENGINE]} if self._workers_may_be_starting() else found)

    def _workers_may_be_starting(self) -> bool:
        now = self._clock()
        if self._trouble[ENGINE] is None:
            self._answered_at = self._answered_at or now
        return not self._has_worked and now - (self._answered_at or now) < STARTING

    def _warn(self, found: Mapping[str, str | None]) -> None:
        for name, why in found.items():
            if why is not None and why != self._said[name]:
                log.warning("jobs wait", waits_for=name, why=why)
            self._said[name] = why

    async def _found(self) -> Mapping[str, str | None]:
        try:
            async with asyncio.timeout(2 * ANSWER.total_seconds()):
                idle = [each async for each in self._queues_without_worker()]
        except RPCError as error:
            missing = error.status is RPCStatusCode.NOT_FOUND
            said = "says" if missing else "does not answer"
            return {
                ENGINE: f"the workflow engine at {self._address} {said}: {_first_line(error.message)}",
                WORKER: None,
            }
        except (RuntimeError, TimeoutError) as error:  # RuntimeError: a lazy client cannot connect
            why = _first_line(str(error)) or "it hangs"
            return {ENGINE: f"the workflow engine at {self._address} does not answer: {why}", WORKER: None}
        without = (
            None
            if not idle
            else f"no worker of the service works on {', '.join(dict.fromkeys(idle))}: start `retriever worker` (`retriever serve` starts "
            "its own: its log says why if it does not run)"
        )
        return {ENGINE: None, WORKER: without}

    async def _queues_without_worker(self) -> AsyncIterator[str]:
        """Give the task queues that no worker has asked lately."""
        for queue, kind in (
            (self._queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
            (self._queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
            (self._queue + COPY_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
            (self._queue + VERIFY_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
        ):
            answer = await self._client.workflow_service.describe_task_queue(
                DescribeTaskQueueRequest(
                    namespace=self._client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
                ),
                timeout=ANSWER,
            )
            since = self._clock() - ASKED_LATELY
            if not any(each.last_access_time.ToDatetime(UTC) > since for each in answer.pollers):
                yield queue


def _first_line(words: str) -> str:
    return words.strip().splitlines()[0][:200] if words.strip() else ""
