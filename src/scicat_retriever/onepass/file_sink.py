"""A file as the place where a copy goes."""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from threading import Lock
from typing import Protocol

_SLICE_BYTES = 1 << 20
"""Bytes of one write.

Larger writes were slower (the kernel looks for large free pages), smaller ones cost more calls.
"""

_RWF_DONTCACHE = 0x80
"""Write through the page cache without staying in it (Linux 6.14); pwritev2(2)."""

_NOT_KNOWN = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class WritesAt(Protocol):
    """Writes buffers to a descriptor at an offset: pwritev2(2)."""

    def __call__(self, fd: int, buffers: Sequence[memoryview], offset: int, flags: int = 0, /) -> int:
        """Give the bytes written."""


class FileSink:
    """Writes a file from offset 0, then makes it durable. A `Sink`.

    A file that is longer than what was written is cut by `seal`, so that space may be allocated in it
    beforehand.

    Args:
        descriptor: Open for writing; the sink's own from now on.
        write_at: The call that writes.

    Attributes:
        size: Bytes written so far.
    """

    def __init__(self, descriptor: int, write_at: WritesAt = os.pwritev) -> None:
        self._fd = descriptor
        self._write_at = write_at
        self._flags = _RWF_DONTCACHE
        self._lock = Lock()
        self._busy = self._closed = False
        self.size = 0

    def write(self, data: memoryview) -> int:
        """Write the start of `data`, 1 MiB at most; gives how many bytes.

        Raises:
            OSError: The kernel's.
        """
        with self._kept_open():
            written = self._write(data[:_SLICE_BYTES])
            if not self._flags:
                # Without RWF_DONTCACHE: begin the write-out now, or fsync has all of it to do at the end.
                with suppress(OSError):
                    os.posix_fadvise(self._fd, self.size, written, os.POSIX_FADV_DONTNEED)
        self.size += written
        return written

    def seal(self) -> None:
        """Cut the file to what was written, and flush it to disk.

        Raises:
            OSError: The kernel's.
        """
        with self._kept_open():
            status = os.fstat(self._fd)
            if stat.S_ISREG(status.st_mode) and status.st_size > self.size:
                os.ftruncate(self._fd, self.size)
            os.fsync(self._fd)

    def close(self) -> None:
        """Close the file, now or once a call that is stuck in the system returns; may be repeated.

        Raises:
            OSError: The kernel's: a network file system may refuse the last bytes only now.
        """
        with self._lock:
            if self._closed:
                return
            self._closed = True
            if self._busy:
                return
        os.close(self._fd)

    @contextmanager
    def _kept_open(self) -> Iterator[None]:
        """Keep the descriptor's number from being given to another file while a call may still use it."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def _enter(self) -> None:
        with self._lock:
            if self._closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._busy = True

    def _leave(self) -> None:
        with self._lock:
            self._busy = False
            left_behind = self._closed
        if left_behind:
            os.close(self._fd)

    def _write(self, data: memoryview) -> int:
        try:
            return self._write_at(self._fd, [data], self.size, self._flags)
        except OSError as refused:
            if not self._flags or refused.errno not in _NOT_KNOWN:
                raise
            self._flags = 0
            return self._write_at(self._fd, [data], self.size)
