"""Jobs that arrive together are stored together, and each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence

import pytest

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.ids import JobId
from scicat_retriever.http_api.intake_queue import MOST_AT_ONCE, IntakeQueue
from scicat_retriever.ports.jobs import FlowName, JobRecord
from tests.fakes.ledger import InMemoryLedger
from tests.unit.pipeline.rig import HandClock

SECONDS = 60


class SlowLedger(InMemoryLedger):
    """A ledger whose transactions wait until they are let go.

    Attributes:
        batches: The ids of the jobs of each transaction that was tried.
        begun: Set once there was one.
        let_go: Lets them end.
        away: Whether it does not answer.
        poison: The id of a job that breaks it.
    """

    def __init__(self) -> None:
        super().__init__(HandClock())
        self.batches: list[Sequence[str]] = []
        self.begun = threading.Event()
        self.let_go = threading.Event()
        self.away = False
        self.poison = ""

    def add_jobs(self, given: Sequence[tuple[RetrieveJob, FlowName]]) -> Sequence[JobRecord]:
        ids = [job.id for job, _ in given]
        self.batches.append(ids)
        self.begun.set()
        assert self.let_go.wait(SECONDS)
        if self.away:
            raise LedgerUnavailable("no disk")
        if self.poison in ids:
            raise ValueError(self.poison)
        return super().add_jobs(given)


def job(name: str) -> RetrieveJob:
    return RetrieveJob(JobId(name), "retrieve")


async def store_all(ledger: SlowLedger, names: Sequence[str]) -> list[JobRecord | BaseException]:
    """Store the first job, and the others while its transaction runs."""
    queue = IntakeQueue(ledger.jobs)
    async with asyncio.timeout(SECONDS):
        tasks = [asyncio.create_task(queue.store(job(names[0])))]
        await asyncio.to_thread(ledger.begun.wait, SECONDS)
        tasks += [asyncio.create_task(queue.store(job(name))) for name in names[1:]]
        await asyncio.sleep(0)  # each has begun
        ledger.let_go.set()
        return await asyncio.gather(*tasks, return_exceptions=True)


def answers_of(ledger: SlowLedger, names: Sequence[str]) -> list[str]:
    """What each got: the job's id, or the name of the error."""
    outcomes = asyncio.run(store_all(ledger, names))
    return [each.job.id if isinstance(each, JobRecord) else type(each).__name__ for each in outcomes]


def test_jobs_that_arrive_during_a_transaction_share_the_next_one() -> None:
    ledger = SlowLedger()
    assert answers_of(ledger, ["a", "b", "c", "d"]) == ["a", "b", "c", "d"]
    assert ledger.batches == [["a"], ["b", "c", "d"]]


def test_a_transaction_takes_no_more_jobs_than_it_may() -> None:
    ledger = SlowLedger()
    names = [str(number) for number in range(2 * MOST_AT_ONCE + 2)]
    assert answers_of(ledger, names) == names
    assert [len(batch) for batch in ledger.batches] == [1, MOST_AT_ONCE, MOST_AT_ONCE, 1]


def test_the_same_job_in_one_transaction_is_one_job_with_one_flow() -> None:
    ledger = SlowLedger()
    outcomes = asyncio.run(store_all(ledger, ["a", "b", "b", "b"]))
    assert outcomes[1] == outcomes[2] == outcomes[3]
    assert [each.job_id for each in ledger.job_flows.to_start(9)] == ["a", "b"]


def test_a_ledger_that_is_away_is_told_to_everybody_who_waits() -> None:
    ledger = SlowLedger()
    ledger.away = True
    assert answers_of(ledger, ["a", "b", "c"]) == ["LedgerUnavailable"] * 3
    assert len(ledger.batches) == 2


def test_a_job_that_cannot_be_stored_fails_alone() -> None:
    ledger = SlowLedger()
    ledger.poison = "c"
    assert answers_of(ledger, ["a", "b", "c", "d"]) == ["a", "b", "ValueError", "d"]
    assert [each.job_id for each in ledger.job_flows.to_start(9)] == ["a", "b", "d"]


def test_a_caller_that_went_away_holds_up_nobody() -> None:
    async def one_goes() -> list[str]:
        ledger = SlowLedger()
        queue = IntakeQueue(ledger.jobs)
        goes, stays = (asyncio.create_task(queue.store(job(name))) for name in ("goes", "stays"))
        await asyncio.to_thread(ledger.begun.wait, SECONDS)
        goes.cancel()
        ledger.let_go.set()
        async with asyncio.timeout(SECONDS):
            assert (await stays).job.id == "stays"
            with pytest.raises(asyncio.CancelledError):
                await goes
            assert (await queue.store(job("later"))).job.id == "later"
        return [each.job_id for each in ledger.job_flows.to_start(9)]

    assert asyncio.run(one_goes()) == ["goes", "stays", "later"]
