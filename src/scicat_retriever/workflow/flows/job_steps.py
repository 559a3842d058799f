"""The steps of a job's flow, each declared once."""

from __future__ import annotations

from abc import ABC, abstractmethod

from scicat_retriever.domain.errors import CatalogueForbidden, Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.tools.attempts import FORBIDDEN_ATTEMPTS
from scicat_retriever.workflow.flows.declaration import (
    ASK_CATALOGUE,
    ASK_LEDGER,
    TELL_CATALOGUE,
    WAIT_FOR_SPACE,
    declare,
)
from scicat_retriever.workflow.flows.tasks import DatasetOutcome, DatasetTask, Page


class JobSteps(ABC):
    """The steps of a job's flow.

    Each may be repeated at any time, also while a lost repetition still runs.
    """

    @declare("report_job_started", TELL_CATALOGUE)
    @abstractmethod
    def report_job_started(self, job_id: JobId) -> None:
        """Tell SciCat that the job is in progress."""

    @declare("open_job", ASK_CATALOGUE, gives_up={CatalogueForbidden: FORBIDDEN_ATTEMPTS})
    @abstractmethod
    def open_job(self, job_id: JobId) -> int:
        """Learn the job's dataset list and the sizes of the datasets; gives the number of datasets."""

    @declare("claim_job", WAIT_FOR_SPACE)
    @abstractmethod
    def claim_job(self, job_id: JobId) -> None:
        """Claim staging space for all datasets of the job; waits in the line until they have it."""

    @declare("datasets_to_retrieve", ASK_LEDGER)
    @abstractmethod
    def datasets_to_retrieve(self, job_id: JobId, page: Page) -> list[DatasetPid]:
        """List a part of the job's datasets."""

    @declare("subscribe", ASK_LEDGER)
    @abstractmethod
    def subscribe(self, job_id: JobId, job_flow: str, task: DatasetTask) -> None:
        """Subscribe the job's flow to the outcome of the dataset's flow, which is started if none runs."""

    @declare("unsubscribe", ASK_LEDGER)
    @abstractmethod
    def unsubscribe(self, job_flow: str, pid: DatasetPid) -> None:
        """Let the dataset's flow go on without this job, or end if nobody else waits."""

    @declare("note_outcome", ASK_LEDGER)
    @abstractmethod
    def note_outcome(self, job_id: JobId, outcome: DatasetOutcome) -> bool:
        """Note the outcome of a dataset of the job; False where the job has to ask for the dataset again.

        That is so where the run did not bring what the job needs.
        """

    @declare("close_job", ASK_LEDGER)
    @abstractmethod
    def close_job(self, job_id: JobId, failure: Failure | None) -> str:
        """Note the end of the job, and have SciCat told; gives the job's state."""
