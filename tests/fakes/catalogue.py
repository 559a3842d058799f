"""A catalogue in memory. Keeps the promises of the port."""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset, OriginalFile, RetrieveJob
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueJobUnclosable,
    CatalogueJobUnknown,
    DatablocksInvisible,
    DatablocksMissing,
    DatasetListEmpty,
    DatasetUnknown,
    Failure,
    JobRefused,
    error_of,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState, LifecycleWord
from scicat_retriever.ports.catalogue import OPEN, JobUpdate, LifecycleUpdate, ListedJob, Visibility

ACCOUNT = "archiveManager"
"""The service's account."""


@dataclass(frozen=True)
class HeldJob:
    """What the catalogue holds of a job."""

    job: RetrieveJob
    state: JobState = JobState.SUBMITTED
    message: str = "Job submitted."
    result: Mapping[str, Any] | None = None
    updated_by: str | None = None
    fault: Failure | None = None


@dataclass(frozen=True)
class HeldDataset:
    """What the catalogue holds of a dataset."""

    dataset: Dataset
    datablocks: tuple[CataloguedDatablock, ...]
    status: LifecycleWord | None = None
    return_message: Mapping[str, Any] | None = None
    retrievable: bool = True
    integrity_check: bool = False


@dataclass
class _Mishap:
    error: CatalogueError
    method: str | None
    left: int


class InMemoryCatalogue:
    """Jobs and datasets in dicts behind one lock.

    Attributes:
        updates: Every update that was taken, in order: (job id or pid, the update).
    """

    def __init__(self) -> None:
        self.updates: list[tuple[str, JobUpdate | LifecycleUpdate]] = []
        self._lock = threading.Lock()
        self._jobs: dict[JobId, HeldJob] = {}
        self._datasets: dict[DatasetPid, HeldDataset] = {}
        self._originals: dict[DatasetPid, tuple[OriginalFile, ...]] = {}
        self._hidden: set[DatasetPid] = set()
        self._partial: set[DatasetPid] = set()
        self._jobs_hidden = False
        self._counts: dict[DatasetPid, int] = {}
        self._mishaps: list[_Mishap] = []

    # What a test looks at, or does to it.

    def add_dataset(
        self,
        pid: DatasetPid,
        datablocks: Iterable[CataloguedDatablock] = (),
        name: str = "",
        source_folder: str | None = None,
    ) -> Dataset:
        """Register a dataset, which declares what its datablocks hold."""
        blocks = tuple(datablocks)
        files = sum(block.datablock.file_count for block in blocks)
        packed = sum(block.datablock.packed_size for block in blocks)
        dataset = Dataset(pid, name or pid, files, packed, "group1", source_folder=source_folder)
        self._datasets[pid] = HeldDataset(dataset, blocks)
        return dataset

    def delete_dataset(self, pid: DatasetPid) -> None:
        """Forget a dataset; jobs that name it can never be updated again."""
        del self._datasets[pid]

    def add_job(self, job: RetrieveJob) -> None:
        """Submit a job."""
        self._jobs[job.id] = HeldJob(job, updated_by=job.owner_user)

    def add_malformed_job(self, job_id: JobId, fault: Failure, job_type: str = "retrieve") -> None:
        """Submit a job that cannot be worked with."""
        self._jobs[job_id] = HeldJob(RetrieveJob(job_id, job_type), fault=fault)

    def delete_job(self, job_id: JobId) -> None:
        """Forget a job."""
        del self._jobs[job_id]

    def hide_jobs(self, *, hidden: bool = True) -> None:
        """List no jobs, as to an account without the right."""
        self._jobs_hidden = hidden

    def held_job(self, job_id: JobId) -> HeldJob:
        """What the catalogue holds of a job."""
        return self._jobs[job_id]

    def held_dataset(self, pid: DatasetPid) -> HeldDataset:
        """What the catalogue holds of a dataset."""
        return self._datasets[pid]

    def hide_datablocks(self, pid: DatasetPid) -> None:
        """Show no datablocks, as to an account without the right."""
        self._hidden.add(pid)

    def show_only(self, pid: DatasetPid, count: int) -> None:
        """Show the first datablocks of a dataset alone, and count no more, though there are others.

        It declares all of them, and nothing proves that what is shown is all.
        """
        held = self._datasets[pid]
        self._datasets[pid] = replace(held, datablocks=held.datablocks[:count])
        self._partial.add(pid)

    def declare(self, pid: DatasetPid, *, files: int, packed_size: int) -> None:
        """Have a dataset declare other sums than its datablocks have; all of them are shown still."""
        held = self._datasets[pid]
        dataset = replace(held.dataset, files_archived=files, packed_size=packed_size)
        self._datasets[pid] = replace(held, dataset=dataset)

    def count_datablocks_as(self, pid: DatasetPid, count: int) -> None:
        """Count another number of datablocks than are listed."""
        self._counts[pid] = count

    def list_originals(self, pid: DatasetPid, files: Iterable[OriginalFile]) -> None:
        """List these as the files that a dataset had before it was archived; by default those of its datablocks."""
        self._originals[pid] = tuple(files)

    def fail(self, error: CatalogueError, method: str | None = None, times: int = 1) -> None:
        """Let the next calls (of a method, or of any) raise an error before they do anything."""
        self._mishaps.append(_Mishap(error, method, times))

    # The port.

    def job(self, job_id: JobId) -> RetrieveJob:
        with self._lock:
            self._take_mishap("job")
            held = self._job(job_id)
        if held.fault is not None:
            fault = error_of(held.fault, JobRefused)
            assert fault is not None
            raise fault
        if not held.job.datasets:
            raise DatasetListEmpty("The job names no dataset", "$.jobParams.datasetList")
        return held.job

    def open_jobs(self, types: Collection[str]) -> Iterator[ListedJob]:
        with self._lock:
            self._take_mishap("open_jobs")
            held = [] if self._jobs_hidden else list(self._jobs.values())
        for one in held:
            if one.state in OPEN and one.job.type in types:
                job = None if one.fault else replace(one.job, datasets=())
                yield ListedJob(one.job.id, one.state, one.updated_by, job, one.fault)

    def visibility(self, witness: JobId | None) -> Visibility:
        with self._lock:
            self._take_mishap("visibility")
            held = None if witness is None else self._jobs.get(witness)
        if held is None or held.job.owner_user == ACCOUNT:
            return Visibility.UNKNOWN
        return Visibility.HIDDEN if self._jobs_hidden else Visibility.VISIBLE

    def account(self) -> str | None:
        return ACCOUNT

    def dataset(self, pid: DatasetPid) -> Dataset:
        with self._lock:
            self._take_mishap("dataset")
            return self._dataset(pid).dataset

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        with self._lock:
            self._take_mishap("datablocks")
            held = self._dataset(pid)
            count = self._counts.get(pid, len(held.datablocks))
        if not held.datablocks:
            raise DatablocksMissing(f"Dataset {pid} has no datablocks")
        if pid in self._hidden:
            raise DatablocksInvisible(f"No datablocks of dataset {pid} are shown")
        yield from held.datablocks
        if len(held.datablocks) < count:
            raise DatablocksMissing(f"{count} datablocks of dataset {pid} are counted")
        if pid in self._partial:
            raise DatablocksInvisible(f"Nothing proves that all datablocks of dataset {pid} are shown")

    def original_files(self, pid: DatasetPid) -> Iterator[OriginalFile]:
        with self._lock:
            self._take_mishap("original_files")
            blocks = self._dataset(pid).datablocks
            its = self._originals.get(pid)
        if its is not None:
            yield from its
            return
        for block in blocks:
            for file in block.files:
                yield OriginalFile(file.path, file.size, file.digest, block.datablock.algorithm)

    def update_job(self, job_id: JobId, update: JobUpdate) -> None:
        with self._lock:
            self._take_mishap("update_job")
            held = self._job(job_id)
            if any(selection.pid not in self._datasets for selection in held.job.datasets):
                raise CatalogueJobUnclosable(f"A dataset of job {job_id} was deleted")
            result = held.result if update.result is None else dict(update.result)
            self._jobs[job_id] = replace(
                held, state=update.state, message=update.message, result=result, updated_by=ACCOUNT
            )
            self.updates.append((job_id, update))

    def update_lifecycle(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        with self._lock:
            self._take_mishap("update_lifecycle")
            held = self._dataset(pid)
            self._datasets[pid] = replace(
                held,
                status=held.status if update.status is None else update.status,
                return_message=dict(update.return_message),
                retrievable=held.retrievable if update.retrievable is None else update.retrievable,
                integrity_check=held.integrity_check
                if update.integrity_check is None
                else update.integrity_check,
            )
            self.updates.append((pid, update))

    def _job(self, job_id: JobId) -> HeldJob:
        if job_id not in self._jobs:
            raise CatalogueJobUnknown(f"There is no job {job_id}")
        return self._jobs[job_id]

    def _dataset(self, pid: DatasetPid) -> HeldDataset:
        if pid not in self._datasets:
            raise DatasetUnknown(f"There is no dataset {pid}")
        return self._datasets[pid]

    def _take_mishap(self, method: str) -> None:
        for mishap in self._mishaps:
            if mishap.left and mishap.method in (None, method):
                mishap.left -= 1
                raise mishap.error
