"""A datablock as the ledger holds it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from scicat_retriever.domain.dataset import Datablock, without_gzip_ending
from scicat_retriever.domain.evidence import NO_ODDITIES, DatablockKey, Integrity, Oddities
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.domain.likeness import Matched
from scicat_retriever.domain.states import DatablockState


@dataclass(frozen=True, slots=True)
class DatablockRecord:
    """A datablock as the ledger holds it.

    Attributes:
        datablock: What the catalogue says of it.
        position: Its place in the dataset, from 0, in the catalogue's order.
        state: How far it is.
        bytes_done: Bytes copied so far.
        bytes_total: Bytes that it takes, or will take, in staging. Once copied, those of its file; before, by
            the store's word on the archive where known, else the catalogue's `packedSize`; or more, where the
            archive must be compressed.
        reason: What it waits for, in words, where it waits.
        integrity: What was compared, once staged.
        matched_by: Which of its files are spelled otherwise in the archive than in the catalogue, once
            staged.
        oddities: What of its archive was taken by an operator's word, once staged.
        archive_checksum: `xxh3-128:<hex>` of its file, once copied.
        partial: Token of its file in the staging area, once copied, while staged, and once released as long
            as its files may be there; else empty.
        run: The flow run that is working, or last worked, on it.
        staged_at: When it was staged (UTC), while it is.
        used_at: When it was staged, asked for or downloaded last (UTC), while staged.
        checked_at: When its bytes were read and compared last (UTC), while staged.
        pinned: Whether it is staged and somebody pins its dataset.
        wanted: Whether its dataset's run retrieves it: a job that asks for the dataset needs it, or none
            asks.
        store: Name of the long-term store that it is read from now, or was read from last.
        unpacked: Whether its archive is compressed and its file is the tar, once copied.
    """

    datablock: Datablock
    position: int
    state: DatablockState
    bytes_done: int
    bytes_total: int
    reason: str = ""
    integrity: Integrity | None = None
    archive_checksum: str | None = None
    partial: str = ""
    run: str = ""
    staged_at: datetime | None = None
    used_at: datetime | None = None
    checked_at: datetime | None = None
    pinned: bool = False
    wanted: bool = True
    store: str = "lts"
    matched_by: tuple[Matched, ...] = ()
    oddities: Oddities = NO_ODDITIES
    unpacked: bool = False

    @property
    def key(self) -> DatablockKey:
        """Its name everywhere in the service."""
        return DatablockKey(self.datablock.pid, self.datablock.id)

    @property
    def file_name(self) -> ArchiveId:
        """What its file is called: as the archive; without the ending of gzip where the file is unpacked."""
        name = self.datablock.file_name
        return ArchiveId(without_gzip_ending(name)) if self.unpacked else name
