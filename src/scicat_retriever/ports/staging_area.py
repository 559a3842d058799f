"""The staging area: where verified datablocks wait for their readers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from scicat_retriever.domain.evidence import DatablockKey


@dataclass(frozen=True, slots=True)
class Partial:
    """A partial file, open for writing.

    Attributes:
        file: Its bytes go here, unbuffered.
        token: Tells it from every other file that was or will be made of the datablock.
    """

    file: BinaryIO
    token: str


class StagingArea(Protocol):
    """A place for partial and staged archives.

    Each attempt to copy a datablock has a file of its own, told apart by a token which it keeps from its beginning to
    its removal. So what was proved of the bytes that one attempt wrote is never taken for proved of another's, however
    many attempts there are and however late one of them ends. A file is staged only when complete: `commit` is atomic.
    A failed or killed copy leaves at most a partial file, which `discard_partial` or the next `open_partial` removes.
    Methods may be called from any thread and raise a `StagingError`.
    """

    def free_bytes(self) -> int:
        """How many bytes may still be written, the share to keep free already taken off; never negative."""
        ...

    def total_bytes(self) -> int:
        """How many bytes the area could hold if it were empty, the share to keep free taken off."""
        ...

    def open_partial(self, key: DatablockKey, size: int) -> AbstractContextManager[Partial]:
        """Make a new partial file, with room for `size` bytes set aside where possible, and remove all older ones.

        Raises:
            StagingWriteFailed: It cannot be made, or there is no room.
        """
        ...

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this partial file, or None where it is not there."""
        ...

    def commit(self, key: DatablockKey, token: str) -> None:
        """Make this partial file the staged one, durably and atomically, and remove the datablock's older staged ones.

        Done already: nothing happens.

        Raises:
            StagedFileMissing: It is there neither as a partial nor as a staged file.
        """
        ...

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this staged file, or None where it is not there."""
        ...

    def open_staged(self, key: DatablockKey, token: str) -> AbstractContextManager[BinaryIO]:
        """Open this staged file for reading; stays readable while open, even if it is released.

        Raises:
            StagedFileMissing: It is not there.
        """
        ...

    def discard_partial(self, key: DatablockKey) -> None:
        """Remove all partial files of a datablock."""
        ...

    def release(self, key: DatablockKey) -> None:
        """Remove all staged files of a datablock."""
        ...
