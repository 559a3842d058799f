"""The long-term store: where datablocks rest, mostly on tape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from scicat_retriever.domain.errors import ArchiveLost, DatablockMissing, RecallError
from scicat_retriever.domain.ids import ArchiveId

NOT_THERE = (DatablockMissing, ArchiveLost)
"""Errors of an archive that the store does not have: not (yet), or not any more."""


class Locality(StrEnum):
    """Where the store says that an archive is which it has."""

    ONLINE = "online"
    """It can be read at once, and long enough."""
    RECALLING = "recalling"
    """It is on tape, and on its way."""
    OFFLINE = "offline"
    """It is on tape, and no recall is under way: none was asked for, or it failed. The reason says so."""


@dataclass(frozen=True, slots=True)
class RecallState:
    """The store's word on one archive.

    Attributes:
        locality: Where the archive is.
        size: Bytes, where the store says so.
        reason: The store's own words, for the person who waits.
    """

    locality: Locality
    size: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class TapePosition:
    """Where an archive lies in the store.

    Attributes:
        tape: The tape's label.
        position: Orders what is read from one tape: a block number, a file sequence number, an offset.
    """

    tape: str
    position: int = 0


@dataclass(frozen=True, slots=True)
class AskedArchive:
    """One archive that the store is asked about.

    Attributes:
        archive_id: The archive.
        request: The store's name for the request of its recall, as `request_recalls` gave it; empty where no
            recall was asked for, or the name is not known any more.
    """

    archive_id: ArchiveId
    request: str = ""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a store can do beside the least.

    Attributes:
        ranges: Whether `open` may begin in the middle without reading what is before.
        tape_positions: Whether `tape_positions` may know tapes.
        batch: The most archives that `request_recalls`, `recall_states`, `let_go` and `tape_positions` are
            given in one call.
    """

    ranges: bool = False
    tape_positions: bool = False
    batch: int = 100


class ArchiveSource(Protocol):
    """An archive, open for one read from start to end."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end. May block for hours.

        Raises:
            BlockingIOError: The source waited for a while, and knows that bytes are on their way: read again.
                A reader may have less patience with a read that stays silent.
        """
        ...


class LongTermStore(Protocol):
    """A long-term store. Methods may be called from any thread, and by several processes.

    A method that is given several archives answers for each by itself: the error of one archive is the value
    given for it, and the others have their answers. `ArchiveIdUnsafe` is the error of an archiveId that leads
    outside the store.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What it can do beside the least."""
        ...

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> Mapping[ArchiveId, str | RecallError]:
        """Ask that archives be brought online, best in this order.

        Idempotent; returns soon, whatever the tape does.

        An archive that is online already, missing or lost is no error here; `recall_states` says so.

        Returns:
            For each archive the store's name for the request (see `AskedArchive`; empty where it has none),
            or the error by which it refuses.

        Raises:
            StoreUnavailable: The store does not answer in time; none, some or all may have been asked for.
        """
        ...

    def recall_states(
        self, archives: Sequence[AskedArchive]
    ) -> Mapping[ArchiveId, RecallState | RecallError]:
        """Say where archives are, within seconds.

        Returns:
            For each its state, or the error that a job is told: `DatablockMissing` where the store has no
                such archive (it may still be on its way into the store), `ArchiveLost` where it had the
                archive and will never give it again, `DatablockUnreadable` where the archive may not be read.

        Raises:
            StoreUnavailable: The store does not answer in time.
        """
        ...

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> Mapping[ArchiveId, TapePosition]:
        """Say on which tapes archives lie. What is not known is left out.

        Raises:
            StoreUnavailable: The store does not answer in time.
        """
        ...

    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> AbstractContextManager[ArchiveSource]:
        """Open the archive for one sequential read; closed with the context.

        Reading may block as long as a recall.

        Args:
            archive_id: The archive.
            start: The first byte, from 0. Only where `capabilities.ranges`.
            length: How many bytes from there; None reads to the end.

        Raises:
            DatablockMissing: The store has no such archive.
            ArchiveLost: It had the archive, and says itself that it lost it.
            DatablockUnreadable: It may not be read.
            NotYetOnline: It is on tape, where the store says so in place of blocking.
            StoreUnavailable: The store does not answer.
        """
        ...

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        """Tell the store that archives are not needed online any longer. Idempotent.

        Raises:
            StoreUnavailable: The store does not answer in time; repeat it.
        """
        ...
