"""Real servers, and what stands around the consumer of jobs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.broker.settings import BrokerSettings
from scicat_retriever.ledger.sql import open_ledger
from tests.integration.queue_rig import QueueRig
from tests.integration.rabbitmq import Rabbit, RabbitUnavailable, running_rabbit

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def session_rabbit() -> Iterator[Rabbit]:
    """A broker for the session."""
    try:
        with running_rabbit() as rabbit:
            yield rabbit
    except RabbitUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture
def rabbit(session_rabbit: Rabbit) -> Rabbit:
    """The broker, running whatever the test before did to it."""
    session_rabbit.start()
    return session_rabbit


@pytest.fixture
def queues(rabbit: Rabbit) -> BrokerSettings:
    """Settings with an exchange and a queue that no other test uses, and pauses that are quick enough for a test."""
    number = next(_numbers)
    return BrokerSettings.model_validate(
        {
            "url": rabbit.url,
            "exchange": f"jobs.write.{number}",
            "queue": f"retriever.jobs.{number}",
            "prefetch": 10,
            "backoff_initial": 0.1,
            "backoff_maximum": 0.5,
        }
    )


@pytest.fixture
def rig(queues: BrokerSettings, tmp_path: Path) -> Iterator[QueueRig]:
    """A SciCat that publishes, a ledger in a file, and consumers on demand."""
    ledger_url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger = open_ledger(ledger_url, utc_now)
    yield QueueRig(queues, ledger, ledger_url)
    ledger.close()
