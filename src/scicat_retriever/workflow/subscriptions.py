"""How jobs ask for datasets: a dataset's flow is started by the first job and joined by the others."""

from __future__ import annotations

import asyncio

import structlog
from temporalio import activity
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.pipeline.intake import dataset_flow
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.workflow.retrieve_dataset import RetrieveDataset
from scicat_retriever.workflow.tasks import DatasetTask

log = structlog.get_logger(__name__)


class Subscriptions:
    """The steps that speak to other flows. Failures of the engine are repeated by the engine.

    Args:
        client: The engine.
        ledger: The ledger.
        queue: The task queue of flows.
    """

    def __init__(self, client: Client, ledger: Ledger, queue: str) -> None:
        self._client = client
        self._ledger = ledger
        self._queue = queue

    @activity.defn
    async def subscribe(self, job_id: JobId, job_flow: str, task: DatasetTask) -> None:
        """Start the dataset's flow, or join the one that runs; either way it will tell the job's flow the outcome."""
        await asyncio.to_thread(self._ledger.move_job_dataset, job_id, task.pid, DatasetState.STARTED)
        await self._client.start_workflow(
            RetrieveDataset.run,
            task,
            id=dataset_flow(task.pid),
            task_queue=self._queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="subscribe",
            start_signal_args=[job_flow],
        )

    @activity.defn
    async def unsubscribe(self, job_flow: str, pid: DatasetPid) -> None:
        """Take a job's wish back; a flow that has ended is no matter."""
        handle = self._client.get_workflow_handle(dataset_flow(pid))
        try:
            await handle.signal(RetrieveDataset.unsubscribe, job_flow)
        except RPCError as error:
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise
            log.info("the dataset's flow has ended already", pid=pid)
