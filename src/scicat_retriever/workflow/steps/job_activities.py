"""The steps of a job's flow, done by the pipeline."""

from __future__ import annotations

from temporalio import activity

from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.pipeline.jobs import outcome as outcomes
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.start import start_job
from scicat_retriever.pipeline.reports.teller import Teller
from scicat_retriever.pipeline.staging import openings
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.workflow.flows.job_steps import JobSteps
from scicat_retriever.workflow.flows.subscriptions import Subscriptions
from scicat_retriever.workflow.flows.tasks import DatasetOutcome, DatasetTask, Page


class JobActivities(JobSteps):
    """The steps of jobs, bound to their ports.

    Args:
        tools: The ports and policies.
        subscriptions: Reaches the flows of datasets.
        teller: Tells SciCat.
    """

    def __init__(self, tools: Toolbox, subscriptions: Subscriptions, teller: Teller) -> None:
        self._tools = tools
        self._subscriptions = subscriptions
        self._teller = teller

    def report_job_started(self, job_id: JobId) -> None:
        start_job(job_id, self._teller, self._tools)

    def open_job(self, job_id: JobId) -> int:
        return openings.open_job(job_id, activity.info().attempt, self._tools)

    def claim_job(self, job_id: JobId) -> None:
        openings.claim_job(job_id, self._tools)

    def datasets_to_retrieve(self, job_id: JobId, page: Page) -> list[DatasetPid]:
        return outcomes.unfinished(job_id, page.after, page.limit, self._tools)

    def subscribe(self, job_id: JobId, job_flow: str, task: DatasetTask) -> None:
        self._tools.ledger.jobs.move_dataset(job_id, task.pid, DatasetState.STARTED)
        self._subscriptions.join(job_flow, task)

    def unsubscribe(self, job_flow: str, pid: DatasetPid) -> None:
        self._subscriptions.leave(job_flow, pid)

    def note_outcome(self, job_id: JobId, outcome: DatasetOutcome) -> bool:
        if not self._is_current(job_id):
            return True
        return outcomes.note_outcome(job_id, outcome.pid, outcome.failures, self._tools)

    def close_job(self, job_id: JobId, failure: Failure | None) -> str:
        if not self._is_current(job_id):
            return "another flow carries the job out by now"
        return report.close_job(job_id, failure, self._tools)

    def _is_current(self, job_id: JobId) -> bool:
        return outcomes.is_carried_out_by(job_id, activity.info().workflow_id or "", self._tools)
