"""The staging area: where verified datablocks wait for their readers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.onepass.sink import Sink


@dataclass(frozen=True, slots=True)
class Room:
    """What a staging area offers.

    Attributes:
        total: Bytes that it may hold in all, what it holds already included.
        free: Bytes that may be written now, as the storage itself says; None where it cannot say.
        unwritten: Bytes of claims that were still to be written just before `free` was measured, as the
            ledger says. An area itself leaves it at 0: it knows nothing of claims.
    """

    total: int
    free: int | None
    unwritten: int = 0


class Partial(Sink, Protocol):
    """A file that is being written, from its beginning to its end, by one thread at a time.

    Beside an OSError it may raise a `StagingError`, which then says more.
    """

    @property
    def token(self) -> str:
        """Tells it from every other file that was or will be made of the datablock."""
        ...

    @property
    def receipt(self) -> str:
        """What the storage says it holds, once `seal` returned; it is handed to `commit`.

        Its form is the area's own. Where the storage can, it has a checksum that was computed here from the
        bytes that were written and compared with what the storage itself computed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Holding:
    """A file that is there, whoever made it.

    Attributes:
        name: Names the datablock as the area does: see `StagingArea.name_of`.
        token: The file's token.
        staged: Whether it is a staged one; else a partial.
        size: Bytes.
        changed_at: When it was last written to, or begun where only that is known (UTC).
    """

    name: str
    token: str
    staged: bool
    size: int
    changed_at: datetime


class StagingArea(Protocol):
    """A place for partial and staged archives.

    Each attempt to copy a datablock has a file of its own, told apart by a token which it keeps from its
    beginning to its removal. So what was proved of the bytes that one attempt wrote is never taken for proved
    of another's, however many attempts there are and however late one of them ends. A file is staged only
    when complete: `commit` is atomic. A failed or killed copy leaves at most a partial file, which
    `discard_partial` or the next `open_partial` removes. Methods may be called from any thread and raise a
    `StagingError`.

    An area belongs to one ledger, which its marker names: see `pipeline.staging.ownership`.
    """

    @property
    def location(self) -> str:
        """Where it is, in words that stay the same: a folder, or a bucket and a prefix."""
        ...

    def prepare(self) -> None:
        """Make what the area needs and does not have yet. What is there is left as it is."""
        ...

    def owner(self) -> str | None:
        """The ledger that the area belongs to, as its marker says; None where there is no marker."""
        ...

    def mark(self, ledger: str, *, anew: bool = False) -> None:
        """Write the marker, durably. One that is there stays, unless it is to be made anew.

        Of two that mark an area at once, one is named by the marker in the end.
        """
        ...

    def room(self) -> Room:
        """Say what the area offers, the share to keep free already taken off; no number is negative."""
        ...

    def open_partial(self, key: DatablockKey, size: int) -> AbstractContextManager[Partial]:
        """Make a new partial file, with room for `size` bytes where possible, and remove older ones.

        An error of the body passes through. What was not sealed by then may be gone.

        Raises:
            StagingWriteFailed: It cannot be made.
            NoSpaceYet: There is no room, although it may have been claimed: others fill the same storage.
        """
        ...

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this partial file, or None where it is not there.

        While the file is written, an area may count the bytes alone that it was sent already.
        """
        ...

    def commit(self, key: DatablockKey, token: str, receipt: str) -> None:
        """Make this partial file the staged one, durably and atomically; remove older staged ones.

        Done already: nothing happens.

        Raises:
            StagedFileMissing: It is there neither as a partial nor as a staged file.
            StagedBytesDiffer: The storage does not hold what the receipt says. Nothing of it is left.
        """
        ...

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this staged file, or None where it is not there."""
        ...

    def open_staged(self, key: DatablockKey, token: str) -> AbstractContextManager[BinaryIO]:
        """Open this staged file for reading and seeking.

        On file systems it stays readable while open, even if it is deleted; nobody should count on it
        elsewhere.

        Raises:
            StagedFileMissing: It is not there.
        """
        ...

    def download_url(self, key: DatablockKey, token: str, name: str, longest: timedelta) -> str | None:
        """Give a URL under which the storage itself hands this staged file out, for a while.

        Whether the file is there is not checked.

        Args:
            key: The datablock.
            token: The file's token.
            name: The file's name for whoever downloads it.
            longest: How long the URL may work at the most.

        Returns:
            None where downloads are to be read by `open_staged`.
        """
        ...

    def discard_partial(self, key: DatablockKey, token: str | None = None) -> None:
        """Remove the partial file of this token, or all of the datablock."""
        ...

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        """Delete the staged file of this token, or all staged files of the datablock."""
        ...

    def name_of(self, key: DatablockKey) -> str:
        """Name a datablock as `Holding.name` does; no two have the same."""
        ...

    def holdings(self) -> Iterator[Holding]:
        """Give all files that are there, partial and staged, in no order, without holding them all in memory.

        Each is told once. What is not named as the area names its files is none of them.
        """
        ...

    def remove(self, holding: Holding) -> None:
        """Remove a file that was found; one that is gone is no error.

        A partial that is being written is left where the storage knows that (a directory's locks). An S3 does
        not know: there, the caller makes sure that nobody writes it.
        """
        ...
