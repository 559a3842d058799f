"""The queue of arriving jobs: jobs that wait together are stored together, with one flush to disk."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextvars import Context

from starlette.requests import HTTPConnection

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.ports.jobs import JobRecord, Jobs

MOST_AT_ONCE = 200
"""The most jobs that are stored in one transaction."""


class IntakeQueue:
    """The queue that stores jobs in the order of their arrival.

    For one event loop. While a transaction runs, further jobs gather for the next one.

    Args:
        jobs: The book in which jobs are stored.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._waiting: deque[tuple[RetrieveJob, asyncio.Future[JobRecord]]] = deque()
        self._storing: asyncio.Task[None] | None = None

    async def store(self, job: RetrieveJob) -> JobRecord:
        """Store a job; returns once it is durable. A known job stays as it is.

        Raises:
            LedgerUnavailable: The ledger does not answer.
        """
        stored: asyncio.Future[JobRecord] = asyncio.get_running_loop().create_future()
        self._waiting.append((job, stored))
        if self._storing is None or self._storing.done():
            # The task stores jobs of many requests: its lines in the log are about none of them in
            # particular.
            self._storing = asyncio.create_task(self._store_waiting(), context=Context())
        return await stored

    async def _store_waiting(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MOST_AT_ONCE))]
            for (_, stored), outcome in zip(
                batch, await self._outcomes([job for job, _ in batch]), strict=True
            ):
                if stored.done():  # nobody waits for it any more
                    continue
                if isinstance(outcome, Exception):
                    stored.set_exception(outcome)
                else:
                    stored.set_result(outcome)

    async def _outcomes(self, jobs: Sequence[RetrieveJob]) -> Sequence[JobRecord | Exception]:
        try:
            return await asyncio.to_thread(intake.accept_all, jobs, self._jobs)
        except LedgerUnavailable as error:
            return [error] * len(jobs)
        except Exception as error:  # noqa: BLE001 - it belongs to whoever posted the job
            if len(jobs) == 1:
                return [error]
        # One of the jobs cannot be stored: the others are stored without it.
        return [(await self._outcomes([job]))[0] for job in jobs]


def intake_of(connection: HTTPConnection) -> IntakeQueue:
    """Give the queue that the application was made with."""
    queue = connection.app.state.intake
    assert isinstance(queue, IntakeQueue)  # noqa: S101 - tells the type checker what `create_app` put there
    return queue
