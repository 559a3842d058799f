"""The consumer process: takes the jobs that SciCat publishes to RabbitMQ.

It needs the ledger and the broker alone. A stored job is started by the API process, which looks for such
jobs every few seconds (`workflow.starter`), so neither needs to be up for the other.
"""

from __future__ import annotations

import asyncio
import signal
from functools import partial

import structlog

from scicat_retriever.bootstrap.broker import require_broker
from scicat_retriever.bootstrap.data_folder import check_apart, make_data_folder
from scicat_retriever.bootstrap.ledger import build_ledger
from scicat_retriever.broker.consumer import JobConsumer
from scicat_retriever.catalogue.wire import judge
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.settings import Settings

log = structlog.get_logger(__name__)


async def run_consumer(settings: Settings) -> None:
    """Consume until SIGTERM or SIGINT; then finish the messages in hand.

    Raises:
        SettingsInvalid: There is no section `[broker]`, or the data folder or the ledger cannot be used as it
            is set.
        LedgerUnavailable: The ledger cannot be opened.
        BrokerRefused: The broker refuses the account, the virtual host or the queues.
    """
    make_data_folder(settings)
    check_apart(settings)
    broker = require_broker(settings)
    ledger = build_ledger(settings)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        await JobConsumer(
            broker,
            judge=partial(judge, accepted_types=settings.job_types, longest=settings.api.max_body_bytes),
            accept=partial(intake.accept, jobs=ledger.jobs),
            refuse=partial(intake.refuse, jobs=ledger.jobs),
        ).run(stopped)
    finally:
        ledger.close()
    log.info("the consumer has stopped")
