"""A flow as a careless change would make it: running ones could not go on with it."""

from __future__ import annotations

from temporalio import workflow

from scicat_retriever.workflow.flows.dataset_steps import DatasetSteps
from scicat_retriever.workflow.flows.declaration import run as run_step
from scicat_retriever.workflow.flows.retrieve_dataset import RetrieveDatasetFlow
from scicat_retriever.workflow.flows.tasks import DatasetTask


@workflow.defn(name="RetrieveDataset")
class WithOneStepMore(RetrieveDatasetFlow):
    """Does a step before all others that the recorded flows did not do."""

    @workflow.init
    def __init__(self, task: DatasetTask) -> None:
        super().__init__(task)

    @workflow.run
    async def run(self, task: DatasetTask) -> None:
        await run_step(DatasetSteps.plan_dataset, task.limits, task.pid, task.run)
        await super().run(task)
