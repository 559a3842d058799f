"""The long-term store: where datablocks rest, mostly on tape."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from scicat_retriever.domain.ids import ArchiveId


class Locality(StrEnum):
    """Where the store says an archive is."""

    ONLINE = "online"
    """It can be read at once."""
    RECALLING = "recalling"
    """It is on tape, and on its way."""
    OFFLINE = "offline"
    """It is on tape, and nobody asked for it."""
    MISSING = "missing"
    """The store has no such archive."""


@dataclass(frozen=True, slots=True)
class RecallState:
    """The store's word on one archive.

    Attributes:
        locality: Where it is.
        size: Bytes, where the store says so.
        reason: The store's own words, for the person who waits.
    """

    locality: Locality
    size: int | None = None
    reason: str = ""


class ArchiveSource(Protocol):
    """An archive, open for one read from start to end."""

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end. May block for hours."""
        ...


class LongTermStore(Protocol):
    """A long-term store. Methods may be called from any thread and raise a `RecallError`.

    `ArchiveIdUnsafe` is raised by each for an archiveId that leads outside the store.
    """

    def request_recall(self, archive_id: ArchiveId) -> None:
        """Ask that the archive be brought online. Idempotent; returns at once, whatever the tape does.

        Raises:
            StoreUnavailable: The store does not answer in time.
        """
        ...

    def recall_state(self, archive_id: ArchiveId) -> RecallState:
        """Say where the archive is, within seconds.

        Raises:
            StoreUnavailable: The store does not answer in time.
            DatablockUnreadable: The archive is there and may not be read.
        """
        ...

    def open(self, archive_id: ArchiveId) -> AbstractContextManager[ArchiveSource]:
        """Open the archive for one sequential read; closed with the context.

        Raises:
            DatablockMissing: The store has no such archive.
            DatablockUnreadable: It may not be read.
        """
        ...

    def release(self, archive_id: ArchiveId) -> None:
        """Tell the store that the archive is not needed online any longer. Idempotent."""
        ...
