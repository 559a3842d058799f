"""A SciCat that publishes to RabbitMQ, and a consumer in a thread of its own."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import aio_pika
from aio_pika.abc import AbstractChannel

from scicat_retriever.broker.consumer import JobConsumer
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.catalogue.wire import judge
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import JobRefused
from scicat_retriever.domain.ids import JobId
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.pipeline.jobs import intake

MAX_BODY_BYTES = 100_000
JUDGE = partial(judge, accepted_types=("retrieve",), longest=MAX_BODY_BYTES)
Result = TypeVar("Result")


def published_job(job_id: str, **fields: object) -> dict[str, Any]:
    """Give a job as SciCat's rabbitmq action publishes it."""
    return {
        "id": job_id,
        "type": "retrieve",
        "statusCode": "jobSubmitted",
        "statusMessage": "Job submitted.",
        "ownerUser": "kim",
        "jobParams": {"datasetList": [{"pid": f"20.500.12345/{job_id}", "files": []}]},
        "jobResultObject": {},
        **fields,
    }


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Wait for a condition.

    Raises:
        TimeoutError: It did not become true.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.02)


@dataclass(frozen=True)
class ParkedMessage:
    """A message of the parked queue: what it says, why it is there, and whether it outlives the broker."""

    body: bytes
    headers: dict[str, Any]
    persistent: bool


class QueueRig:
    """Everything around one consumer.

    Args:
        settings: Where the broker and its queues are.
        ledger: Where jobs are stored.
        ledger_url: The ledger, for another process.
    """

    def __init__(self, settings: BrokerSettings, ledger: SqlLedger, ledger_url: str) -> None:
        self.settings = settings
        self.ledger = ledger
        self.ledger_url = ledger_url

    def publish(self, *messages: dict[str, Any] | bytes) -> None:
        """Publish as SciCat does: queue, exchange and binding are declared first, messages are persistent."""

        async def publishing(channel: AbstractChannel) -> None:
            settings = self.settings
            queue = await channel.declare_queue(settings.queue, durable=True)
            exchange = await channel.declare_exchange(settings.exchange, "topic", durable=True)
            await queue.bind(exchange, settings.binding_key)
            for message in messages:
                body = message if isinstance(message, bytes) else json.dumps(message).encode()
                persistent = aio_pika.Message(body, delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await exchange.publish(persistent, settings.binding_key)

        self._ask(publishing)

    def waiting(self, queue: str | None = None) -> int:
        """Count the messages of a queue that are delivered to nobody; without a name, of the queue of jobs."""

        async def counting(channel: AbstractChannel) -> int:
            found = await channel.declare_queue(queue or self.settings.queue, passive=True)
            return found.declaration_result.message_count or 0

        return self._ask(counting)

    def parked(self) -> list[ParkedMessage]:
        """Take all parked messages."""

        async def taking(channel: AbstractChannel) -> list[ParkedMessage]:
            queue = await channel.declare_queue(self.settings.parked_queue, passive=True)
            found = []
            while (message := await queue.get(fail=False)) is not None:
                persistent = message.delivery_mode is aio_pika.DeliveryMode.PERSISTENT
                found.append(ParkedMessage(message.body, dict(message.headers), persistent))
                await message.ack()
            return found

        return self._ask(taking)

    def declare(self, **properties: Any) -> None:
        """Make the queue of jobs with properties of one's own."""

        async def declaring(channel: AbstractChannel) -> None:
            await channel.declare_queue(self.settings.queue, **properties)

        self._ask(declaring)

    def delete_queue(self) -> None:
        """Delete the queue of jobs."""

        async def deleting(channel: AbstractChannel) -> None:
            await channel.queue_delete(self.settings.queue)

        self._ask(deleting)

    def stored(self, job_id: str) -> bool:
        """Say whether the ledger has a job."""
        return self.ledger.jobs.get(JobId(job_id)) is not None

    def stored_jobs(self) -> list[str]:
        """Give the ids of all jobs that the ledger has, in their order."""
        return sorted(each.job_id for each in self.ledger.job_flows.to_start(10_000))

    def accept(self, job: RetrieveJob) -> object:
        """Store a job as the service does."""
        return intake.accept(job, self.ledger.jobs)

    def refuse(self, refused: JobRefused) -> object:
        """Note a refusal as the service does."""
        return intake.refuse(refused, self.ledger.jobs)

    def run(self, settings: BrokerSettings | None = None) -> None:
        """Consume in this thread until the broker refuses, which is raised."""
        consumer = JobConsumer(settings or self.settings, JUDGE, self.accept, self.refuse)
        asyncio.run(consumer.run(asyncio.Event()))

    @contextmanager
    def consuming(
        self, accept: Callable[[RetrieveJob], object] | None = None
    ) -> Iterator[Callable[[], None]]:
        """Consume while the block runs; gives what asks the consumer to stop. It has stopped after the block."""
        consumer = JobConsumer(self.settings, JUDGE, accept or self.accept, self.refuse)
        loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
        failures: list[BaseException] = []
        begun = threading.Event()

        async def consume() -> None:
            stop = asyncio.Event()
            loops.append((asyncio.get_running_loop(), stop))
            begun.set()
            await consumer.run(stop)

        def consume_and_note() -> None:
            try:
                asyncio.run(consume())
            except Exception as error:  # noqa: BLE001 - told by the test's own thread
                failures.append(error)

        thread = threading.Thread(target=consume_and_note, daemon=True)
        thread.start()
        assert begun.wait(10)
        loop, event = loops[0]

        def stop() -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)

        try:
            yield stop
        finally:
            stop()
            thread.join(40)
        assert not thread.is_alive(), "the consumer did not stop"
        assert failures == []

    def _ask(self, what: Callable[[AbstractChannel], Awaitable[Result]]) -> Result:
        async def asking() -> Result:
            async with _channel(self.settings) as channel:
                return await what(channel)

        return asyncio.run(asking())


@asynccontextmanager
async def _channel(settings: BrokerSettings) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(settings.url.get_secret_value(), timeout=20)
    async with connection, connection.channel() as channel:
        yield channel
