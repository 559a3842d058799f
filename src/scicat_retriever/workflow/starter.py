"""The starter: hands stored jobs, and wishes to cancel them, to the engine.

The ledger is the queue: no job is lost, whatever was down.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import timedelta

import structlog
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.domain.errors import InternalError, LedgerUnavailable
from scicat_retriever.domain.states import JobState
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.workflow.engine.heart import FLOW_TIMEOUT
from scicat_retriever.workflow.flows.retrieve_job import RetrieveJobFlow
from scicat_retriever.workflow.flows.tasks import FlowLimits, JobTask

log = structlog.get_logger(__name__)
BATCH = 100
"""Jobs read from the ledger at once."""
AT_ONCE = 10
"""Flows started side by side."""
RPC_TIMEOUT = timedelta(seconds=20)
"""The time that the engine may take to answer; an engine that hangs is asked again."""


class FlowStarter:
    """The starter: starts the flow of each stored job once, when woken and at an interval.

    Args:
        client: The engine; may connect lazily.
        ledger: The ledger.
        limits: The limits of new flows.
        interval: Seconds after which stored jobs are looked for without being woken.
    """

    def __init__(self, client: Client, ledger: Ledger, limits: FlowLimits, interval: float = 5.0) -> None:
        self._client = client
        self._ledger = ledger
        self._limits = limits
        self._interval = interval
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Note that a job was stored, or is to be cancelled. Call it from the event loop's thread."""
        self._wake.set()

    async def run(self) -> None:
        """Start flows until cancelled. An engine or a ledger that is down is asked again."""
        while True:
            self._wake.clear()
            try:
                await self.start_stored()
                await self.cancel_wanted()
            except (
                RPCError,
                RuntimeError,
                LedgerUnavailable,
            ) as error:  # RuntimeError: a lazy client cannot connect
                log.warning("stored jobs cannot be handed to the engine now; they will be", why=str(error))
            except Exception:
                # If this task ended, no job would be started any more, and nobody would know.
                log.exception("stored jobs cannot be handed over by a fault of the service")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._interval)

    async def start_stored(self) -> int:
        """Start the flows of all stored jobs that have none; gives how many there were.

        A job whose flow the engine refuses is closed with that reason, so that it does not hold up the
        others.
        """
        count = 0
        while jobs := await asyncio.to_thread(self._ledger.job_flows.to_start, BATCH):
            for first in range(0, len(jobs), AT_ONCE):
                await self._start_all(jobs[first : first + AT_ONCE])
            count += len(jobs)
        return count

    async def _start_all(self, jobs: Sequence[JobFlow]) -> None:
        """Start flows side by side, and note them all with one flush to disk.

        So the ledger stays free for new jobs.

        Raises:
            RPCError: The engine did not take one of them; the others are noted.
        """
        outcomes = await asyncio.gather(*map(self._start, jobs), return_exceptions=True)
        started = [job.job_id for job, error in zip(jobs, outcomes, strict=True) if error is None]
        await asyncio.to_thread(self._ledger.job_flows.mark_started, started)
        for job, error in zip(jobs, outcomes, strict=True):
            if isinstance(error, RPCError) and error.status is RPCStatusCode.INVALID_ARGUMENT:
                await asyncio.to_thread(self._refuse, job, error.message)
            elif error is not None:
                raise error

    async def cancel_wanted(self) -> int:
        """Tell the flows of all jobs that are to be cancelled; gives how many there were."""
        count = 0
        while jobs := await asyncio.to_thread(self._ledger.job_flows.to_cancel, BATCH):
            for job in jobs:
                flow = self._client.get_workflow_handle(job.flow.name)
                try:
                    await flow.signal(RetrieveJobFlow.cancel, job.cancelled_by, rpc_timeout=RPC_TIMEOUT)
                except RPCError as error:
                    if error.status is not RPCStatusCode.NOT_FOUND:
                        raise
                    log.warning("a job to be cancelled has lost its flow", job_id=job.job_id)
                await asyncio.to_thread(self._ledger.job_flows.mark_cancel_told, job.job_id, job.attempt)
            count += len(jobs)
        return count

    def _refuse(self, job: JobFlow, why: str) -> None:
        failure = InternalError(f"the workflow engine refuses the job's flow: {why}").failure()
        log.error("a job has failed: the workflow engine refuses its flow", job_id=job.job_id, why=why)
        self._ledger.jobs.move(job.job_id, JobState.UNSUCCESSFUL, failure.message, failure)

    async def _start(self, job: JobFlow) -> None:
        try:
            await self._client.start_workflow(
                RetrieveJobFlow.run,
                JobTask(job.job_id, self._limits),
                id=job.flow.name,
                task_queue=self._limits.queue,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                memo={"uuid": job.flow.uuid},
                task_timeout=FLOW_TIMEOUT,
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            log.info("the job's flow has run already", job_id=job.job_id)
