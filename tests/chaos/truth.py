"""What was put into the long-term store and the catalogue, and so what each job must end as."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum

NEVER = float("inf")
CANCELLED = "job_cancelled"


class Truth(Enum):
    """Whether a datablock can be retrieved.

    EITHER is for archives that were wrong for a moment: bytes read before and after are good, those of the moment not.
    """

    GOOD = "good"
    BAD = "bad"
    EITHER = "either"


@dataclass
class Block:
    """A datablock of the test.

    Attributes:
        archive_id: Its name in the long-term store.
        sha256: Of the archive that the catalogue speaks of.
        truth: Whether it can be retrieved.
        codes: The errors that may be told of it where it cannot.
        reads: How often its archive was opened for reading.
        files: The files in it, by name, with their sha256.
    """

    archive_id: str
    sha256: str
    truth: Truth = Truth.GOOD
    codes: frozenset[str] = frozenset()
    reads: int = 0
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Dataset:
    """A dataset of the test.

    Attributes:
        pid: Its name in SciCat.
        blocks: Its datablocks.
        jobs: How many jobs ask for it.
        asked_at: Monotonic seconds of the first time.
        shared: Whether any other job may ask for it too; not where its truth changes.
        again: How many cancels and retries there were of jobs that ask for it: each may have it read once more.
        may_fail_for_a_while: Whether it may have been told as failed, although it can be retrieved: nobody waited for it any
            longer, or it was mended since.
    """

    pid: str
    blocks: list[Block]
    jobs: int = 0
    asked_at: float = NEVER
    shared: bool = True
    again: int = 0
    may_fail_for_a_while: bool = False

    @property
    def truth(self) -> Truth:
        """What all datablocks together come to."""
        truths = {block.truth for block in self.blocks}
        return next(truth for truth in (Truth.BAD, Truth.EITHER, Truth.GOOD) if truth in truths)

    @property
    def codes(self) -> frozenset[str]:
        """The errors that may be told of it."""
        return frozenset().union(*(block.codes for block in self.blocks))


@dataclass
class Job:
    """A job of the test.

    Attributes:
        id: Its name in SciCat.
        datasets: What it asks for.
        chosen: The files that it chose, by the dataset's pid; it wants the other datasets whole.
        cancelled: Whether the service took, or may have taken, the wish to cancel it, and no retry since.
        cancelled_at: Monotonic seconds of the moment at which the service said that it took that wish.
        retries: How often the service took, or may have taken, the wish to retry it.
    """

    id: str
    datasets: Sequence[Dataset]
    chosen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    cancelled: bool = False
    cancelled_at: float = NEVER
    retries: int = 0

    def needs(self, dataset: Dataset) -> list[Block]:
        """The datablocks of a dataset that it must be given, and no others."""
        names = self.chosen.get(dataset.pid)
        return [block for block in dataset.blocks if names is None or not names.isdisjoint(block.files)]

    @property
    def may_end_as(self) -> frozenset[str]:
        """The states that tell the truth; a job that is cancelled in the moment of its end may have ended as it would."""
        return self._true_ends | ({"finishedUnsuccessful"} if self.cancelled else frozenset())

    @property
    def _true_ends(self) -> frozenset[str]:
        truths = {dataset.truth for dataset in self.datasets}
        if Truth.BAD in truths:
            return frozenset({"finishedWithDatasetErrors"})
        if Truth.EITHER in truths:
            return frozenset({"finishedWithDatasetErrors", "finishedSuccessful"})
        return frozenset({"finishedSuccessful"})

    @property
    def waits_for_nothing(self) -> bool:
        """Whether it asks for an archive that never comes: then no progress says nothing."""
        return any("datablock_missing" in dataset.codes for dataset in self.datasets)
