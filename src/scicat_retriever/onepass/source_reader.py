"""The thread that reads the source, once, from its first byte to its last."""

import os
import time
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from scicat_retriever.onepass.chunks import Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.errors import LongerThanDeclared, SourceReadFailed, Truncated
from scicat_retriever.onepass.staged_sums import StagedSums

_HAND_OVER_SECONDS = 0.5
"""Seconds after which a slow source's bytes are passed on, though the buffer is not full."""


class ReadsInto(Protocol):
    """An open source that is no file descriptor, such as the body of an HTTP answer."""

    def readinto(self, buffer: memoryview, /) -> int | None:
        """Read some bytes into the buffer; 0 at the end.

        Raises:
            BlockingIOError: no byte is there yet, but bytes are on their way: read again. Raised after some
                waiting, not at once.
        """


class SourceReader:
    """The thread that reads the source into buffers, for the writer and the hasher.

    It works from its construction on.

    The thread is a daemon: a read that never returns cannot be broken off, only left behind. A reader that is
    left behind touches nothing but its own buffers, and ends when its read does.

    Args:
        source: a file descriptor, which is duplicated, or an object to read from.
        pool: gives free buffers.
        to_write: gets each buffer that was filled.
        events: gets each buffer that was filled, then SOURCE_ENDED or the error that ended the reading.
        expected_bytes: bytes that the source was declared to have; None if nobody knows.
        crc: whether the pieces get their CRC-32.

    Raises:
        SourceReadFailed: the file descriptor is not open.
    """

    def __init__(
        self,
        source: int | ReadsInto,
        pool: ChunkPool,
        to_write: "SimpleQueue[Chunk | None]",
        events: "SimpleQueue[Chunk | Milestone | BaseException]",
        expected_bytes: int | None,
        *,
        crc: bool = True,
    ) -> None:
        self._pool = pool
        self._to_write = to_write
        self._events = events
        self._expected = expected_bytes
        self._fd: int | None = None
        self._object: ReadsInto | None = None
        if isinstance(source, int):
            self._fd = _own_descriptor(source)
        else:
            self._object = source
        self._stopped = Event()
        self._waiting_since: float | None = None
        self._ended = False
        self.offset = 0
        self.sums = StagedSums(crc=crc)
        self._thread = Thread(target=self._run, name="onepass-reader", daemon=True)
        self._thread.start()

    def stop(self, patience: float) -> None:
        """End the thread, or leave it behind if its read does not return within `patience` seconds.

        The pool must be closed already.
        """
        self._stopped.set()
        self._thread.join(patience)

    def waiting_seconds(self) -> float:
        """Seconds without a byte, and without word that one is on its way; 0 while no read is under way."""
        since = self._waiting_since
        return 0.0 if since is None else time.monotonic() - since

    def _run(self) -> None:
        try:
            self._read_all()
        except OSError as failed:
            fault = SourceReadFailed(failed.errno, self.offset, _own_words(failed))
            fault.__cause__ = failed
            self._events.put(fault)
        except BaseException as failed:  # noqa: BLE001 - carried to the calling thread, which raises it
            self._events.put(failed)
        finally:
            if self._fd is not None:
                os.close(self._fd)

    def _read_all(self) -> None:
        while not self._ended:
            chunk = self._pool.take()
            if chunk is None:
                return
            self._fill(chunk)
            if self._stopped.is_set():
                return
            if chunk.filled:
                self._to_write.put(chunk)
                self.sums.update(chunk.filled)
                self._events.put(chunk)
        if self._expected is not None and self.offset < self._expected:
            raise Truncated(self._expected, self.offset)
        self._events.put(Milestone.SOURCE_ENDED)

    def _fill(self, chunk: Chunk) -> None:
        room, filled = chunk.room, 0
        begun = time.monotonic()
        while filled < len(room) and not self._stopped.is_set():
            self._waiting_since = now = time.monotonic()
            if filled and now - begun > _HAND_OVER_SECONDS:
                break
            got = self._read_into(room[filled:])
            if got is None:
                continue
            if not got:
                self._ended = True
                break
            filled += got
            self.offset += got
        self._waiting_since = None
        chunk.filled = room[:filled]
        if self._expected is not None and self.offset > self._expected:
            raise LongerThanDeclared(self._expected, self.offset)

    def _read_into(self, room: memoryview) -> int | None:
        """Read some bytes; None where the source says that they are on their way."""
        if self._fd is not None:
            return os.readv(self._fd, [room])
        if self._object is None:
            raise AssertionError
        try:
            got = self._object.readinto(room)
        except BlockingIOError:
            return None
        if got is None:  # it does not wait for bytes, and would be asked again and again without a pause
            raise BlockingIOError
        return got


def _own_words(error: OSError) -> str:
    """Give what the source says of an error, where that is more than the system's word for its number."""
    known = error.errno is None or error.strerror == os.strerror(error.errno)
    return "" if known else error.strerror or ""


def _own_descriptor(source: int) -> int:
    """Duplicate the caller's descriptor, so that a reader left behind never reads from a number used anew."""
    try:
        fd = os.dup(source)
    except OSError as failed:
        raise SourceReadFailed(failed.errno, 0) from failed
    with suppress(OSError):  # a pipe or a socket
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    return fd
