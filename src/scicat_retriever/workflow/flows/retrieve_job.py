"""The retrieval of one job: each dataset by the flow of that dataset, then the result to SciCat."""

from __future__ import annotations

import asyncio
import dataclasses
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError

from scicat_retriever.domain.errors import Failure, JobCancelled, JobDeadlinePassed, SpaceGivenBack
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.workflow.engine.failures import failure_of
from scicat_retriever.workflow.flows.declaration import run
from scicat_retriever.workflow.flows.job_steps import JobSteps
from scicat_retriever.workflow.flows.tasks import DatasetOutcome, DatasetTask, JobTask, Page

WINDOW = 500
"""Datasets listed at once."""
CHECK_SECONDS = 12 * 3600.0
"""Seconds after which a job asks again for a dataset, in case the dataset's flow was ended from outside."""


@workflow.defn(name="RetrieveJob")
class RetrieveJobFlow:
    """The flow of a job: started once for each job; a repetition of the job finds it running or done."""

    @workflow.init
    def __init__(self, task: JobTask) -> None:
        deadline = task.deadline or workflow.time() + task.limits.job_timeout
        self._task = dataclasses.replace(task, deadline=deadline)
        self._outcomes: dict[DatasetPid, DatasetOutcome] = {}
        self._waiting: set[DatasetPid] = set()
        self._closing = False
        self._space = asyncio.Lock()
        self._gave_space_back = False
        self._from_start = False
        self._cancelled_by = ""

    @workflow.signal
    def dataset_ended(self, outcome: DatasetOutcome) -> None:
        """Note the outcome of a dataset, which the dataset's flow tells."""
        self._outcomes[outcome.pid] = outcome

    @workflow.signal
    def cancel(self, by: str) -> None:
        """Note that somebody wants the job cancelled.

        This is a signal, since the engine's own cancellation could come before the first step.
        """
        self._cancelled_by = by

    @workflow.run
    async def run(self, task: JobTask) -> str:
        del task  # `__init__` was given it
        failure: Failure | None = None
        work = asyncio.create_task(self._retrieve())
        try:
            remaining = max(0.0, self._task.deadline - workflow.time())
            await workflow.wait_condition(
                lambda: work.done() or bool(self._cancelled_by), timeout=timedelta(seconds=remaining)
            )
            if not (work.done() and await work):
                if not self._cancelled_by:
                    workflow.continue_as_new(self._task)
                failure = JobCancelled(f"the job was cancelled by {self._cancelled_by}").failure()
        except TimeoutError:
            failure = JobDeadlinePassed("the job was not finished in the time allowed").failure()
        except asyncio.CancelledError:
            failure = JobCancelled("the job was cancelled").failure()
        except ActivityError as error:
            failure = failure_of(error)
        return await self._close(work, failure)

    async def _retrieve(self) -> bool:
        """Retrieve all datasets; False where the flow should go on with a fresh history."""
        limits, job_id = self._task.limits, self._task.job_id
        if not self._task.opened:
            await run(JobSteps.report_job_started, limits, job_id)
            self._go_on()
            count = await run(JobSteps.open_job, limits, job_id)
            self._go_on()
            await run(JobSteps.claim_job, limits, job_id)
            self._task = dataclasses.replace(self._task, opened=True, datasets=count)
        while self._task.after < self._task.datasets:
            page = Page(self._task.after, WINDOW)
            pids = await run(JobSteps.datasets_to_retrieve, limits, job_id, page)
            self._go_on()
            slots = asyncio.Semaphore(limits.parallel_datasets)
            try:
                async with asyncio.TaskGroup() as datasets:
                    for pid in pids:
                        datasets.create_task(self._retrieve_dataset(pid, slots))
            except ExceptionGroup as group:
                first = group.exceptions[0]
                raise first from first.__cause__  # which says why the step failed
            # Datasets that were there before the job gave its space back are asked for again.
            after = 0 if self._from_start else page.after + page.limit
            self._from_start = False
            self._task = dataclasses.replace(self._task, after=after)
            if workflow.info().is_continue_as_new_suggested():
                return False
        return True

    async def _retrieve_dataset(self, pid: DatasetPid, slots: asyncio.Semaphore) -> None:
        async with slots:
            self._waiting.add(pid)
            # A job that joined late may need more of the dataset than its flow had set out to bring.
            outcome = await self._outcome_of(pid)
            while not await run(JobSteps.note_outcome, self._task.limits, self._task.job_id, outcome):
                if any(failure.code == SpaceGivenBack.code for failure in outcome.failures):
                    self._gave_space_back = self._from_start = True
                outcome = await self._outcome_of(pid)
            self._waiting.discard(pid)

    async def _outcome_of(self, pid: DatasetPid) -> DatasetOutcome:
        """Ask for a dataset, and wait for its outcome."""
        limits, flow = self._task.limits, workflow.info().workflow_id
        while pid not in self._outcomes:
            await self._claim_again()
            await run(JobSteps.subscribe, limits, self._task.job_id, flow, DatasetTask(pid, limits))
            self._go_on()
            try:
                await workflow.wait_condition(
                    lambda: pid in self._outcomes, timeout=timedelta(seconds=CHECK_SECONDS)
                )
            except TimeoutError:
                continue
        return self._outcomes.pop(pid)

    async def _claim_again(self) -> None:
        """Wait in the line again, if the job gave its space back; all its datasets wait for that."""
        async with self._space:
            if self._gave_space_back:
                # The job may have to give its space back once more before it hears that it has the space.
                self._gave_space_back = False
                await run(JobSteps.claim_job, self._task.limits, self._task.job_id)
                self._go_on()

    def _go_on(self) -> None:
        """Stop here if the closing of the job began while a step was waited for."""
        if self._closing:
            raise asyncio.CancelledError

    async def _close(self, work: asyncio.Task[bool], failure: Failure | None) -> str:
        """Unsubscribe from datasets that the job still waits for, then have SciCat told."""
        self._closing = True
        if not work.done():
            work.cancel()
            await workflow.wait([work])
        for pid in sorted(self._waiting):
            await run(JobSteps.unsubscribe, self._task.limits, workflow.info().workflow_id, pid)
        return await run(JobSteps.close_job, self._task.limits, self._task.job_id, failure)
