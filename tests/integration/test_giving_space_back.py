"""A job's flow whose dataset gives its space back, on a real engine: it stands in the line again, and asks for all that went."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from temporalio import activity
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Worker

from scicat_retriever.domain.errors import Failure, SpaceGivenBack
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.workflow.flows.retrieve_job import RetrieveJobFlow
from scicat_retriever.workflow.flows.tasks import DatasetOutcome, DatasetTask, JobTask, Page
from scicat_retriever.workflow.worker import flow_runner
from tests.integration.test_days_of_waiting import LIMITS, QUEUE

GAVE_BACK = SpaceGivenBack("it needs more, and others wait").failure()


class Steps:
    """Two datasets: the first is brought, then the second one's run gives back, and the first has to be asked for again."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self._env = env
        self._gave_back = False
        self.open = {DatasetPid("P"), DatasetPid("Q")}
        self.asked: list[str] = []

    @activity.defn
    async def report_job_started(self, job_id: JobId) -> None:
        pass

    @activity.defn
    async def open_job(self, job_id: JobId) -> int:
        return 2

    @activity.defn
    async def claim_job(self, job_id: JobId) -> None:
        self.asked.append("space")

    @activity.defn
    async def datasets_to_retrieve(self, job_id: JobId, page: Page) -> list[DatasetPid]:
        return sorted(self.open)[page.after :]

    @activity.defn
    async def subscribe(self, job_id: JobId, flow: str, task: DatasetTask) -> None:
        self.asked.append(task.pid)
        gives_back = task.pid == "Q" and not self._gave_back
        self._gave_back |= gives_back
        outcome = DatasetOutcome(task.pid, (GAVE_BACK,) if gives_back else ())
        await self._env.client.get_workflow_handle(flow).signal("dataset_ended", outcome)

    @activity.defn
    async def note_outcome(self, job_id: JobId, outcome: DatasetOutcome) -> bool:
        if outcome.failures:
            self.open = {DatasetPid("P"), DatasetPid("Q")}
            return False
        self.open.discard(outcome.pid)
        return True

    @activity.defn
    async def unsubscribe(self, flow: str, pid: DatasetPid) -> None:
        pass

    @activity.defn
    async def close_job(self, job_id: JobId, failure: Failure | None) -> str:
        return "failed" if failure else f"open: {sorted(self.open)}"


async def _retrieve() -> tuple[str, list[str]]:
    server = Path(sys.executable).with_name("temporal-test-server")
    started = WorkflowEnvironment.start_time_skipping(test_server_existing_path=str(server))
    async with await started as env:
        steps = Steps(env)
        its: list[Callable[..., Any]] = [
            steps.report_job_started, steps.open_job, steps.claim_job, steps.datasets_to_retrieve,
            steps.subscribe, steps.note_outcome, steps.unsubscribe, steps.close_job,
        ]  # fmt: skip
        one_at_a_time = {**vars(LIMITS), "parallel_datasets": 1}
        limits = type(LIMITS)(**one_at_a_time)
        async with Worker(
            env.client,
            task_queue=QUEUE,
            workflows=[RetrieveJobFlow],
            activities=its,
            workflow_runner=flow_runner(),
        ):
            task = JobTask(JobId("a job"), limits)
            said = await env.client.execute_workflow(
                RetrieveJobFlow.run, task, id="a job's flow", task_queue=QUEUE
            )
        return said, steps.asked


def test_a_job_whose_dataset_gave_back_claims_again_before_it_asks_again_and_asks_for_what_was_there() -> (
    None
):
    said, asked = asyncio.run(_retrieve())
    assert said == "open: []"
    assert asked == ["space", "P", "Q", "space", "Q", "P"]
