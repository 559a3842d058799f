"""A consumer that is killed (-9) as soon as it has stored a job, before it can acknowledge the message.

    python -m tests.integration.dying_consumer SETTINGS LEDGER

SETTINGS is the broker's settings as JSON, LEDGER the ledger's URL.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from functools import partial

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.broker.consumer import JobConsumer
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.pipeline.jobs import intake
from tests.integration.queue_rig import JUDGE


def main(settings: str, ledger_url: str) -> None:
    """Consume one job."""
    ledger = SqlLedger.at(ledger_url, utc_now)

    def store_and_die(job: RetrieveJob) -> None:
        intake.accept(job, ledger.jobs)
        os.kill(os.getpid(), signal.SIGKILL)

    refuse = partial(intake.refuse, jobs=ledger.jobs)
    consumer = JobConsumer(BrokerSettings.model_validate_json(settings), JUDGE, store_and_die, refuse)
    asyncio.run(consumer.run(asyncio.Event()))


if __name__ == "__main__":
    main(*sys.argv[1:])
