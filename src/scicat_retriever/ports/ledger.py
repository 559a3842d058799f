"""The ledger: the one record of what was asked, what happened, and what is held."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from scicat_retriever.domain.dataset import (
    CataloguedDatablock,
    Datablock,
    FileEntry,
    RetrieveJob,
    Selection,
)
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.evidence import Copied, DatablockKey, Integrity, Staged
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState, JobState


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
        report_failure: Why SciCat could not be told its end, where that is so: somebody has to look.
    """

    job: RetrieveJob
    flow: FlowName
    state: JobState
    message: str
    received_at: datetime
    updated_at: datetime
    report_failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class JobDatasetRecord:
    """One dataset of one job.

    Attributes:
        pid: The dataset.
        state: How far it is for this job.
        failures: Why it failed, one for each datablock that did, or one for the dataset.
    """

    pid: DatasetPid
    state: DatasetState
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True, slots=True)
class DatablockRecord:
    """A datablock as the ledger holds it.

    Attributes:
        datablock: What the catalogue says of it.
        position: Its place in the dataset, from 0, in the catalogue's order.
        state: How far it is.
        bytes_done: Bytes copied so far.
        bytes_total: Bytes to copy: the store's word where known, else the catalogue's `packedSize`.
        reason: What it waits for, in words, where it waits.
        integrity: What was compared, once staged.
        archive_checksum: `xxh3-128:<hex>` of the archive, once copied.
        keep_until: Until when the staged file is kept (UTC), once staged.
        partial: Token of its file in the staging area, once copied, and then while staged; else empty.
        run: The flow run that is working, or last worked, on it.
    """

    datablock: Datablock
    position: int
    state: DatablockState
    bytes_done: int
    bytes_total: int
    reason: str = ""
    integrity: Integrity | None = None
    archive_checksum: str | None = None
    keep_until: datetime | None = None
    partial: str = ""
    run: str = ""

    @property
    def key(self) -> DatablockKey:
        """Its name everywhere in the service."""
        return DatablockKey(self.datablock.pid, self.datablock.id)


@dataclass(frozen=True, slots=True)
class Plan:
    """What was planned for a dataset: counts of datablocks and of catalogued files, and bytes in the store."""

    datablocks: int
    files: int
    packed_size: int


@dataclass(frozen=True, slots=True)
class DatasetProgress:
    """Sums over a dataset's datablocks: `staged` and `datablocks` count them, the rest is bytes."""

    pid: DatasetPid
    datablocks: int
    staged: int
    bytes_done: int
    bytes_total: int


class Ledger(Protocol):
    """The ledger.

    Each method is one transaction, durable when it returns, and may be called from any thread and from several
    machines at once. Raises `LedgerUnavailable` when the database does not answer or refuses,
    `TransitionIllegal` when a state would follow one that it must not follow (see `domain.states`) or when the
    datablock or the job's dataset to be moved is not known, and `JobNotFound` when an unknown job is to be changed.
    Every change of state, the first included, is also kept as a row of the transitions table, with its time (UTC);
    repeating a state is no change.
    """

    def add_job(self, job: RetrieveJob, flow: FlowName) -> JobRecord:
        """Store a job as submitted. Of a job that is known, nothing changes and its record is given."""
        ...

    def job(self, job_id: JobId) -> JobRecord | None:
        """Give a job's record."""
        ...

    def jobs_to_start(self, limit: int) -> Sequence[JobRecord]:
        """Jobs that have not ended and whose flow was never handed to the engine, oldest first."""
        ...

    def mark_flow_started(self, job_id: JobId) -> None:
        """Note that the engine has the job's flow."""
        ...

    def set_datasets(self, job_id: JobId, datasets: Sequence[Selection]) -> None:
        """Complete a short-form job's dataset list. A list that is there stays as it is."""
        ...

    def job_datasets(
        self, job_id: JobId, after: int = 0, limit: int | None = None
    ) -> Sequence[JobDatasetRecord]:
        """A job's datasets in the order asked for, each pid once, from place `after` (counted from 0)."""
        ...

    def move_job(self, job_id: JobId, state: JobState, message: str = "") -> None:
        """Note a job's state and what is said of it now."""
        ...

    def move_job_dataset(
        self, job_id: JobId, pid: DatasetPid, state: DatasetState, failures: Sequence[Failure] = ()
    ) -> None:
        """Note the state of one of a job's datasets and why it failed, in place of what was noted before."""
        ...

    def set_report_failure(self, job_id: JobId, failure: Failure | None) -> None:
        """Note that SciCat could not be told of the job's end, or (None) that it could after all."""
        ...

    def plan(self, pid: DatasetPid, datablocks: Iterable[CataloguedDatablock], run: str) -> Plan:
        """Take down a dataset's datablocks and their file lists, streaming, in one transaction.

        `datablocks` is read to its end before the transaction begins; an error that it raises changes nothing.
        A datablock that is staged and whose catalogue entry (archiveId, sizes, algorithm, files) has not changed
        stays staged, under its old run, its `keep_until` untouched. An unchanged one of the same run keeps its
        state, so that a repeated step changes nothing. Every other one becomes planned, with 0 bytes done, for
        `run`. Datablocks that the catalogue no longer lists are no longer the dataset's: they become released
        when staged nowhere, and stay to be swept otherwise, but do not count and are not given by `datablocks`.

        Raises:
            CatalogueEntryInvalid: A datablock is of another dataset, listed twice, or has an impossible size.
        """
        ...

    def datablocks(
        self, pid: DatasetPid, after: int = 0, limit: int | None = None
    ) -> Sequence[DatablockRecord]:
        """A dataset's datablocks as last planned, in their order, from position `after`."""
        ...

    def datablock(self, key: DatablockKey) -> DatablockRecord | None:
        """One datablock."""
        ...

    def progress_of(self, job_id: JobId) -> Sequence[DatasetProgress]:
        """Sums for each dataset of a job that was planned, in the order asked for."""
        ...

    def files(self, key: DatablockKey) -> Iterator[FileEntry]:
        """The catalogued files of a datablock, in the catalogue's order, without holding them all."""
        ...

    def move_datablock(self, key: DatablockKey, state: DatablockState, reason: str = "") -> None:
        """Note a datablock's state and what it waits for.

        It becomes copied by `save_copy` and staged by `save_staged` alone: those bring the evidence. When it goes
        to a state before copied, its bytes count from 0 again.
        """
        ...

    def note_progress(self, key: DatablockKey, bytes_done: int, bytes_total: int | None = None) -> None:
        """Note bytes copied so far (and the store's word on the whole); no transition.

        A note that comes late, when the datablock is copied or has ended, is dropped.
        """
        ...

    def reserve(self, key: DatablockKey, size: int, free_bytes: int) -> int:
        """Set `size` bytes of staging space aside for a datablock, over all workers.

        What others have set aside and not yet written is taken off `free_bytes`. A reservation that is there is
        replaced. It ends when the datablock is staged, failed, released or planned anew.

        Returns:
            0 when reserved; else how many bytes are missing, and nothing is set aside.

        Raises:
            TransitionIllegal: The datablock is staged, failed or released: such a reservation would never end.
        """
        ...

    def save_copy(self, copied: Copied, manifest: bytes) -> None:
        """Note a finished copy with its file's token and the manifest of its members: the datablock becomes copied."""
        ...

    def copied(self, key: DatablockKey) -> Copied | None:
        """The evidence of a finished copy, while the datablock is copied or staged."""
        ...

    def manifest(self, key: DatablockKey) -> bytes | None:
        """The manifest of a datablock's last finished copy."""
        ...

    def save_staged(self, staged: Staged, keep_until: datetime) -> None:
        """Note verified bytes in staging: the datablock becomes staged, its reservation ends.

        One that is staged already is kept until the later of the two times.

        Raises:
            TransitionIllegal: Also where the copy that was verified is not the one that `save_copy` noted last.
        """
        ...

    def keep(self, pid: DatasetPid, until: datetime) -> int:
        """Keep a dataset's staged datablocks at least until then (UTC). Returns how many are staged.

        A later time that was given before stays. Datablocks that the catalogue no longer lists are left out.
        """
        ...

    def expired(self, now: datetime, limit: int) -> Sequence[DatablockKey]:
        """Staged datablocks whose time to be kept is over, the oldest first."""
        ...

    def release_expired(self, key: DatablockKey, now: datetime) -> bool:
        """Make a datablock released if it is staged and its time is still over; say whether it was."""
        ...

    def left_behind(self, limit: int) -> Sequence[DatablockKey]:
        """Released datablocks, whatever released them, whose files may still be in the staging area."""
        ...

    def forget_files(self, key: DatablockKey) -> None:
        """Note that the files of a datablock are gone. Of one that is no longer released, nothing changes."""
        ...

    def forget_reservation(self, key: DatablockKey) -> None:
        """Give reserved staging space back."""
        ...
