"""The thread that writes the partial file."""

import errno
import os
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from scicat_retriever.onepass.chunks import Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.errors import PartialWriteFailed

_SLICE_BYTES = 1 << 20
"""Bytes of one write: larger ones were slower (the kernel looks for large free pages), smaller ones cost calls."""

_RWF_DONTCACHE = 0x80
"""Write through the page cache without staying in it (Linux 6.14); pwritev2(2)."""

_NOT_KNOWN = (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class WritesAt(Protocol):
    """Writes buffers to a descriptor at an offset: pwritev2(2)."""

    def __call__(self, fd: int, buffers: Sequence[memoryview], offset: int, flags: int = 0, /) -> int:
        """Give the bytes written."""


class PartialWriter:
    """Writes buffers one after the other from offset 0, then makes the file durable; works from its construction on.

    Attributes:
        inbox: takes the buffers to write.
        offset: bytes written so far.
        flushing: whether all is written and the file is being made durable.

    Args:
        partial: a path, which is created or emptied, or a file descriptor, which is duplicated. A file that is longer
            than what was written is cut, so that space may be allocated in it beforehand.
        pool: gets each buffer back that was written.
        events: gets PARTIAL_DURABLE, or the error that ended the writing.
        write_at: what writes.

    Raises:
        PartialWriteFailed: it cannot be opened.
    """

    def __init__(
        self,
        partial: int | str | os.PathLike[str],
        pool: ChunkPool,
        events: "SimpleQueue[Chunk | Milestone | BaseException]",
        write_at: WritesAt = os.pwritev,
    ) -> None:
        self._write_at = write_at
        self._pool = pool
        self._events = events
        self.inbox: SimpleQueue[Chunk | None] = SimpleQueue()
        self.offset = 0
        self._flags = _RWF_DONTCACHE
        self._stopped = Event()
        self._waiting_since: float | None = None
        self.flushing = False
        self._fd = _open(partial)
        self._thread = Thread(target=self._run, name="onepass-writer", daemon=True)
        self._thread.start()

    def finish(self) -> None:
        """Say that all buffers are in the inbox."""
        self.inbox.put(None)

    def stop(self, patience: float) -> None:
        """End the thread after the write that is under way; leave it behind if that takes longer, in seconds.

        One that is left behind holds its duplicate of the descriptor. The write under way, 1 MiB at most, may still
        reach the file; none follows it.
        """
        self._stopped.set()
        self.inbox.put(None)
        self._thread.join(patience)

    def waiting_seconds(self) -> float:
        """Seconds that the present write, or the flush, has not returned for; 0 while none is under way."""
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        try:
            try:
                self._write_all()
            finally:
                os.close(self._fd)
            self._events.put(Milestone.PARTIAL_DURABLE)
        except OSError as failed:
            fault = PartialWriteFailed(failed.errno, self.offset)
            fault.__cause__ = failed
            self._events.put(fault)
        except BaseException as failed:  # noqa: BLE001 - carried to the calling thread, which raises it
            self._events.put(failed)

    def _write_all(self) -> None:
        while (chunk := self.inbox.get()) is not None:
            self._write(chunk.filled)
            self._pool.give_back(chunk)
        if self._stopped.is_set():
            return
        self._waiting_since = time.monotonic()
        self.flushing = True
        status = os.fstat(self._fd)
        if stat.S_ISREG(status.st_mode) and status.st_size > self.offset:
            os.ftruncate(self._fd, self.offset)
        os.fsync(self._fd)

    def _write(self, data: memoryview) -> None:
        begun, at = self.offset, 0
        while at < len(data) and not self._stopped.is_set():
            self._waiting_since = time.monotonic()
            written = self._write_some(data[at : at + _SLICE_BYTES])
            at += written
            self.offset += written
        if not self._flags:
            # Without RWF_DONTCACHE: begin the write-out now, or fsync has all of it to do at the end.
            with suppress(OSError):
                os.posix_fadvise(self._fd, begun, at, os.POSIX_FADV_DONTNEED)
        self._waiting_since = None

    def _write_some(self, data: memoryview) -> int:
        try:
            return self._write_at(self._fd, [data], self.offset, self._flags)
        except OSError as refused:
            if not self._flags or refused.errno not in _NOT_KNOWN:
                raise
            self._flags = 0
            return self._write_at(self._fd, [data], self.offset)


def _open(partial: int | str | os.PathLike[str]) -> int:
    try:
        if isinstance(partial, int):
            return os.dup(partial)
        return os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    except OSError as failed:
        raise PartialWriteFailed(failed.errno, 0) from failed
