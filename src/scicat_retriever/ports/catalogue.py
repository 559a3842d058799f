"""The catalogue: where jobs come from and whom we keep informed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from scicat_retriever.domain.dataset import CataloguedDatablock, Dataset, RetrieveJob
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
        status: `retrieveStatusMessage`.
        return_message: The whole `retrieveReturnMessage`; keys of an older one that are not in it are removed,
            so that an old error does not outlive the next success.
        retrievable: `retrievable`.
        integrity_check: `retrieveIntegrityCheck`: whether the bytes were compared with catalogued checksums.
    """

    status: LifecycleWord
    return_message: Mapping[str, Any] = field(default_factory=dict)
    retrievable: bool | None = None
    integrity_check: bool | None = None


class Catalogue(Protocol):
    """SciCat, as the pipeline needs it.

    Every method blocks, may be called from any thread, and raises a `CatalogueError`: `CatalogueUnavailable`
    where trying again may help.
    """

    def job(self, job_id: JobId) -> RetrieveJob:
        """Read a job with its dataset list.

        Raises:
            CatalogueJobUnknown: SciCat has no such job.
        """
        ...

    def dataset(self, pid: DatasetPid) -> Dataset:
        """Read what the catalogue declares of a dataset.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
        """
        ...

    def datablocks(self, pid: DatasetPid) -> Iterator[CataloguedDatablock]:
        """Give ALL datablocks of a dataset, one at a time, however many there are, in memory for one of them.

        Raises:
            DatablocksMissing: The answer holds fewer than the catalogue itself counts.
            CatalogueEntryInvalid: An entry cannot be worked with; the message names it.
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

        The caller sees to it that one dataset has one writer at a time: SciCat loses one of two concurrent updates.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
            CatalogueUpdateLost: The update was accepted and is not there.
        """
        ...
