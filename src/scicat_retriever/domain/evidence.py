"""Evidence: what a step has proved, in types of which each needs the one before.

    Recalled -> Copied -> Verified -> Staged

A state is claimed only by code that holds the evidence of it. Only `pipeline.transfer.verify` may make a
`Verified` (a test holds that), and the catalogue is told `datasetRetrieved` only from `Staged`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.domain.likeness import Matched


class Integrity(StrEnum):
    """What was compared with the catalogue."""

    VERIFIED = "verified"
    """Every catalogued file's checksum and size."""
    SIZE_ONLY = "size_only"
    """Sizes alone, for want of checksums, by the operator's policy. Never called verified."""


@dataclass(frozen=True, slots=True)
class DatablockKey:
    """Names one datablock of one dataset, everywhere in the service."""

    pid: DatasetPid
    id: DatablockId


@dataclass(frozen=True, slots=True)
class Recalled:
    """The long-term store says that the archive can be read now.

    Attributes:
        key: The datablock.
        archive_id: Its name in the store.
        size: Bytes of the archive as the store sees it.
    """

    key: DatablockKey
    archive_id: ArchiveId
    size: int


@dataclass(frozen=True, slots=True)
class Copied:
    """Every byte of the archive was read once, written to a partial file, hashed, and flushed to disk.

    Attributes:
        recalled: The evidence before.
        bytes_copied: Bytes written.
        archive_checksum: `xxh3-128:<hex>` of the bytes written.
        manifest_seal: Digest of the manifest (the list of members with the checksums seen), kept in the
            ledger.
        members: How many members the archive holds.
        partial: Token of the file that the archive was written to. No other attempt has it, and the file
            keeps it when it is staged.
        receipt: What the staging area itself says it holds of the file. It is shown to the area again when
            the file is committed.
        unpacked: Whether the archive is compressed, and its tar was written.
    """

    recalled: Recalled
    bytes_copied: int
    archive_checksum: str
    manifest_seal: str
    members: int
    partial: str
    receipt: str
    unpacked: bool = False


@dataclass(frozen=True, slots=True)
class Oddities:
    """What of an archive was taken by an operator's word alone; those who download it should know of it.

    Attributes:
        passed_over: Members that are not catalogued, and that an operator allowed to be passed over.
        replaced: Members that a later member of the same path replaces when the archive is unpacked.
        tars: Tars that follow on each other in the archive.
    """

    passed_over: int = 0
    replaced: int = 0
    tars: int = 1


NO_ODDITIES = Oddities()


@dataclass(frozen=True, slots=True)
class Verified:
    """Every catalogued file is in the copy with the right size and checksum, and nothing else is.

    Attributes:
        copied: The evidence before.
        integrity: What was compared.
        files: How many catalogued files were compared.
        matched_by: Compared files whose names are spelled otherwise in the archive, by kind of likeness;
            empty where all are spelled alike.
        oddities: What of the archive was taken by an operator's word.
    """

    copied: Copied
    integrity: Integrity
    files: int
    matched_by: tuple[Matched, ...] = ()
    oddities: Oddities = NO_ODDITIES


@dataclass(frozen=True, slots=True)
class Staged:
    """Verified bytes stand in the staging area under their final name."""

    verified: Verified
