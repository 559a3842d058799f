"""The spool: what was read from the catalogue for a plan, entries in memory, file lists in a file."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from scicat_retriever.domain.dataset import CataloguedDatablock, Datablock
from scicat_retriever.domain.errors import CatalogueEntryInvalid, LedgerUnavailable
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.ledger.database.packing import Fingerprint
from scicat_retriever.ledger.rows.dataset_sizes import LARGEST_DATASET

_IN_MEMORY = 8 * 1024 * 1024
_LARGEST = 2**53
"""The largest whole number that every JSON reader keeps exactly (RFC 8259, section 6)."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A datablock as just read.

    Attributes:
        datablock: What the catalogue says of it.
        position: Its position in the dataset, from 0.
        fingerprint: Digest of its entry.
        offset: Where in the spool its packed file list begins.
        chunks: Bytes of each chunk of it.
    """

    datablock: Datablock
    position: int
    fingerprint: str
    offset: int
    chunks: tuple[int, ...]


@dataclass(slots=True)
class Spool:
    """A temporary file of packed file lists with an index in memory; a context that removes the file.

    Args:
        pid: The dataset that all datablocks must belong to.
    """

    pid: DatasetPid
    taken: dict[DatablockId, Taken] = field(default_factory=dict)
    files: int = 0
    packed_size: int = 0
    size: int = 0
    _file: tempfile.SpooledTemporaryFile[bytes] = field(
        default_factory=lambda: tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115
    )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def take(self, entries: Iterable[CataloguedDatablock]) -> None:
        """Read all entries to the end.

        Raises:
            CatalogueEntryInvalid: An entry is of another dataset, is listed twice, or has impossible sizes;
                or the sizes of all entries together are impossible.
            LedgerUnavailable: The temporary file cannot be written.
        """
        for entry in entries:
            self._require_sound(entry)
            self.taken[entry.datablock.id] = self._taken(entry)
            self.files += len(entry.files)
            self.packed_size += entry.datablock.packed_size
            self.size += entry.datablock.size
            if max(self.packed_size, self.size) > LARGEST_DATASET:
                raise CatalogueEntryInvalid(f"The datablocks of {self.pid} have an impossible size together.")

    def chunks(self, taken: Taken) -> Iterator[bytes]:
        """Give the packed file list of a datablock, chunk by chunk."""
        self._file.seek(taken.offset)
        for length in taken.chunks:
            yield self._file.read(length)

    def _require_sound(self, entry: CataloguedDatablock) -> None:
        block = entry.datablock
        if block.pid != self.pid:
            raise CatalogueEntryInvalid(
                f"Datablock {block.id} is listed for {self.pid} and is of {block.pid}."
            )
        if block.id in self.taken:
            raise CatalogueEntryInvalid(f"Datablock {block.id} is listed twice for {self.pid}.")
        if not all(0 <= number <= _LARGEST for number in (block.size, block.packed_size, block.file_count)):
            raise CatalogueEntryInvalid(f"Datablock {block.id} of {self.pid} has an impossible size.")

    def _taken(self, entry: CataloguedDatablock) -> Taken:
        fingerprint = Fingerprint(entry)
        offset = self._file.tell()
        try:
            chunks = tuple(self._file.write(chunk) for chunk in fingerprint.chunks())
        except OSError as error:
            raise LedgerUnavailable(
                f"The ledger cannot spool file lists in {tempfile.gettempdir()}: {error.strerror}; "
                "free some space there, or point TMPDIR to another folder."
            ) from error
        return Taken(entry.datablock, len(self.taken), fingerprint.hexdigest(), offset, chunks)
