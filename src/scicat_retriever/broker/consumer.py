"""Consumes jobs. A message is acknowledged only when its job is stored, so whatever dies, nothing is lost."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from scicat_retriever.broker.consumption import Consumption, MessageJudge, NotStored
from scicat_retriever.broker.decision import JudgeJob
from scicat_retriever.broker.inbox import open_inbox
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.domain.backoff import GrowingPauses
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import BrokerRefused, BrokerUnavailable, JobRefused, LedgerUnavailable

log = structlog.get_logger(__name__)


class JobConsumer:
    """Takes the jobs that SciCat publishes and stores them; starting them is another process's business.

    Args:
        settings: The broker's settings.
        judge: Reads a job from a message; see `JudgeJob`.
        accept: Stores a job durably; to store it again changes nothing. It is called in threads, several at
            once, and raises `LedgerUnavailable` when the ledger does not take the job now.
        refuse: Notes a job that can never be carried out, and has SciCat told so; in all else as `accept`.
    """

    def __init__(
        self,
        settings: BrokerSettings,
        judge: JudgeJob,
        accept: Callable[[RetrieveJob], object],
        refuse: Callable[[JobRefused], object],
    ) -> None:
        self._settings = settings
        self._judge = MessageJudge(judge, accept, refuse)
        self._was_let_in = False

    async def run(self, stop: asyncio.Event) -> None:
        """Consume until `stop` is set; then finish the messages in hand.

        A broker or a ledger that is down, or goes away, is waited for as long as it takes.

        Raises:
            BrokerRefused: The broker refuses the settings at the first try. Later refusals are logged, and
                tried again: a broker that is being started or mended may refuse for a while.
        """
        if self._settings.readable_on_the_way:
            log.warning(
                "the password of RabbitMQ and the jobs travel in plain text: use amqps:// in broker.url",
                broker=self._settings.address,
            )
        backoff = GrowingPauses(self._settings.backoff_initial, self._settings.backoff_maximum)
        while not stop.is_set():
            backoff.began()
            try:
                await self._consume(stop)
            except NotStored as held:
                await self._wait_for_the_ledger(held, stop)
                continue
            except BrokerRefused as error:
                if not self._was_let_in:
                    raise
                why = str(error)
            except BrokerUnavailable as error:
                why = str(error)
            else:
                continue
            pause = backoff.next()
            log.warning("no jobs are consumed from RabbitMQ now; it is tried again", why=why, pause=pause)
            await _pause(pause, stop)

    async def _consume(self, stop: asyncio.Event) -> None:
        # The library ends pending calls of a lost connection by cancelling them. In a task of its own that
        # cannot be taken for a cancellation of the whole consumer.
        session = asyncio.create_task(self._session(stop))
        try:
            await asyncio.wait({session})
        except asyncio.CancelledError:
            session.cancel()
            await asyncio.wait({session})
            raise
        if session.cancelled():
            raise BrokerUnavailable(f"RabbitMQ at {self._settings.address} broke off the connection")
        session.result()

    async def _session(self, stop: asyncio.Event) -> None:
        async with open_inbox(self._settings) as inbox:
            self._was_let_in = True
            await Consumption(self._settings, inbox, self._judge).run(stop)

    async def _wait_for_the_ledger(self, held: NotStored, stop: asyncio.Event) -> None:
        """Try to store one job until that succeeds, without a connection: its message comes again anyway.

        So the messages wait in the broker, for everybody to see. None is held for longer than the broker
        allows, and none is delivered again and again: some kinds of queues count and limit deliveries.
        """
        backoff = GrowingPauses(self._settings.backoff_initial, self._settings.backoff_maximum)
        why = str(held)
        while True:
            pause = backoff.next()
            log.warning("the ledger takes no jobs now; they wait in the queue", why=why, pause=pause)
            await _pause(pause, stop)
            if stop.is_set():
                return
            try:
                await asyncio.to_thread(held.store)
            except LedgerUnavailable as error:
                why = str(error)
                continue
            except Exception:
                log.exception("a job cannot be stored", job_id=held.job_id)
            log.info("the ledger takes jobs again")
            return


async def _pause(seconds: float, stop: asyncio.Event) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
