"""The ledger: the one record of what was asked, what happened, and what is held."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from scicat_retriever.domain.dataset import (
    CataloguedDatablock,
    FileEntry,
    RetrieveJob,
    Selection,
)
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.evidence import Copied, DatablockKey, Staged
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState
from scicat_retriever.ports.chosen_files import ChosenFilesLedger
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.outbox import Outbox
from scicat_retriever.ports.ownership import OwnershipLedger
from scicat_retriever.ports.recalls import RecallLedger
from scicat_retriever.ports.space import SpaceLedger


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
class JobFlow:
    """A job's present flow: all that the engine is told of the job, whose dataset list may be long.

    Attributes:
        job_id: The job.
        flow: The flow that carries it out.
        attempt: Counts its flows, as in `JobRecord`.
        cancelled_by: Who asked that the job be cancelled, as in `JobRecord`.
    """

    job_id: JobId
    flow: FlowName
    attempt: int = 1
    cancelled_by: str = ""


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


@dataclass(frozen=True, slots=True)
class Plan:
    """What was planned for a dataset.

    Attributes:
        datablocks: How many datablocks SciCat lists.
        files: How many files they have.
        packed_size: Bytes that they take in the store.
        extracts: How many extracts are planned beside them; their positions follow on the datablocks'.
    """

    datablocks: int
    files: int
    packed_size: int
    extracts: int = 0


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """Sums over the datablocks that a job needs of a dataset: counts (`datablocks`, `staged`), and bytes."""

    pid: DatasetPid
    datablocks: int
    staged: int
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True, slots=True)
class DatasetWait:
    """What a dataset waits for: the reason of its first recalled datablock, and how many are recalled."""

    reason: str
    datablocks: int


@dataclass(frozen=True, slots=True)
class Finding:
    """What a regular look found last, and when (UTC)."""

    at: datetime
    found: Mapping[str, int | str]


class Ledger(Outbox, SpaceLedger, RecallLedger, ChosenFilesLedger, OwnershipLedger, Protocol):
    """The ledger.

    Each method is one transaction, durable when it returns, and may be called from any thread and from
    several machines at once. Raises `LedgerUnavailable` when the database does not answer or refuses,
    `TransitionIllegal` when a state would follow one that it must not follow (see `domain.states`) or when
    the datablock or the job's dataset to be moved is not known, and `JobNotFound` when an unknown job is to
    be changed. Every change of state, the first included, is also kept as a row of the transitions table,
    with its time (UTC); repeating a state is no change.
    """

    def add_job(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        """Store a job as submitted. Of a job that is known, nothing changes and its record is given.

        A dataset that is listed several times counts once, as `domain.dataset.united` says.
        """
        ...

    def add_jobs(self, given: Sequence[tuple[RetrieveJob, FlowName]]) -> Sequence[JobRecord]:
        """As `add_job` of each, in this order, all in one transaction: all are stored, or none is.

        Returns:
            The record of each, in the order given. Of a job that is given twice the first counts.
        """
        ...

    def refuse_job(self, job: RetrieveJob, flow: FlowName, failure: Failure) -> JobRecord:
        """Store a job as failed, with a report of it, in one transaction: no flow carries it out.

        Of a job that is known, nothing changes and its record is given.

        Args:
            job: The job; what datasets it asks for is not taken down.
            flow: What would have carried it out, and will where it is retried.
            failure: Why it is refused.
        """
        ...

    def job(self, job_id: JobId) -> JobRecord | None:
        """Give a job's record."""
        ...

    def flow_of(self, job_id: JobId) -> FlowName | None:
        """Name the flow that carries a job out now, without reading the job's dataset list."""
        ...

    def jobs_to_start(self, limit: int) -> Sequence[JobFlow]:
        """Jobs that have not ended and whose flow was never handed to the engine, oldest first."""
        ...

    def mark_flows_started(self, job_ids: Sequence[JobId]) -> None:
        """Note that the engine has the flows of these jobs, in one transaction; all of them must be known."""
        ...

    def started_jobs(self, after: int, limit: int) -> Sequence[tuple[int, JobFlow]]:
        """Jobs under way whose flow the engine has, with their numbers above `after`, in order."""
        ...

    def abandoned(self, limit: int) -> Sequence[tuple[DatasetPid, str]]:
        """Datasets that no job asks for, with datablocks on their way, and the runs that left them.

        At most `limit` of them, in order. If a dataset's flow runs, it is about to clean up; if not, it was
        lost.
        """
        ...

    def restart_job(self, job_id: JobId, flow: FlowName, lost_attempt: int) -> bool:
        """Have a job carried out by a new flow, since the engine lost the former one.

        The job keeps its space. False, and nothing changes, where the job has ended or is not at attempt
        `lost_attempt` any more.
        """
        ...

    def retry_job(self, job_id: JobId, flow: FlowName, pids: Collection[DatasetPid] | None = None) -> int:
        """Have an ended job carried out again by a new flow: those of its datasets that are not there.

        A dataset is there when it was retrieved for the job, without unknown files, and `is_brought` still.
        The job and the datasets that are not there become submitted. A wish to cancel is forgotten. Which
        datablocks hold the chosen files of these datasets is forgotten, and their size. Datasets that are not
        in `pids` stay as they are.

        Returns:
            How many datasets are retrieved again.

        Raises:
            JobNotEnded: It is still being carried out.
            DatasetNotOfJob: The job has no dataset of one of `pids`; the message names it.
            NothingToRetry: All of them are there, and the job ended well or only some were asked about.
        """
        ...

    def cancel_job(self, job_id: JobId, by: str) -> None:
        """Note who wants a job cancelled; the first one stays.

        Raises:
            JobEnded: It has ended.
        """
        ...

    def jobs_to_cancel(self, limit: int) -> Sequence[JobFlow]:
        """Jobs that have not ended, are to be cancelled, have a flow, and whose flow was not told yet."""
        ...

    def mark_cancel_told(self, job_id: JobId, attempt: int) -> None:
        """Note that the flow of this attempt was told that the job is cancelled; ignored for another one."""
        ...

    def recent_job(self) -> JobId | None:
        """The job that was stored last, or None in an empty ledger."""
        ...

    def set_datasets(
        self, job_id: JobId, datasets: Sequence[Selection], owner_group: str | None = None
    ) -> None:
        """Complete a short-form job's dataset list and owner group; one that is there stays as it is."""
        ...

    def job_datasets(
        self, job_id: JobId, after: int = 0, limit: int | None = None
    ) -> Sequence[JobDatasetRecord]:
        """A job's datasets in the order asked for, each pid once, from place `after` (counted from 0)."""
        ...

    def move_job(
        self, job_id: JobId, state: JobState, message: str = "", failure: Failure | None = None
    ) -> None:
        """Note a job's state, what is said of it now, and why it failed as a whole.

        A change of state has a report written in the same transaction. The end of a job that failed as a
        whole is that of its datasets, too, that have not ended: they fail for the same reason.
        """
        ...

    def note_waiting(self, pid: DatasetPid, reason: str) -> None:
        """Note what a dataset waits for, in words, for all jobs it was started for; empty when it goes on."""
        ...

    def note_remark(self, pid: DatasetPid, remark: str) -> None:
        """Note the remark on a dataset, in place of the former one; empty for none."""
        ...

    def remarks_of(self, job_id: JobId) -> Mapping[DatasetPid, str]:
        """The remarks on the datasets of a job, in its order; those without one are left out."""
        ...

    def move_job_dataset(
        self, job_id: JobId, pid: DatasetPid, state: DatasetState, failures: Sequence[Failure] = ()
    ) -> None:
        """Note the state of one of a job's datasets and why it failed, in place of what was noted before."""
        ...

    def plan(
        self, pid: DatasetPid, datablocks: Iterable[CataloguedDatablock], run: str, store: str = "lts"
    ) -> Plan:
        """Take down a dataset's datablocks and their file lists, streaming, in one transaction.

        `datablocks` is read to its end before the transaction begins; an error that it raises changes
        nothing. A staged datablock whose catalogue entry (archiveId, sizes, algorithm, files) has not changed
        stays staged, under its old run. An unchanged datablock of the same run keeps its state and its store,
        so that a repeated step changes nothing. Every other datablock becomes planned, with 0 bytes done, for
        `run`, to be read from `store`. A datablock that the catalogue no longer lists is no longer the
        dataset's: `datablocks` does not give it, and sums leave it out. It becomes released, unless it is
        staged: then it stays until it is swept.

        An extract stays the dataset's as long as the entry of its datablock is unchanged, and it is staged or
        was chosen by a job that has not ended. Then the rules above apply to it, too.

        Wanted are the datablocks that the jobs need which ask for the dataset (see `ports.chosen_files`); all
        datablocks, where no job asks.

        Raises:
            CatalogueEntryInvalid: A datablock is of another dataset, listed twice, or has an impossible size.
        """
        ...

    def datablocks(
        self, pid: DatasetPid, after: int = 0, limit: int | None = None
    ) -> Sequence[DatablockRecord]:
        """A dataset's datablocks as last planned, from position `after`, then its extracts."""
        ...

    def datablock(self, key: DatablockKey) -> DatablockRecord | None:
        """One datablock."""
        ...

    def progress_of(self, job_id: JobId) -> Sequence[DatasetProgress]:
        """Sums over the datablocks that a job needs, for each planned dataset, in the order asked for."""
        ...

    def waits_of(self, job_id: JobId) -> Mapping[DatasetPid, DatasetWait]:
        """What each started dataset of a job waits for whose datablocks are recalled or wait for space."""
        ...

    def files(self, key: DatablockKey) -> Iterator[FileEntry]:
        """The catalogued files of a datablock, in the catalogue's order, without holding them all."""
        ...

    def move_datablock(self, key: DatablockKey, state: DatablockState, reason: str = "") -> None:
        """Note a datablock's state and what it waits for.

        It becomes copied by `save_copy` and staged by `save_staged` alone: those bring the evidence. When it
        goes to a state before copied, its bytes count from 0 again.
        """
        ...

    def note_progress(self, key: DatablockKey, bytes_done: int, bytes_total: int | None = None) -> None:
        """Note bytes copied so far (and the store's word on the whole); no transition.

        A note that comes late, when the datablock is copied or has ended, is dropped.
        """
        ...

    def save_copy(self, copied: Copied, manifest: bytes) -> None:
        """Note a finished copy, with the manifest of its members: the datablock becomes copied."""
        ...

    def copied(self, key: DatablockKey) -> Copied | None:
        """The evidence of a finished copy, while the datablock is copied or staged."""
        ...

    def manifest(self, key: DatablockKey) -> bytes | None:
        """The manifest of a datablock's last finished copy, until its catalogue entry changes."""
        ...

    def save_staged(self, staged: Staged) -> None:
        """Note verified bytes in staging: the datablock becomes staged, its part of its dataset's claim ends.

        Raises:
            TransitionIllegal: Also where the copy that was verified is not the one that `save_copy` noted
                last.
        """
        ...

    def note_finding(self, name: str, found: Mapping[str, int | str]) -> None:
        """Keep what a regular look found, in place of what it found before."""
        ...

    def findings(self) -> Mapping[str, Finding]:
        """What each regular look found last, by its name."""
        ...
