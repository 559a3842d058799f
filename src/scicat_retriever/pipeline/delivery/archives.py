"""Computed archives of a retrieval: a zip or a tar of what is staged, read where it lies."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from threading import Lock
from typing import BinaryIO

from scicat_retriever.computed.entries import Entry
from scicat_retriever.computed.layout import Layout, Slice
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout
from scicat_retriever.domain.errors import LinkReleased, NothingSelected, StagedFileMissing
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.pipeline.delivery.contents import Contents, Needed, Source
from scicat_retriever.pipeline.delivery.selections import Selection
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.staging_area import StagingArea

CHUNK = 1 << 20
"""Bytes that are given at once, as far as the archive goes on."""
_SKIPPED = 1 << 20
"""Bytes that are read and passed over rather than sought: where staging is on S3, a seek is a request."""
_HELD = 4
"""Archives whose layout is held: programs ask for one archive many times, each time for another range."""
FORMATS: Mapping[str, type[ZipLayout | TarLayout]] = {"zip": ZipLayout, "tar": TarLayout}
"""The layouts by the endings of archives' names."""


@dataclass(frozen=True, slots=True)
class Archive:
    """A computed archive.

    Attributes:
        layout: Where its bytes come from.
        sources: The staged datablocks that it is read from.
    """

    layout: Layout
    sources: Sequence[Source] = field(repr=False)

    def read(
        self, wanted: range, staging: StagingArea, use: Callable[[DatablockRecord], None], stack: ExitStack
    ) -> Iterator[bytes]:
        """Give the bytes of a range, in pieces of about `CHUNK`.

        Args:
            wanted: The range.
            staging: Where the datablocks are.
            use: Told of each datablock that is read from.
            stack: Closes what is open at its end.

        Raises:
            StagedFileMissing: A file is gone, or shorter than it was.
        """
        reader = _Reader(self.sources, staging, use, stack)
        held: list[bytes] = []
        length = 0
        for piece in self.layout.pieces(wanted.start, wanted.stop):
            for data in (piece,) if isinstance(piece, bytes) else reader.read(piece):
                held.append(data)
                length += len(data)
                if length >= CHUNK:
                    yield b"".join(held)
                    held.clear()
                    length = 0
        if held:
            yield b"".join(held)


def read_entry(
    entry: Entry,
    sources: Sequence[Source],
    staging: StagingArea,
    use: Callable[[DatablockRecord], None],
    stack: ExitStack,
) -> Callable[[range], Iterator[bytes]]:
    """Give what reads ranges of one file of a retrieval. Arguments and errors as of `Archive.read`."""
    reader = _Reader(sources, staging, use, stack)

    def read(wanted: range) -> Iterator[bytes]:
        if wanted:
            yield from reader.read(Slice(entry.source, entry.offset + wanted.start, len(wanted)))

    return read


class _Reader:
    """Reads slices of staged files, one file open at a time."""

    def __init__(
        self,
        sources: Sequence[Source],
        staging: StagingArea,
        use: Callable[[DatablockRecord], None],
        stack: ExitStack,
    ) -> None:
        self._sources, self._staging, self._use = sources, staging, use
        self._opened = stack.enter_context(ExitStack())
        self._file: BinaryIO | None = None
        self._number, self._at, self._untold = -1, 0, 0

    def read(self, piece: Slice) -> Iterator[bytes]:
        file = self._positioned(piece)
        left = piece.length
        while left:
            data = file.read(min(CHUNK, left))
            if not data:
                raise StagedFileMissing("the staged file is shorter than it was")
            left -= len(data)
            self._at += len(data)
            self._untold += len(data)
            if self._untold >= CHUNK:
                self._tell()
            yield data

    def _tell(self) -> None:
        self._use(self._sources[self._number].record)
        self._untold = 0

    def _positioned(self, piece: Slice) -> BinaryIO:
        if self._file is None or piece.source != self._number:
            self._opened.close()
            record = self._sources[piece.source].record
            self._file = self._opened.enter_context(self._staging.open_staged(record.key, record.partial))
            self._number, self._at = piece.source, 0
            self._tell()
        gap = piece.offset - self._at
        if 0 < gap <= _SKIPPED and self._at:
            self._file.read(gap)
        elif gap:
            self._file.seek(piece.offset)
        self._at = piece.offset
        return self._file


class ArchiveShelf:
    """The archives that were laid out last. Safe in threads; one archive is laid out once at a time.

    What is held is given without reading the manifests of its datablocks again.

    Args:
        staging: Where the datablocks are.
        read: Reads their members; its errors are raised by whatever needs them: see `contents.sources`.
    """

    def __init__(self, staging: StagingArea, read: Callable[[Sequence[Needed]], Sequence[Source]]) -> None:
        self._staging, self._read = staging, read
        self._held: OrderedDict[object, tuple[Lock, list[Archive | Contents]]] = OrderedDict()
        self._lock = Lock()

    def archive(self, kind: str, needed: Sequence[Needed], selection: Selection) -> Archive:
        """Give the archive of what is selected of some datablocks.

        Args:
            kind: One of `FORMATS`.
            needed: The datablocks, in the order of the archive.
            selection: What is selected.

        Raises:
            NothingSelected: Nothing is.
            LinkReleased: A datablock is not in staging, or not as long as it was.
        """

        def make() -> Archive:
            contents, is_new = self._contents(needed)
            if not is_new:  # when it was made, its datablocks were there
                self._require_there(needed)
            if selection.patterns:
                contents = Contents(contents.sources, selection.wanted())
                if not any(len(contents[index].paths) for index in range(len(contents))):
                    raise NothingSelected("no file is selected: see the names on the page of the retrieval")
            return Archive(FORMATS[kind](contents), contents.sources)

        made, _ = self._made((kind, selection), needed, make)
        assert isinstance(made, Archive)  # noqa: S101 - by its name
        return made

    def contents(self, needed: Sequence[Needed]) -> Contents:
        """Give all entries of some datablocks, to look into.

        Raises:
            LinkReleased: A datablock is not in staging, or not as long as it was.
        """
        return self._contents(needed)[0]

    def _contents(self, needed: Sequence[Needed]) -> tuple[Contents, bool]:
        def make() -> Contents:
            self._require_there(needed)
            return Contents(self._read(needed))

        made, is_new = self._made("contents", needed, make)
        assert isinstance(made, Contents)  # noqa: S101 - by its name
        return made, is_new

    def _made(
        self, what: object, needed: Sequence[Needed], make: Callable[[], Archive | Contents]
    ) -> tuple[Archive | Contents, bool]:
        """Give what is held, or make it; and say whether it was made."""
        name = (what, tuple(_identity(each) for each in needed))
        with self._lock:
            lock, made = self._held.setdefault(name, (Lock(), []))
            self._held.move_to_end(name)
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        with lock:
            is_new = not made
            if is_new:
                made.append(make())
        return made[0], is_new

    def _require_there(self, needed: Sequence[Needed]) -> None:
        for each in needed:
            record = each.record
            if self._staging.staged_size(record.key, record.partial) != record.bytes_total:
                raise LinkReleased(
                    f"a part of {each.folder} is not in staging any more: ask for it again in SciCat"
                )


def _identity(needed: Needed) -> tuple[DatablockKey, str, str | None, str, str | None]:
    record = needed.record
    return record.key, record.partial, record.archive_checksum, needed.folder, needed.source_folder
