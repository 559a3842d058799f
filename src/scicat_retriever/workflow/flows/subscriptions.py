"""How jobs ask for datasets: a dataset's flow is started by the first job and joined by the others."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any

from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.service import RPCError, RPCStatusCode

from scicat_retriever.domain.errors import EngineUnavailable, InternalError
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.jobs.intake import dataset_flow
from scicat_retriever.workflow.engine.heart import FLOW_TIMEOUT
from scicat_retriever.workflow.flows.retrieve_dataset import RetrieveDatasetFlow
from scicat_retriever.workflow.flows.tasks import DatasetTask

RPC_TIMEOUT = timedelta(seconds=20)


class Subscriptions:
    """Starts, joins and leaves dataset flows; called from the threads of steps.

    Args:
        client: The engine.
        loop: The event loop that the client lives in.
        queue: The task queue of flows.
    """

    def __init__(self, client: Client, loop: asyncio.AbstractEventLoop, queue: str) -> None:
        self._client = client
        self._loop = loop
        self._queue = queue

    def join(self, job_flow: str, task: DatasetTask) -> None:
        """Subscribe a job's flow to the dataset's flow, which is started if none runs.

        The dataset's flow tells the job's flow the outcome.

        Raises:
            EngineUnavailable: The engine does not answer.
        """
        self._wait_for(
            self._client.start_workflow(
                RetrieveDatasetFlow.run,
                task,
                id=dataset_flow(task.pid),
                task_queue=self._queue,
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="subscribe",
                start_signal_args=[job_flow],
                task_timeout=FLOW_TIMEOUT,
                rpc_timeout=RPC_TIMEOUT,
            )
        )

    def leave(self, job_flow: str, pid: DatasetPid) -> None:
        """Unsubscribe a job's flow; it does not matter if the dataset's flow has ended.

        Raises:
            EngineUnavailable: The engine does not answer.
        """
        handle = self._client.get_workflow_handle(dataset_flow(pid))
        self._wait_for(handle.signal(RetrieveDatasetFlow.unsubscribe, job_flow, rpc_timeout=RPC_TIMEOUT))

    def tell_of_recalls(self, pid: DatasetPid) -> None:
        """Tell the dataset's flow of news of its recalls; it does not matter if the flow has ended.

        Raises:
            EngineUnavailable: The engine does not answer.
        """
        handle = self._client.get_workflow_handle(dataset_flow(pid))
        self._wait_for(handle.signal(RetrieveDatasetFlow.recalls_changed, rpc_timeout=RPC_TIMEOUT))

    def _wait_for(self, call: Coroutine[Any, Any, object]) -> None:
        try:
            asyncio.run_coroutine_threadsafe(call, self._loop).result()
        except RPCError as error:
            match error.status:
                case RPCStatusCode.NOT_FOUND:
                    return
                case RPCStatusCode.INVALID_ARGUMENT:
                    raise InternalError(
                        f"the workflow engine refuses the request: {error.message}"
                    ) from error
                case _:
                    raise EngineUnavailable(
                        f"the workflow engine does not answer: {error.message}"
                    ) from error
