"""The retrieval of one dataset: one flow at a time, whichever and however many jobs ask for it.

It is the only writer of the dataset's lifecycle in SciCat.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

from scicat_retriever.domain.errors import Failure, JobCancelled
from scicat_retriever.workflow.engine.failures import failure_of, first_of
from scicat_retriever.workflow.flows.copy_window import CopyWindow, DatasetFailed, failing
from scicat_retriever.workflow.flows.dataset_steps import DatasetSteps
from scicat_retriever.workflow.flows.declaration import run
from scicat_retriever.workflow.flows.tasks import DatasetOutcome, DatasetTask, Page

WINDOW = 200
"""Datablocks in one window: so a flow's history stays small, and SciCat's longest datasets fit."""
DISCARD_PATIENCE = 60.0
"""Seconds for which jobs that wait for a failed dataset also wait until its files are removed."""
VERIFICATION_WINDOW = 50
"""Datablocks verified, one after the other, by one step."""


@workflow.defn(name="RetrieveDataset")
class RetrieveDatasetFlow:
    """The flow of a dataset: the first job that asks starts it, later ones subscribe; all get the outcome."""

    @workflow.init
    def __init__(self, task: DatasetTask) -> None:
        self._task = task
        self._subscribers = list(task.subscribers)
        self._wanted = bool(task.subscribers)
        self._ending = False
        self._dropped = False
        self._discarding: asyncio.Task[None] | None = None
        self._copying: CopyWindow | None = None

    @workflow.signal
    def recalls_changed(self) -> None:
        """Note that there is news of the dataset's recalls."""
        if self._copying is not None:
            self._copying.recalls_changed()

    @workflow.signal
    def subscribe(self, job_flow: str) -> None:
        """Note that a job waits for the dataset."""
        self._wanted = True
        if job_flow not in self._subscribers:
            self._subscribers.append(job_flow)

    @workflow.signal
    def unsubscribe(self, job_flow: str) -> None:
        """Note that a job does not wait any longer."""
        if job_flow in self._subscribers:
            self._subscribers.remove(job_flow)

    @workflow.run
    async def run(self, task: DatasetTask) -> None:
        if not task.run:
            self._task = dataclasses.replace(task, run=workflow.info().run_id)
        work = asyncio.create_task(self._outcome())
        try:
            await workflow.wait_condition(lambda: work.done() or self._abandoned)
        except asyncio.CancelledError:
            workflow.logger.info("the dataset's flow was cancelled from outside")
        if not work.done() and not self._ending:
            self._dropped = True
            work.cancel()
        outcome = await work
        if outcome is None:
            workflow.continue_as_new(dataclasses.replace(self._task, subscribers=tuple(self._subscribers)))
        # Jobs that subscribe after this line need a new run; this outcome is not theirs.
        concerned = [] if self._dropped and outcome.failures else list(self._subscribers)
        await self._wait_until_clean(outcome, concerned)
        await self._tell(outcome, concerned)
        if self._subscribers:
            workflow.continue_as_new(DatasetTask(task.pid, task.limits, subscribers=tuple(self._subscribers)))

    @property
    def _abandoned(self) -> bool:
        return self._wanted and not self._subscribers and not self._ending

    async def _outcome(self) -> DatasetOutcome | None:
        """Give the outcome of the dataset; None where the flow should go on with a fresh history."""
        try:
            return await self._retrieve()
        except DatasetFailed as failed:
            failures = failed.failures
        except asyncio.CancelledError:
            failures = (JobCancelled("nobody waits for the dataset any longer").failure(),)
        except ActivityError as error:
            failures = (failure_of(error),)
        self._ending = True
        await self._clean_up(failures)
        return DatasetOutcome(self._task.pid, failures)

    async def _retrieve(self) -> DatasetOutcome | None:
        task, limits = self._task, self._task.limits
        if not task.datablocks:
            await run(DatasetSteps.report_dataset_started, limits, task.pid)
            self._go_on()
            planned = await run(DatasetSteps.plan_dataset, limits, task.pid, task.run)
            if not planned.claimed:
                self._go_on()
                await run(DatasetSteps.claim_dataset, limits, task.pid)
            done = planned.datablocks if planned.staged else 0
            self._task = task = dataclasses.replace(
                task, datablocks=planned.datablocks, copied=done, verified=done
            )
        while self._task.verified < task.datablocks:
            self._go_on()
            if self._task.copied < task.datablocks:
                await self._copy_window()
            else:
                await self._verify_window()
            if workflow.info().is_continue_as_new_suggested():
                return None
        self._go_on()
        await run(DatasetSteps.publish_dataset, limits, task.pid)
        return DatasetOutcome(task.pid)

    def _go_on(self) -> None:
        """Stop here if the flow was told to end while a step was waited for."""
        if self._dropped:
            raise asyncio.CancelledError

    async def _copy_window(self) -> None:
        """Bring the next datablocks into staging, in parallel."""
        task, page = self._task, Page(self._task.copied, WINDOW)
        with failing():
            prepared = await run(DatasetSteps.prepare_datablocks, task.limits, task.pid, page)
        self._go_on()
        self._copying = CopyWindow(task, prepared, self._go_on)
        try:
            await self._copying.copy()
        finally:
            self._copying = None
        self._task = dataclasses.replace(self._task, copied=page.after + page.limit)

    async def _verify_window(self) -> None:
        """Verify the next datablocks one by one; those that are not right are read from another copy."""
        task, limits, page = self._task, self._task.limits, Page(self._task.verified, VERIFICATION_WINDOW)
        failed = await run(DatasetSteps.verify_datablocks, limits, task.pid, page, limits.transfer_attempts)
        lost = [each.failure for each in failed if not await run(DatasetSteps.try_other_copy, limits, each)]
        if lost:
            raise DatasetFailed(first_of(lost))
        if failed:
            self._task = dataclasses.replace(self._task, copied=page.after)
        else:
            self._task = dataclasses.replace(self._task, verified=page.after + page.limit)

    async def _clean_up(self, failures: Sequence[Failure]) -> None:
        """Have SciCat told why the run failed, and begin to remove its files."""
        with _logging_failure():
            await run(DatasetSteps.report_dataset_failed, self._task.limits, self._task.pid, list(failures))
        self._discarding = asyncio.create_task(self._discard(failures[0]))

    async def _discard(self, failure: Failure) -> None:
        with _logging_failure():
            task = self._task
            await run(DatasetSteps.discard_dataset, task.limits, task.pid, task.run, failure)

    async def _wait_until_clean(self, outcome: DatasetOutcome, concerned: list[str]) -> None:
        """Wait until a failed run's files are gone, however long.

        Jobs that wait for the dataset are told the outcome after `DISCARD_PATIENCE` at the latest.
        """
        if self._discarding is None:
            return
        await workflow.wait([self._discarding], timeout=DISCARD_PATIENCE)
        if not self._discarding.done() and not self._dropped:
            await self._tell(outcome, concerned)
        await self._discarding

    async def _tell(self, outcome: DatasetOutcome, concerned: list[str]) -> None:
        """Tell the outcome to the `concerned` jobs that still wait; one that has ended does not matter."""
        while concerned:
            job_flow = concerned.pop(0)
            if job_flow not in self._subscribers:
                continue
            self._subscribers.remove(job_flow)
            try:
                await workflow.get_external_workflow_handle(job_flow).signal("dataset_ended", outcome)
            except ApplicationError:
                workflow.logger.info("the job's flow has ended already", extra={"job_flow": job_flow})


@contextmanager
def _logging_failure() -> Iterator[None]:
    try:
        yield
    except ActivityError as error:
        workflow.logger.error("could not clean up: %s", failure_of(error).message)
