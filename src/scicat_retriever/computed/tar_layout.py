"""The layout of a tar: a header before each content, zeros after it, and zeros at the end."""

from __future__ import annotations

from array import array
from itertools import accumulate, chain

from scicat_retriever.computed.entries import MODES, Batch, Batches, EntryKind
from scicat_retriever.computed.layout import Layout, Part, Piece, Slice
from scicat_retriever.computed.names import Names
from scicat_retriever.computed.seen_batches import SeenBatches
from scicat_retriever.computed.tar_records import (
    BLOCK,
    TarEntry,
    end_blocks,
    extended_bytes,
    header,
    padding,
)

VERSION = "tar-1"
"""Counts up with each change of the bytes that the same entries make."""

_TYPES = {EntryKind.FILE: b"0", EntryKind.FOLDER: b"5", EntryKind.SYMLINK: b"2"}


class TarLayout(Layout):
    """A tar in the pax format that can be read at any byte.

    Its parts are the batches, each entry with its headers, then the end.

    Args:
        batches: the entries.

    Raises:
        BadEntry: an entry that an archive cannot hold.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = SeenBatches(batches, VERSION)
        lengths = array("Q", (sum(_lengths(batch, names)) for batch, names in self._batches.first()))
        self._end = end_blocks(sum(lengths))
        super().__init__(chain(lengths, (len(self._end),)), self._batches.etag)

    def _part(self, index: int) -> Part:
        if index < len(self._batches):
            return _part(*self._batches.again(index))
        return Part((len(self._end),), lambda _: (self._end,))


def _part(batch: Batch, names: Names) -> Part:
    def pieces(number: int) -> tuple[Piece, Piece, Piece]:
        kind, size = batch.kinds[number], batch.sizes[number]
        entry = TarEntry(
            names.paths[number], size, batch.mtimes[number], names.links[number], MODES[kind], _TYPES[kind]
        )
        return header(entry), Slice(batch.sources[number], batch.offsets[number], size), padding(size)

    return Part(list(accumulate(_lengths(batch, names))), pieces)


def _lengths(batch: Batch, names: Names) -> list[int]:
    """Give the bytes of each entry's headers and content, with the zeros that follow."""
    return [
        BLOCK * (1 - -size // BLOCK) + extended_bytes(path, size, mtime, link)
        for path, link, size, mtime in zip(*names, batch.sizes, batch.mtimes, strict=True)
    ]
