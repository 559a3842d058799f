"""An archive that is a file."""

from __future__ import annotations

import os
from contextlib import suppress


class ArchiveFile:
    """An open archive file, read by plain reads alone (readv(2)): they make an HSM bring the bytes.

    Args:
        descriptor: The open file; `close` closes it.
        start: The first byte to read.
        length: The number of bytes from there; None for all.
    """

    def __init__(self, descriptor: int, start: int = 0, length: int | None = None) -> None:
        self._descriptor = descriptor
        self._left = length
        if start:
            os.lseek(descriptor, start, os.SEEK_SET)
        with suppress(OSError):  # only a hint
            os.posix_fadvise(descriptor, start, length or 0, os.POSIX_FADV_SEQUENTIAL)

    def fileno(self) -> int:
        """Give the file descriptor."""
        return self._descriptor

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end. May block for hours.

        Raises:
            OSError: The read failed, or the archive is closed.
        """
        if self._left is None:
            return os.readv(self._descriptor, [buffer])
        count = os.readv(self._descriptor, [buffer[: self._left]])
        self._left -= count
        return count

    def close(self) -> None:
        """Close the file.

        A thread that is still blocked in `readinto` finds the file closed, and never reads another file.
        """
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)
