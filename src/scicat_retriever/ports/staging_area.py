"""The staging area: where verified datablocks wait for their readers."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import BinaryIO, Protocol

from scicat_retriever.domain.evidence import DatablockKey


class StagingArea(Protocol):
    """A place for partial and staged archives, one of each per datablock.

    A datablock's archive is visible under its staged name only when complete: `commit` is atomic. A failed or
    killed copy leaves at most a partial file, which `discard_partial` or the next `open_partial` removes.
    Methods may be called from any thread and raise a `StagingError`.
    """

    def free_bytes(self) -> int:
        """How many bytes may still be written, the share to keep free already taken off; never negative."""
        ...

    def total_bytes(self) -> int:
        """How many bytes the area could hold if it were empty, the share to keep free taken off."""
        ...

    def open_partial(self, key: DatablockKey, size: int) -> AbstractContextManager[BinaryIO]:
        """Open an empty partial file for writing, unbuffered, with room for `size` bytes set aside where possible.

        Raises:
            StagingWriteFailed: It cannot be made, or there is no room.
        """
        ...

    def partial_size(self, key: DatablockKey) -> int | None:
        """Bytes of the partial file, or None where there is none."""
        ...

    def commit(self, key: DatablockKey) -> None:
        """Make the partial file the staged one, durably and atomically. Done already: nothing happens.

        Raises:
            StagedFileMissing: There is neither a partial nor a staged file.
        """
        ...

    def staged_size(self, key: DatablockKey) -> int | None:
        """Bytes of the staged file, or None where there is none."""
        ...

    def open_staged(self, key: DatablockKey) -> AbstractContextManager[BinaryIO]:
        """Open the staged file for reading; stays readable while open, even if it is released.

        Raises:
            StagedFileMissing: It is not there.
        """
        ...

    def discard_partial(self, key: DatablockKey) -> None:
        """Remove the partial file, if there is one."""
        ...

    def release(self, key: DatablockKey) -> None:
        """Remove the staged file, if there is one."""
        ...
