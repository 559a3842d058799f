"""Reading an archive, or the pieces of it that make up an extract, for one copy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from scicat_retriever.domain.dataset import Datablock
from scicat_retriever.domain.errors import ArchiveUnsupported
from scicat_retriever.onepass.tar.header import END_OF_ARCHIVE
from scicat_retriever.ports.long_term_store import ArchiveSource, LongTermStore


class Opening:
    """An archive that is opened by its first read.

    Opening may hang as long as reading may (a share that went away, a tape), so it happens in the reading
    thread, under the same watchdog. An opening that ends after the copy was given up is closed at once.
    """

    def __init__(self, opening: Callable[[], AbstractContextManager[ArchiveSource]]) -> None:
        self._opening = opening
        self._source: ArchiveSource | None = None
        self._stack = ExitStack()
        self._given_up = False
        self._lock = threading.Lock()

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end."""
        if self._source is None:
            with ExitStack() as late:
                self._source = late.enter_context(self._opening())
                with self._lock:
                    if self._given_up:
                        return 0
                    self._stack = late.pop_all()
        return self._source.readinto(buffer)

    def close(self) -> None:
        """Close the archive, now or as soon as it is open."""
        with self._lock:
            self._given_up = True
        self._stack.close()


class JoinedPieces:
    """Pieces of an archive that follow on each other as one tar, and then the end of a tar.

    A piece that is shorter than asked for ends it all: whoever reads knows the length.

    Args:
        pieces: Each piece, and its bytes.
    """

    def __init__(self, pieces: Sequence[tuple[Opening, int]]) -> None:
        self._pieces = pieces
        self._at = 0
        self._read = 0
        self._zeros = END_OF_ARCHIVE

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end."""
        if self._at == len(self._pieces):
            count = min(len(buffer), self._zeros)
            buffer[:count] = bytes(count)
            self._zeros -= count
            return count
        piece, length = self._pieces[self._at]
        count = piece.readinto(buffer[: length - self._read])
        self._read += count
        if self._read == length:
            piece.close()
            self._at, self._read = self._at + 1, 0
        return count

    def close(self) -> None:
        """Close the piece that is open, now or as soon as it is, and open no other."""
        for piece, _ in self._pieces[self._at :]:
            piece.close()


def opened(datablock: Datablock, store: LongTermStore) -> Opening | JoinedPieces:
    """Give what reads a datablock's archive, or the pieces of an extract; the first read opens it.

    Raises:
        ArchiveUnsupported: It is an extract, and its store cannot read ranges.
    """
    if not datablock.ranges:
        return Opening(lambda: store.open(datablock.archive_id))
    if not store.capabilities.ranges:
        raise ArchiveUnsupported(f"{datablock.archive_id}: its store cannot read a part of it")
    return JoinedPieces(
        [
            (Opening(partial(store.open, datablock.archive_id, start, length)), length)
            for start, length in datablock.ranges
        ]
    )
