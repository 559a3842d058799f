"""The entries of a computed archive, in batches of columns.

A batch is a table by columns, since that is what manifests hold and since an object for each of a million
entries costs seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol


class EntryKind(StrEnum):
    """What an entry becomes once it is unpacked; a hard link comes as the file that it is linked to."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"


MODES = {EntryKind.FILE: 0o644, EntryKind.FOLDER: 0o755, EntryKind.SYMLINK: 0o777}
"""The rights of what is unpacked, whatever they were where the data were taken."""


class Entry(NamedTuple):
    """One file, empty folder or symbolic link of an archive. Folders that hold something need no entry.

    Attributes:
        path: what it is called in the archive: relative, parts joined by ``/``, no ``/`` at the end.
        kind: what it is.
        size: bytes of content; 0 unless it is a file.
        crc: CRC-32 of the content (the one of zip and gzip); 0 unless it is a file.
        mtime: when it was changed, in whole seconds since 1970, UTC.
        digest: checksum of the content, in hexadecimal digits; empty unless it is a file.
        source: number of the staged file that holds the content; of no meaning unless it is a file.
        offset: where the content begins in that staged file, in bytes; of no meaning unless it is a file.
        link: the target of a symbolic link; empty unless it is one.
    """

    path: str
    kind: EntryKind
    size: int
    crc: int
    mtime: int
    digest: str
    source: int
    offset: int
    link: str


class Batch(NamedTuple):
    """Entries that follow on each other: a column for each attribute of :class:`Entry`, all equally long."""

    paths: Sequence[str]
    kinds: Sequence[EntryKind]
    sizes: Sequence[int]
    crcs: Sequence[int]
    mtimes: Sequence[int]
    digests: Sequence[str]
    sources: Sequence[int]
    offsets: Sequence[int]
    links: Sequence[str]

    def entries(self) -> Iterator[Entry]:
        """Give the entries one by one."""
        return map(Entry._make, zip(*self, strict=True))


class Batches(Protocol):
    """All entries of an archive, in order.

    A layout keeps no entries: it asks for a batch when it needs one, from any thread, and has to be given the
    same each time. It holds two batches and what it makes of them, so a batch should have some thousand
    entries and some mebibytes of paths at most.
    """

    def __len__(self) -> int:
        """Give the number of batches."""
        ...

    def __getitem__(self, index: int, /) -> Batch:
        """Give one batch, which may be empty."""
        ...


def batch_of(entries: Iterable[Entry]) -> Batch:
    """Make a batch of entries."""
    columns = tuple(zip(*entries, strict=True))
    return Batch(*columns) if columns else Batch((), (), (), (), (), (), (), (), ())
