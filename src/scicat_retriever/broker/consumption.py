"""Consumption over one connection, until it breaks, the ledger fails, or the service is asked to stop."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import CONNECTION_EXCEPTIONS

from scicat_retriever.broker.decision import (
    Accepted,
    Ignored,
    Irrelevant,
    JudgeJob,
    MessageDecision,
    Parked,
    Refused,
    decide,
)
from scicat_retriever.broker.inbox import Inbox, named_refusals
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import (
    BrokerUnavailable,
    InternalError,
    JobRefused,
    LedgerUnavailable,
)
from scicat_retriever.domain.ids import JobId

DRAIN_SECONDS = 20.0
"""Seconds that messages in hand may take after a stop was asked for; then the broker delivers them again."""
log = structlog.get_logger(__name__)


class NotStored(Exception):
    """The ledger does not take a job, or its refusal, now.

    Attributes:
        job_id: The job.
        store: Tries to store it again.
    """

    def __init__(self, job_id: JobId, store: Callable[[], object], why: str) -> None:
        super().__init__(why)
        self.job_id = job_id
        self.store = store


@dataclass(frozen=True, slots=True)
class MessageJudge:
    """The functions that judge and store messages, and the count of ignored messages.

    Attributes:
        judge: See `JobConsumer`.
        accept: See `JobConsumer`.
        refuse: See `JobConsumer`.
        ignored: The number of messages that were ignored since the start, by the reason.
    """

    judge: JudgeJob
    accept: Callable[[RetrieveJob], object]
    refuse: Callable[[JobRefused], object]
    ignored: Counter[Irrelevant] = field(default_factory=Counter)

    def judge_and_store(self, body: bytes) -> MessageDecision:
        """Decide what is done with a message. Its job, or the job's refusal, is stored on return. Blocks.

        Raises:
            NotStored: The ledger does not take the job or the refusal now.
        """
        decision = decide(body, self.judge)
        match decision:
            case Accepted(job):
                store: Callable[[], object] = partial(self.accept, job)
            case Refused(job, why):
                store = partial(self.refuse, why)
            case _:
                return decision
        try:
            store()
        except LedgerUnavailable as error:
            raise NotStored(job.id, store, str(error)) from error
        except Exception as error:
            log.exception("a job cannot be stored by a fault of the service", job_id=job.id)
            return Parked(InternalError(f"the job cannot be stored: {type(error).__name__}").failure())
        return decision


class Consumption:
    """Settles messages as they come, each in a task of its own; the prefetch bounds how many there are.

    Args:
        settings: The broker's settings.
        inbox: The open connection.
        judge: Judges and stores.
    """

    def __init__(self, settings: BrokerSettings, inbox: Inbox, judge: MessageJudge) -> None:
        self._settings = settings
        self._inbox = inbox
        self._judge = judge
        self._in_hand: set[asyncio.Task[None]] = set()
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set, then finish the messages in hand.

        Raises:
            BrokerUnavailable: The connection is gone, or the queue.
            NotStored: The ledger does not take a job now.
        """
        await self._watch()
        with named_refusals(self._settings):
            tag = await self._inbox.queue.consume(self._begin)
        log.info("jobs are consumed", broker=self._settings.address, queue=self._settings.queue)
        stopping: asyncio.Future[Any] = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait((stopping, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if not self._ended.done():
                with named_refusals(self._settings):
                    await self._inbox.queue.cancel(tag, timeout=DRAIN_SECONDS)
                    await self._drain()
        finally:
            stopping.cancel()
            for task in self._in_hand:
                task.cancel()
        if self._ended.done():
            self._ended.result()
        self._ended.cancel()

    async def _watch(self) -> None:
        """See to it that the end of connection, channel or queue is noticed."""

        def closed(_: object, error: BaseException | None) -> None:
            words = " ".join(str(error or "").split()) or "the connection was closed"
            self._end(BrokerUnavailable(f"RabbitMQ at {self._settings.address} is gone: {words}"))

        self._inbox.connection.close_callbacks.add(closed)
        self._inbox.channel.close_callbacks.add(closed)
        underlay = await self._inbox.channel.get_underlay_channel()
        underlay.on_consumer_cancel_callbacks.add(
            lambda _: self._end(BrokerUnavailable(f"the queue {self._settings.queue} was deleted"))
        )

    def _end(self, why: Exception) -> None:
        if not self._ended.done():
            self._ended.set_exception(why)

    async def _begin(self, message: AbstractIncomingMessage) -> None:
        task = asyncio.create_task(self._settle(message))
        self._in_hand.add(task)
        task.add_done_callback(self._in_hand.discard)

    async def _settle(self, message: AbstractIncomingMessage) -> None:
        try:
            decision = await asyncio.to_thread(self._judge.judge_and_store, message.body)
            if isinstance(decision, Parked):
                await self._inbox.park(message, decision.failure)
            await message.ack()
        except NotStored as held:
            self._end(held)
        except Exception as error:
            if not isinstance(error, (*CONNECTION_EXCEPTIONS, TimeoutError)):
                log.exception("a message is not settled by a fault of the service")
            self._end(BrokerUnavailable(f"a message was not settled, and comes again: {error}"))
        else:
            self._tell(decision)

    def _tell(self, decision: MessageDecision) -> None:
        match decision:
            case Accepted(job):
                log.info("a job from the queue is stored", job_id=job.id)
            case Refused(job, refusal):
                log.warning("a job is refused; SciCat is told", job_id=job.id, why=str(refusal))
            case Ignored(why):
                self._judge.ignored[why] += 1
                log.info("a message is ignored", why=why, so_far=self._judge.ignored[why])
            case Parked(failure):
                queue = self._settings.parked_queue
                log.error("a message is parked", queue=queue, code=failure.code, why=failure.message)

    async def _drain(self) -> None:
        if self._in_hand:
            await asyncio.wait(self._in_hand, timeout=DRAIN_SECONDS)
