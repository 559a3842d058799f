"""The layout of a zip: a local header before each content, the central directory, the end records."""

from __future__ import annotations

import stat
import zlib
from array import array
from itertools import accumulate, chain

from scicat_retriever.computed.entries import MODES, Batch, Batches, EntryKind
from scicat_retriever.computed.layout import Layout, Part, Piece, Slice
from scicat_retriever.computed.names import Names
from scicat_retriever.computed.seen_batches import SeenBatches
from scicat_retriever.computed.zip_records import (
    CENTRAL_BYTES,
    LIMIT,
    LOCAL_BYTES,
    LOCAL_ZIP64_BYTES,
    ZipEntry,
    central_entry,
    central_zip64_bytes,
    end_records,
    local_header,
)

VERSION = "zip-1"
"""Counts up with each change of the bytes that the same entries make."""

_TYPES = {EntryKind.FILE: stat.S_IFREG, EntryKind.FOLDER: stat.S_IFDIR, EntryKind.SYMLINK: stat.S_IFLNK}
_MODES = {kind: file_type | MODES[kind] for kind, file_type in _TYPES.items()}


class ZipLayout(Layout):
    """A zip of stored entries that can be read at any byte.

    Its parts are the batches, each entry with its local header; then what the central directory has of each
    batch; then the end records. The content of a symbolic link is its target, as Info-ZIP has it.

    Args:
        batches: the entries.

    Raises:
        BadEntry: an entry that a zip cannot hold.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches = SeenBatches(batches, VERSION)
        local, central = array("Q"), array("Q")
        entries = at = 0
        for batch, names in self._batches.first():
            lengths = _local_lengths(batch, names)
            local.append(sum(lengths))
            central.append(sum(_central_lengths(batch, names, lengths, at)))
            at += local[-1]
            entries += len(lengths)
        self._end = end_records(entries, at, sum(central))
        super().__init__(chain(local, central, (len(self._end),)), self._batches.etag)

    def _part(self, index: int) -> Part:
        count = len(self._batches)
        if index < count:
            return _local_part(*self._batches.again(index))
        if index < 2 * count:
            return _central_part(*self._batches.again(index - count), self._begin(index - count))
        return Part((len(self._end),), lambda _: (self._end,))


def _local_part(batch: Batch, names: Names) -> Part:
    def pieces(number: int) -> tuple[Piece, Piece]:
        entry = _zip_entry(batch, names, number)
        content = Slice(batch.sources[number], batch.offsets[number], entry.size)
        return local_header(entry), names.links[number] or content

    return Part(list(accumulate(_local_lengths(batch, names))), pieces)


def _central_part(batch: Batch, names: Names, begin: int) -> Part:
    lengths = _local_lengths(batch, names)
    offsets = list(accumulate(lengths, initial=begin))

    def pieces(number: int) -> tuple[Piece]:
        return (central_entry(_zip_entry(batch, names, number), offsets[number]),)

    return Part(list(accumulate(_central_lengths(batch, names, lengths, begin))), pieces)


def _zip_entry(batch: Batch, names: Names, number: int) -> ZipEntry:
    path, link, mode = names.paths[number], names.links[number], _MODES[batch.kinds[number]]
    if link:
        return ZipEntry(path, len(link), zlib.crc32(link), batch.mtimes[number], mode)
    return ZipEntry(path, batch.sizes[number], batch.crcs[number], batch.mtimes[number], mode)


def _local_lengths(batch: Batch, names: Names) -> list[int]:
    """Give the bytes of each entry's local header and content."""
    return [
        LOCAL_BYTES + len(path) + len(link) + size + (LOCAL_ZIP64_BYTES if size >= LIMIT else 0)
        for path, link, size in zip(*names, batch.sizes, strict=True)
    ]


def _central_lengths(batch: Batch, names: Names, lengths: list[int], begin: int) -> list[int]:
    """Give the bytes of each entry in the central directory.

    Args:
        batch: the entries.
        names: their names.
        lengths: what :func:`_local_lengths` gives of them.
        begin: where the first one's local header begins.
    """
    central = [CENTRAL_BYTES + len(path) for path in names.paths]
    if begin + sum(lengths) < LIMIT:
        return central
    offsets = accumulate(lengths, initial=begin)
    return [
        length + central_zip64_bytes(size, offset)
        for length, size, offset in zip(central, batch.sizes, offsets, strict=False)
    ]
