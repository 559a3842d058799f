"""The steps of a dataset's flow, each declared once."""

from __future__ import annotations

from abc import ABC, abstractmethod

from scicat_retriever.domain.errors import CatalogueForbidden, Failure, StagedFileMissing
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.pipeline.tools.attempts import FORBIDDEN_ATTEMPTS
from scicat_retriever.workflow.flows.declaration import (
    ASK_CATALOGUE,
    ASK_LEDGER,
    COPY,
    GO_THROUGH_DATASET,
    VERIFY,
    WAIT_FOR_SPACE,
    declare,
)
from scicat_retriever.workflow.flows.tasks import (
    BlockFailure,
    BlockTask,
    Page,
    Planned,
    Prepared,
    RecallNews,
)


class DatasetSteps(ABC):
    """The steps of a dataset's flow.

    Each may be repeated at any time, also while a lost repetition still runs.
    """

    @declare("report_dataset_started", ASK_LEDGER)
    @abstractmethod
    def report_dataset_started(self, pid: DatasetPid) -> None:
        """Have SciCat told that the dataset is being retrieved."""

    @declare("plan_dataset", ASK_CATALOGUE, gives_up={CatalogueForbidden: FORBIDDEN_ATTEMPTS})
    @abstractmethod
    def plan_dataset(self, pid: DatasetPid, run: str) -> Planned:
        """Plan the dataset's datablocks, and make its claim exact if that much space is free."""

    @declare("claim_dataset", WAIT_FOR_SPACE)
    @abstractmethod
    def claim_dataset(self, pid: DatasetPid) -> None:
        """Make the dataset's claim exact; waits until the space that it lacks is free."""

    @declare("prepare_datablocks", GO_THROUGH_DATASET)
    @abstractmethod
    def prepare_datablocks(self, pid: DatasetPid, page: Page) -> Prepared:
        """List a page's datablocks that are not copied: those online, and the others, which are recalled."""

    @declare("look_at_recalls", ASK_LEDGER)
    @abstractmethod
    def look_at_recalls(
        self, pid: DatasetPid, awaited: list[DatablockId], appear_timeout: float, recall_timeout: float
    ) -> RecallNews:
        """Give the news of these datablocks' recalls.

        `appear_timeout` is how long an archive is waited for that the store does not have; `recall_timeout`,
        how long a recall is waited for. Both are seconds.
        """

    @declare("try_other_copy", ASK_LEDGER)
    @abstractmethod
    def try_other_copy(self, failed: BlockFailure) -> list[BlockTask]:
        """Have a datablock be read from the store of its other copy; empty where there is none."""

    @declare("copy_datablocks", COPY)
    @abstractmethod
    def copy_datablocks(self, batch: list[BlockTask], attempts: int) -> list[BlockTask]:
        """Copy and hash each archive of a batch in one pass; gives the datablocks that went back to tape.

        The archives are copied one after the other.
        """

    @declare("verify_datablocks", VERIFY)
    @abstractmethod
    def verify_datablocks(self, pid: DatasetPid, page: Page, attempts: int) -> list[BlockFailure]:
        """Verify a page of datablocks, one after the other, and give each verified one its final name."""

    @declare("publish_dataset", GO_THROUGH_DATASET, gives_up={StagedFileMissing: 1})
    @abstractmethod
    def publish_dataset(self, pid: DatasetPid) -> None:
        """Require that the whole dataset is staged, and have SciCat told that it is retrieved."""

    @declare("discard_dataset", GO_THROUGH_DATASET)
    @abstractmethod
    def discard_dataset(self, pid: DatasetPid, run: str, failure: Failure) -> None:
        """Remove the files that a failed run left."""

    @declare("report_dataset_failed", ASK_LEDGER)
    @abstractmethod
    def report_dataset_failed(self, pid: DatasetPid, failures: list[Failure]) -> None:
        """Have SciCat told why the dataset could not be retrieved."""
