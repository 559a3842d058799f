"""What the tests have another process do with a ledger."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier
from typing import Any, TypeVar

from scicat_retriever.domain.errors import RetrieverError, TransitionIllegal
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import HOUR, JOB, P, Q, job, key

Result = TypeVar("Result")


def now() -> datetime:
    return datetime.now(UTC)


def in_processes(count: int, work: Callable[..., Result], url: str, *arguments: Any) -> list[Result]:
    """Do the same in several processes, begun at the same time."""
    # A server that has imported this module forks them: they share nothing else, and none imports all of it anew.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with context.Manager() as manager, ProcessPoolExecutor(count, context) as pool:
        together = manager.Barrier(count, timeout=60)
        started = [pool.submit(_at_once, together, work, url, number, *arguments) for number in range(count)]
        return [future.result(timeout=120) for future in started]


def in_threads(count: int, work: Callable[[int], Result]) -> list[Result]:
    """Do the same in several threads, each with its own number."""
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def _at_once(
    together: Barrier, work: Callable[..., Result], url: str, number: int, *arguments: Any
) -> Result:
    together.wait()
    return work(url, number, *arguments)


def add_the_same_job(url: str, process: int) -> set[FlowName]:
    ledger = SqlLedger.at(url, now)
    try:
        answers = in_threads(
            10, lambda thread: ledger.jobs.add(job(JOB, P, Q), FlowName(f"{process}-{thread}", "flow"))
        )
        return {answer.flow for answer in answers}
    finally:
        ledger.close()


def open_new_ledger_and_add_job(url: str, process: int) -> int:
    ledger = open_ledger(url, now)
    try:
        ledger.jobs.add(job(f"job {process}", P), FlowName(str(process), "flow"))
        return len(ledger.job_flows.to_start(100))
    finally:
        ledger.close()


def tell_all(url: str, process: int, teller: str) -> list[int]:
    """Claim and tell reports until there are none; gives their numbers in the order in which they were told."""
    ledger = SqlLedger.at(url, now)
    numbers: list[int] = []

    def work(_: int) -> None:
        while ledger.reports.count() != (0, 0):
            report = ledger.reports.claim(f"{teller}-{process}", HOUR)
            if report is not None:
                first = ledger.reports.find(report.subject)[0]
                assert first.number == report.number, "a report overtook another one"
                numbers.append(report.number)
                ledger.reports.delivered(report.number)

    try:
        in_threads(2, work)
        return numbers
    finally:
        ledger.close()


def done_or_refused(step: Callable[[], object]) -> bool:
    try:
        step()
    except RetrieverError:
        return False
    return True


def move_or_be_refused(ledger: Ledger, state: DatablockState) -> bool:
    try:
        ledger.datablocks.move(key(), state)
    except TransitionIllegal:
        return False
    return True
