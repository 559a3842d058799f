"""Lost flows: those that the engine lost, or that somebody ended from outside; they are started again.

A flow with the name of one of the service's, which no worker of the service is ever given, is somebody else's
(`_is_ours`). It is ended, since it would keep the service's own flow from being started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import structlog
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from scicat_retriever.ports.job_flows import JobFlow
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.workflow.flows.schedules import require_ours
from scicat_retriever.workflow.flows.subscriptions import RPC_TIMEOUT, Subscriptions
from scicat_retriever.workflow.flows.tasks import DatasetTask, FlowLimits

T = TypeVar("T")
_BATCH = 100
_JOB, _DATASET = "RetrieveJob", "RetrieveDataset"
_DELAY = timedelta(seconds=1)
"""The service's own flows begin sooner than this after their start."""
STUCK_ATTEMPTS = 10
"""A flow whose own code failed so often in a row counts as stuck."""
log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The counts of a look: lost flows that were started again, and flows that are stuck."""

    restarted: int
    stuck: int


class LostFlows:
    """The comparison of the ledger with the engine; called from the thread of a step.

    Args:
        client: The engine.
        loop: The event loop that the client lives in.
        ledger: The ledger.
        subscriptions: Starts and joins the flows of datasets.
        limits: The limits of new flows.
    """

    def __init__(
        self,
        client: Client,
        loop: asyncio.AbstractEventLoop,
        ledger: Ledger,
        subscriptions: Subscriptions,
        limits: FlowLimits,
    ) -> None:
        self._client = client
        self._loop = loop
        self._ledger = ledger
        self._subscriptions = subscriptions
        self._limits = limits
        self._suspects: frozenset[tuple[str, DatasetPid]] = frozenset()
        self._left: frozenset[tuple[DatasetPid, str]] = frozenset()
        self._stuck: set[str] = set()

    def restart(self) -> Found:
        """Start a new flow for each job under way, and each dataset that a job waits for, whose flow is lost.

        Returns:
            What was found.

        Raises:
            EngineNotOurs: The engine works for another ledger by now.
            EngineUnavailable: The engine does not answer.
        """
        ours = require_ours(self._client, self._limits.queue, self._ledger.ownership.identity())
        asyncio.run_coroutine_threadsafe(ours, self._loop).result()
        restarted, after = 0, 0
        self._stuck.clear()
        ended: set[tuple[str, DatasetPid]] = set()
        while jobs := self._ledger.job_flows.started(after, _BATCH):
            for number, job in jobs:
                after = number
                if self._runs(job.flow.name, _JOB):
                    ended |= self._without_flow(job)
                elif intake.restart(job, self._ledger.job_flows):
                    log.warning("a job's flow was lost and is started again", job_id=job.job_id)
                    restarted += 1
        # A flow that just ended has told the job, which is about to note it: a flow counts as lost when it is
        # missing in two looks in a row.
        for job_flow, pid in ended & self._suspects:
            log.warning("a dataset's flow was lost and is started again", pid=pid)
            self._subscriptions.join(job_flow, DatasetTask(pid, self._limits))
            restarted += 1
        self._suspects = frozenset(ended - self._suspects)
        return Found(restarted, len(self._stuck))

    def abandoned(self) -> Iterator[tuple[DatasetPid, str]]:
        """Give datasets, with their runs, that no job asks for and whose flow was lost before it cleaned up.

        Each dataset is checked again just before it is given: cleaning up those before it may have taken
        minutes.

        Raises:
            EngineUnavailable: The engine does not answer.
        """
        left = frozenset(each for each in self._ledger.datablocks.abandoned(_BATCH) if self._is_lost(each))
        # A job may be just about to ask for a dataset: it counts as abandoned when no job asks in two looks
        # in a row.
        lost, self._left = left & self._left, left
        for each in sorted(lost):
            if each in self._ledger.datablocks.abandoned(_BATCH) and self._is_lost(each):
                yield each

    def _is_lost(self, run: tuple[DatasetPid, str]) -> bool:
        return not self._runs(dataset_flow(run[0]), _DATASET)

    def _without_flow(self, job: JobFlow) -> set[tuple[str, DatasetPid]]:
        waiting = [d.pid for d in self._ledger.jobs.datasets(job.job_id) if d.state is DatasetState.STARTED]
        return {(job.flow.name, pid) for pid in waiting if not self._runs(dataset_flow(pid), _DATASET)}

    def _runs(self, flow: str, kind: str) -> bool:
        handle = self._client.get_workflow_handle(flow)
        found = self._ask(handle.describe(rpc_timeout=RPC_TIMEOUT))
        if found is None or found.status is not WorkflowExecutionStatus.RUNNING:
            return False
        if not self._is_ours(found, kind):
            log.error("a flow that is not the service's own has the name of one: it is ended", flow=flow)
            other = self._client.get_workflow_handle(flow, run_id=found.run_id)
            self._ask(other.terminate(reason="it is not the service's own", rpc_timeout=RPC_TIMEOUT))
            return False
        attempt = found.raw_description.pending_workflow_task.attempt
        if attempt >= STUCK_ATTEMPTS:
            # The engine repeats the flow's code for ever; only a corrected version of the service lets it go
            # on.
            log.error("a flow cannot go on by a fault of the service", flow=flow, attempt=attempt)
            self._stuck.add(flow)
        return True

    def _is_ours(self, found: WorkflowExecutionDescription, kind: str) -> bool:
        """Say whether the service's workers are given the flow.

        A flow that they are given, and that the service did not seal, ends by itself.
        """
        delay = timedelta() if found.execution_time is None else found.execution_time - found.start_time
        return (
            (found.task_queue, found.workflow_type) == (self._limits.queue, kind)
            and delay < _DELAY
            and not found.raw_description.workflow_execution_info.versioning_info.HasField(
                "versioning_override"
            )
        )

    def _ask(self, call: Coroutine[Any, Any, T]) -> T | None:
        """Wait for an answer of the engine; None where it does not know the flow."""
        try:
            return asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except RPCError as error:
            if error.status is RPCStatusCode.NOT_FOUND:
                return None
            raise EngineUnavailable(f"the workflow engine does not answer: {error.message}") from error
