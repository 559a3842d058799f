"""Entries for the tests, the bytes of an archive that is laid out, and an archive as a file that nobody stored."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence

from hypothesis import strategies as st

from scicat_retriever.computed.entries import Batch, Entry, EntryKind, batch_of
from scicat_retriever.computed.layout import Layout

STAGED = (bytes(range(256)) * 9, b"another staged file, " * 40)
"""The staged files, by their numbers."""

NOON = 1_600_000_000


def a_file(
    path: str,
    content: bytes = b"",
    *,
    mtime: int = NOON,
    source: int = 0,
    offset: int = 0,
    digest: str = "ab",
) -> Entry:
    """Make an entry of a file."""
    return Entry(path, EntryKind.FILE, len(content), zlib.crc32(content), mtime, digest, source, offset, "")


def of_zeros(path: str, size: int) -> Entry:
    """Make an entry of a file of zeros, of any size: its CRC-32 is not the right one."""
    return Entry(path, EntryKind.FILE, size, 0, NOON, "00", 0, 0, "")


def a_folder(path: str, *, mtime: int = NOON) -> Entry:
    """Make an entry of an empty folder."""
    return Entry(path, EntryKind.FOLDER, 0, 0, mtime, "", 0, 0, "")


def a_symlink(path: str, target: str, *, mtime: int = NOON) -> Entry:
    """Make an entry of a symbolic link."""
    return Entry(path, EntryKind.SYMLINK, 0, 0, mtime, "", 0, 0, target)


def content_of(entry: Entry) -> bytes:
    """Give what a file holds."""
    return STAGED[entry.source][entry.offset : entry.offset + entry.size]


def read(layout: Layout, start: int = 0, stop: int | None = None) -> bytes:
    """Read a range of an archive."""
    return b"".join(
        piece if isinstance(piece, bytes) else STAGED[piece.source][piece.offset :][: piece.length]
        for piece in layout.pieces(start, layout.size if stop is None else stop)
    )


def split(entries: Sequence[Entry], cuts: Sequence[int] = ()) -> list[Batch]:
    """Put entries into batches, cut at some places; two cuts at one place make an empty batch."""
    places = sorted(min(cut, len(entries)) for cut in cuts)
    return [
        batch_of(entries[begin:end]) for begin, end in zip([0, *places], [*places, len(entries)], strict=True)
    ]


class ArchiveFile(io.RawIOBase):
    """An archive as a file to read: all contents are zeros."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self._layout = layout
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._layout.size}[whence]
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        stop = min(self._at + len(buffer), self._layout.size)
        got = b"".join(
            piece if isinstance(piece, bytes) else bytes(piece.length)
            for piece in self._layout.pieces(min(self._at, stop), stop)
        )
        buffer[: len(got)] = got
        self._at += len(got)
        return len(got)


LETTERS = st.characters(exclude_categories=["Cs"], exclude_characters="/\0")
PARTS = st.one_of(
    st.text(LETTERS, min_size=1, max_size=12),
    st.text("ab", min_size=90, max_size=300),
    st.sampled_from(["größe", "𝄞", "a b", ".hidden", "...", "c:d", "-x"]),
).filter(lambda part: part not in (".", ".."))
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
MTIMES = st.one_of(
    st.integers(0, 2**31),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([-1, 0, 1, 315_532_799, 2**31, 2**32, 4_354_819_199, 4_354_819_200, 8**11]),
)


@st.composite
def entries(draw: st.DrawFn) -> list[Entry]:
    """Give entries of all kinds, each with a path of its own that no other lies below."""
    found = []
    for number, drawn in enumerate(draw(st.lists(PATHS, max_size=12))):
        mtime = draw(MTIMES)
        kind = draw(st.sampled_from([EntryKind.FILE, EntryKind.FILE, EntryKind.FOLDER, EntryKind.SYMLINK]))
        path = f"{number}/{drawn}"
        if kind is EntryKind.FOLDER:
            found.append(a_folder(path, mtime=mtime))
        elif kind is EntryKind.SYMLINK:
            found.append(a_symlink(path, draw(PATHS), mtime=mtime))
        else:
            source = draw(st.integers(0, len(STAGED) - 1))
            offset = draw(st.integers(0, len(STAGED[source])))
            content = STAGED[source][offset : offset + draw(st.sampled_from([0, 1, 511, 512, 513, 700]))]
            found.append(a_file(path, content, mtime=mtime, source=source, offset=offset))
    return found


CUTS = st.lists(st.integers(0, 12), max_size=5)
"""Where entries are cut into batches."""
