"""The thread that reads the source, once, from its first byte to its last, and unpacks it if it is gzip."""

import os
import time
from contextlib import suppress
from queue import SimpleQueue
from threading import Event, Thread
from typing import Protocol

from scicat_retriever.onepass.chunks import Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.errors import GzipFault, LongerThanDeclared, SourceReadFailed, Truncated
from scicat_retriever.onepass.gunzip import MAGIC_BYTES, Gunzip, has_gzip_magic
from scicat_retriever.onepass.staged_sums import StagedSums

_HAND_OVER_SECONDS = 0.5
"""Seconds after which a slow source's bytes are passed on, though the buffer is not full."""

_PACKED_BYTES = 1 << 20
"""Bytes of a compressed source that are read at once."""


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

    It works from its construction on. A source that is gzip is unpacked, so that the buffers hold a tar.

    The thread is a daemon: a read that never returns cannot be broken off, only left behind. A reader that is
    left behind touches nothing but its own buffers, and ends when its read does.

    Args:
        source: a file descriptor, which is duplicated, or an object to read from.
        pool: gives free buffers.
        to_write: gets each buffer that was filled.
        events: gets each buffer that was filled, then SOURCE_ENDED or the error that ended the reading.
        expected_bytes: bytes that the source was declared to have; None if nobody knows.
        plain: whether it is known to be a plain tar; else its first bytes decide.
        max_unpacked_bytes: bytes that a compressed source may unpack to; None for any number.
        crc: whether the pieces get their CRC-32.

    Attributes:
        offset: bytes read so far.
        is_gzip: whether the source is compressed, known once its first bytes came.
        sums: over what the buffers held.

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
        plain: bool = False,
        max_unpacked_bytes: int | None = None,
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
        self._plain = plain
        self._gunzip = Gunzip(self._take_unpacked, max_unpacked_bytes)
        self._chunk: Chunk | None = None
        self.is_gzip = False
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
        chunk = self._pool.take()
        if chunk is None:
            return
        chunk.filled = self._filled(chunk.room, MAGIC_BYTES)
        self.is_gzip = not self._plain and has_gzip_magic(bytes(chunk.filled[:MAGIC_BYTES]))
        if self.is_gzip:
            packed = bytes(chunk.filled)
            chunk.filled = chunk.room[:0]
            self._unpack_all(chunk, packed)
        else:
            self._pass_all_on(chunk)
        if self._stopped.is_set():
            return
        if self._expected is not None and self.offset < self._expected:
            raise Truncated(self._expected, self.offset)
        if self.is_gzip:
            self._gunzip.finish()
        self._events.put(Milestone.SOURCE_ENDED)

    def _pass_all_on(self, chunk: Chunk | None) -> None:
        """Pass on what was read, and all that follows."""
        while chunk is not None:
            if self._stopped.is_set():
                return
            self._hand_over(chunk)
            if self._ended:
                return
            chunk = self._pool.take()
            if chunk is not None:
                chunk.filled = self._filled(chunk.room)

    def _unpack_all(self, chunk: Chunk, packed: bytes) -> None:
        """Unpack what was read, and all that follows."""
        self._chunk = chunk
        room = memoryview(bytearray(_PACKED_BYTES))
        piece = memoryview(packed)
        try:
            while piece and not self._stopped.is_set():
                begun = time.monotonic()
                self._gunzip.feed(piece)
                piece = room[:0] if self._ended else self._filled(room)
                if time.monotonic() - begun > _HAND_OVER_SECONDS:
                    self._next_chunk()
        except GzipFault:
            self._next_chunk()  # what came before is walked first: it may say more of what is wrong
            raise
        self._next_chunk()

    def _take_unpacked(self, unpacked: memoryview) -> None:
        """Copy unpacked bytes into buffers."""
        at = 0
        while at < len(unpacked) and self._chunk is not None:
            chunk = self._chunk
            have = len(chunk.filled)
            part = unpacked[at : at + len(chunk.room) - have]
            chunk.room[have : have + len(part)] = part
            chunk.filled = chunk.room[: have + len(part)]
            at += len(part)
            if len(chunk.filled) == len(chunk.room):
                self._next_chunk()

    def _next_chunk(self) -> None:
        """Hand over the buffer with unpacked bytes, and take another one; none where the copy has ended."""
        if self._stopped.is_set():
            self._chunk = None
        elif self._chunk is not None and self._chunk.filled:
            self._hand_over(self._chunk)
            self._chunk = self._pool.take()
            if self._chunk is not None:
                self._chunk.filled = self._chunk.room[:0]

    def _hand_over(self, chunk: Chunk) -> None:
        if chunk.filled:
            self._to_write.put(chunk)
            self.sums.update(chunk.filled)
            self._events.put(chunk)

    def _filled(self, room: memoryview, at_least: int = 1) -> memoryview:
        """Read until the room is full, or the source ends, or is slow; gives what was filled."""
        filled = 0
        begun = time.monotonic()
        while filled < len(room) and not self._stopped.is_set():
            self._waiting_since = now = time.monotonic()
            if filled >= at_least and now - begun > _HAND_OVER_SECONDS:
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
        if self._expected is not None and self.offset > self._expected:
            raise LongerThanDeclared(self._expected, self.offset)
        return room[:filled]

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
