"""The layout of a computed archive: where its bytes come from, without having them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

from scicat_retriever.computed.errors import EntriesChanged

_PARTS_HELD = 2
_LITERAL = 1 << 18
"""Literal bytes that are given as soon as there are so many: the central directory of a zip has millions."""


class Slice(NamedTuple):
    """Bytes of a staged file.

    Attributes:
        source: the number of the file, as entries name it.
        offset: where the bytes begin in it.
        length: how many there are; never 0.
    """

    source: int
    offset: int
    length: int


Piece = bytes | Slice
"""Some of an archive's bytes: themselves, or where they are found."""


class Part(NamedTuple):
    """A part of an archive: what it has of each entry of a batch, or its end.

    Attributes:
        ends: where what it has of each entry ends, counted from the part's begin.
        pieces: makes what it has of one entry, by the entry's number in the batch.
    """

    ends: Sequence[int]
    pieces: Callable[[int], Iterable[Piece]]


class Layout(ABC):
    """An archive as a row of parts, of which only the lengths are kept; a part is made when it is read.

    Safe in threads, as far as its batches are.

    Args:
        lengths: the bytes of each part; there is one at least.
        etag: the tag.

    Attributes:
        size: the bytes of the whole archive.
        etag: changes whenever a byte does, and is equal on every host; letters, digits and hyphens.
    """

    def __init__(self, lengths: Iterable[int], etag: str) -> None:
        self._ends = array("Q", accumulate(lengths))
        self.size = self._ends[-1]
        self.etag = etag
        self._held = lru_cache(_PARTS_HELD)(self._part)

    @abstractmethod
    def _part(self, index: int) -> Part:
        """Make one part."""

    def pieces(self, start: int, stop: int) -> Iterator[Piece]:
        """Give the bytes from `start` up to, and without, `stop`, in pieces that are not empty.

        The first piece takes the time to make one batch; reading on makes each batch once.

        Raises:
            ValueError: that is no range of this archive.
            EntriesChanged: (while it is read) a batch is not as it was, or an entry not as long.
        """
        if not 0 <= start <= stop <= self.size:
            raise ValueError(f"no bytes {start} to {stop} in an archive of {self.size}")
        return _joined(self._walk(start, stop))

    def _walk(self, start: int, stop: int) -> Iterator[Piece]:
        """Give the same in small pieces, each time those that are left of what begins before `start`."""
        index = bisect_right(self._ends, start)
        while start < stop:
            begin = self._begin(index)
            ends, pieces_of = self._held(index)
            number = bisect_right(ends, start - begin)
            at = begin + (ends[number - 1] if number else 0)
            while at < stop and number < len(ends):
                for piece in pieces_of(number):
                    end = at + _length(piece)
                    if start < end and at < stop:
                        whole = start == at and end <= stop
                        yield piece if whole else _between(piece, start - at, min(end, stop) - at)
                        start = end
                    at = end
                if at != begin + ends[number]:
                    raise EntriesChanged(
                        f"entry {number} of part {index} ends at {at - begin}, not {ends[number]}"
                    )
                number += 1
            index += 1

    def _begin(self, index: int) -> int:
        """Give where a part begins."""
        return self._ends[index - 1] if index else 0


def _joined(pieces: Iterable[Piece]) -> Iterator[Piece]:
    """Join literal bytes that follow on each other."""
    literals: list[bytes] = []
    length = 0
    for piece in pieces:
        if isinstance(piece, bytes):
            literals.append(piece)
            length += len(piece)
            if length < _LITERAL:
                continue
        if literals:
            yield b"".join(literals)
            literals.clear()
            length = 0
        if not isinstance(piece, bytes):
            yield piece
    if literals:
        yield b"".join(literals)


def _length(piece: Piece) -> int:
    return len(piece) if isinstance(piece, bytes) else piece.length


def _between(piece: Piece, first: int, last: int) -> Piece:
    """Cut a piece to its bytes from `first` up to, and without, `last`."""
    if isinstance(piece, bytes):
        return piece[first:last]
    return Slice(piece.source, piece.offset + first, last - first)
