"""The catalogue: where jobs come from and whom we keep informed."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset, OriginalFile, RetrieveJob
from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import JobState, LifecycleWord


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """What SciCat is told of a job.

    Attributes:
        state: The job's new `statusCode`.
        message: The `statusMessage`: a sentence for the person who asked.
        result: The whole `jobResultObject`, which replaces the one before; None leaves it as it is.
    """

    state: JobState
    message: str
    result: Mapping[str, Any] | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class LifecycleUpdate:
    """What SciCat is told of a dataset; what is None is left as it is.

    Attributes:
        status: `retrieveStatusMessage`; None where only the `return_message` is told.
        return_message: The whole `retrieveReturnMessage`; keys of an older one that are not in it are
            removed, so that an old error does not outlive the next success.
        retrievable: `retrievable`.
        integrity_check: `retrieveIntegrityCheck`: whether the bytes were compared with catalogued checksums.
    """

    status: LifecycleWord | None
    return_message: Mapping[str, Any] = field(default_factory=dict)
    retrievable: bool | None = None
    integrity_check: bool | None = None


@dataclass(frozen=True, slots=True)
class ListedJob:
    """A job as SciCat lists it.

    Attributes:
        id: The job's id. Of an id that cannot be worked with, the part that can be shown, perhaps nothing.
        status: Its `statusCode`, one of `OPEN`.
        updated_by: Who updated it last; None where SciCat does not say.
        job: The job in the short form, without its datasets, which `Catalogue.job` reads when it is carried
            out; None where it cannot be worked with.
        fault: Why it cannot be worked with, else None.
    """

    id: JobId
    status: str
    updated_by: str | None
    job: RetrieveJob | None
    fault: Failure | None = None


OPEN = (JobState.SUBMITTED, JobState.IN_PROGRESS)
"""The states of jobs that somebody still waits for."""


class Visibility(StrEnum):
    """Whether SciCat lists other people's jobs to the service's account.

    SciCat answers `200 []` to an account without the right, so an empty list alone proves nothing.
    """

    VISIBLE = "visible"
    HIDDEN = "hidden"
    UNKNOWN = "unknown"


class Catalogue(Protocol):
    """SciCat, as the pipeline needs it.

    Every method blocks, may be called from any thread, and raises a `CatalogueError`: `CatalogueUnavailable`
    where trying again may help.
    """

    def job(self, job_id: JobId) -> RetrieveJob:
        """Read a job with its dataset list.

        Raises:
            CatalogueJobUnknown: SciCat has no such job.
            JobRefused: It can never be carried out as it is, or names no dataset.
        """
        ...

    def open_jobs(self, types: Collection[str]) -> Iterator[ListedJob]:
        """Give ALL open jobs (`OPEN`) of these types once, oldest first; only one is in memory.

        A job that cannot be worked with is given with its fault, and does not stop the others. An empty list
        does not prove that there is no work: see `visibility`.

        Raises:
            CatalogueForbidden: SciCat refuses the list, also after a fresh login.
            CatalogueUnavailable: The answer broke off; begin again.
        """
        ...

    def visibility(self, witness: JobId | None) -> Visibility:
        """Say whether an empty list of jobs can be believed.

        Args:
            witness: Some job that SciCat is known to have had, in any state; there is no way to tell without
                one.

        Returns:
            UNKNOWN without a witness; where SciCat does not have the witness any more; or where the account
            sees the witness only as its owner or as a member of its group.
        """
        ...

    def account(self) -> str | None:
        """Give the name that SciCat records for our updates (`updatedBy`); None while it is not known."""
        ...

    def dataset(self, pid: DatasetPid) -> Dataset:
        """Read what the catalogue declares of a dataset.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
            CatalogueEntryInvalid: What it declares cannot be worked with; the message names it.
        """
        ...

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        """Give ALL datablocks of a dataset, one at a time; only one is in memory.

        That they are all is proved: the sums that the dataset declares agree, or another route of SciCat
        shows the same. An error, also after the last datablock, means that none of them is to be used.

        Raises:
            DatablocksMissing: There are none, or fewer than the catalogue itself counts.
            DatablocksInvisible: Nothing proves that these are all; the account may see some alone.
            CatalogueEntryInvalid: An entry cannot be worked with; the message names it.
        """
        ...

    def original_files(self, pid: DatasetPid) -> Iterator[OriginalFile]:
        """Give the files of a dataset as they were before it was archived, as far as SciCat shows them.

        SciCat checks the `files` of a new job against them. That it shows none proves nothing.
        """
        ...

    def update_job(self, job_id: JobId, update: JobUpdate) -> None:
        """Tell SciCat a job's state. Safe to repeat. Returns only when SciCat holds what was told.

        Raises:
            CatalogueJobUnknown: SciCat has no such job.
            CatalogueJobUnclosable: A dataset of the job was deleted; SciCat can never take the update.
        """
        ...

    def update_lifecycle(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        """Tell SciCat a dataset's state. Safe to repeat. Returns only when it was read back from SciCat.

        The caller sees to it that one dataset has one writer at a time: SciCat loses one of two concurrent
        updates.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
            CatalogueUpdateLost: The update was accepted and is not there.
        """
        ...
