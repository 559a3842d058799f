"""What was put into the long-term store and the catalogue, and so what each job must end as."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

NEVER = float("inf")


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
    """

    archive_id: str
    sha256: str
    truth: Truth = Truth.GOOD
    codes: frozenset[str] = frozenset()
    reads: int = 0


@dataclass
class Dataset:
    """A dataset of the test.

    Attributes:
        pid: Its name in SciCat.
        blocks: Its datablocks.
        jobs: How many jobs ask for it.
        asked_at: Monotonic seconds of the first time.
    """

    pid: str
    blocks: list[Block]
    jobs: int = 0
    asked_at: float = NEVER

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
        faults: The kinds of faults that were injected while it ran.
    """

    id: str
    datasets: Sequence[Dataset]
    faults: set[str] = field(default_factory=set)

    @property
    def may_end_as(self) -> frozenset[str]:
        """The states that tell the truth."""
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
