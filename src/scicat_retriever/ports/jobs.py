"""Jobs as the ledger holds them: what was asked for, and how far it is."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState, JobState


@dataclass(frozen=True, slots=True)
class FlowName:
    """How the engine knows a job's flow: what intake answers.

    Attributes:
        uuid: A UUID derived from the job's id, so the same for every repetition.
        name: The flow's name, for people.
    """

    uuid: str
    name: str


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the ledger holds it.

    Attributes:
        job: The job as it came, its dataset list completed where it came in the short form.
        flow: The flow that carries it out.
        state: How far it is.
        message: What was last said of it.
        received_at: When it was stored (UTC).
        updated_at: When its state last changed (UTC).
        failure: Why the job as a whole failed, where it did.
        attempt: Counts its flows from 1: a retry, or a flow that the engine lost, makes a new one.
        cancelled_by: Who asked that it be cancelled; empty where nobody did.
        priority: What has a larger one goes first to tape; 0 is ordinary.
    """

    job: RetrieveJob
    flow: FlowName
    state: JobState
    message: str
    received_at: datetime
    updated_at: datetime
    failure: Failure | None = None
    attempt: int = 1
    cancelled_by: str = ""
    priority: int = 0


@dataclass(frozen=True, slots=True)
class JobDatasetRecord:
    """One dataset of one job.

    Attributes:
        pid: The dataset.
        state: How far it is for this job.
        failures: Why it failed, one for each datablock that did, or one for the dataset.
        reason: What it waits for, in words, where that is not one of its datablocks' affairs.
        chosen: Whether the job chose files of it.
        unknown: Says which of them it does not have, once that is known; what it has is retrieved all the
            same.
    """

    pid: DatasetPid
    state: DatasetState
    failures: tuple[Failure, ...] = ()
    reason: str = ""
    chosen: bool = False
    unknown: Failure | None = None

    @property
    def errors(self) -> tuple[Failure, ...]:
        """Why it failed, and which chosen files it does not have: all that went wrong with it for the job."""
        alone = () if self.unknown is None or self.unknown in self.failures else (self.unknown,)
        return self.failures + alone


class Jobs(Protocol):
    """The jobs, and their datasets. Promises and errors as of `ports.ledger.Ledger`."""

    def add(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        """Store a job as submitted. Of a job that is known, nothing changes and its record is given.

        A dataset that is listed several times counts once, as `domain.dataset.united` says.
        """
        ...

    def add_all(self, given: Sequence[tuple[RetrieveJob, FlowName]]) -> Sequence[JobRecord]:
        """As `add` of each, in this order, all in one transaction: all are stored, or none is.

        Returns:
            The record of each, in the order given. Of a job that is given twice the first counts.
        """
        ...

    def refuse(self, job: RetrieveJob, flow: FlowName, failure: Failure) -> JobRecord:
        """Store a job as failed, with a report of it, in one transaction: no flow carries it out.

        Of a job that is known, nothing changes and its record is given.

        Args:
            job: The job; what datasets it asks for is not taken down.
            flow: What would have carried it out, and will where it is retried.
            failure: Why it is refused.
        """
        ...

    def get(self, job_id: JobId) -> JobRecord | None:
        """Give a job's record."""
        ...

    def recent(self) -> JobId | None:
        """The job that was stored last, or None in an empty ledger."""
        ...

    def complete(self, job_id: JobId, known: RetrieveJob) -> None:
        """Complete a job that came without its dataset list or owner group; one that is there stays as it is.

        Args:
            job_id: The job.
            known: What is known of it by now.
        """
        ...

    def datasets(self, job_id: JobId, after: int = 0, limit: int | None = None) -> Sequence[JobDatasetRecord]:
        """A job's datasets in the order asked for, each pid once, from place `after` (counted from 0)."""
        ...

    def move(self, job_id: JobId, state: JobState, message: str = "", failure: Failure | None = None) -> None:
        """Note a job's state, what is said of it now, and why it failed as a whole.

        A change of state has a report written in the same transaction. The end of a job that failed as a
        whole is that of its datasets, too, that have not ended: they fail for the same reason.
        """
        ...

    def move_dataset(
        self, job_id: JobId, pid: DatasetPid, state: DatasetState, failures: Sequence[Failure] = ()
    ) -> None:
        """Note the state of one of a job's datasets and why it failed, in place of what was noted before."""
        ...

    def note_waiting(self, pid: DatasetPid, reason: str) -> None:
        """Note what a dataset waits for, in words, for all jobs it was started for; empty when it goes on."""
        ...

    def cancel(self, job_id: JobId, by: str) -> None:
        """Note who wants a job cancelled; the first one stays.

        Raises:
            JobEnded: It has ended.
        """
        ...

    def retry(self, job_id: JobId, flow: FlowName, pids: Collection[DatasetPid] | None = None) -> int:
        """Have an ended job carried out again by a new flow: those of its datasets that are not there.

        A dataset is there when it was retrieved for the job, without unknown files, and `needs.is_brought`
        still. The job and the datasets that are not there become submitted. A wish to cancel is forgotten.
        Which datablocks hold the chosen files of these datasets is forgotten, and their size. Datasets that
        are not in `pids` stay as they are.

        Returns:
            How many datasets are retrieved again.

        Raises:
            JobNotEnded: It is still being carried out.
            DatasetNotOfJob: The job has no dataset of one of `pids`; the message names it.
            NothingToRetry: All of them are there, and the job ended well or only some were asked about.
        """
        ...
