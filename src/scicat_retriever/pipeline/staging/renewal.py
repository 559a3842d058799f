"""Renewal: a manifest of an earlier version is made anew from the staged bytes, while fixity reads them.

The new manifest takes the old one's place only if the bytes are those that were verified, and tell of the
same members with the same digests: it is a copy of the old evidence, with more in it.
"""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from scicat_retriever.onepass.archive_stream import ArchiveStream
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import ManifestDamaged, TransferFault
from scicat_retriever.onepass.gunzip import unpacked_allowance
from scicat_retriever.onepass.manifest import Manifest, ManifestWriter, SealedManifest, read_manifest
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.pieces import Pieces
from scicat_retriever.onepass.tar.rules import TarRules
from scicat_retriever.onepass.tar.walker import TarWalker
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord

_WHATEVER_WAS_TAKEN = TarRules(joined=True, gnu_incremental=True)
log = structlog.get_logger(__name__)


class Renewal:
    """Makes one datablock's manifest anew.

    Args:
        record: The datablock.
        old: Its manifest.
        also: Further algorithms that its members are hashed with.
    """

    def __init__(self, record: DatablockRecord, old: SealedManifest, also: Hashing | None) -> None:
        self.old = old
        self._record = record
        self._manifest = read_manifest(old.blob, old.seal)
        self._left: Iterator[Member] = self._manifest.members()
        hashing = self._manifest.hashing.and_also(also)
        self._writer = ManifestWriter(hashing)
        walker = TarWalker(hashing, self._take, None, _WHATEVER_WAS_TAKEN)
        block = record.datablock
        self._stream = ArchiveStream(
            walker,
            plain=bool(block.ranges) or self._manifest.stored == "unpacked",
            max_unpacked_bytes=unpacked_allowance(block.size, block.file_count),
        )
        self._differs = ""

    def feed(self, chunk: bytes) -> None:
        """Take the next of the staged bytes."""
        if not self._differs:
            try:
                self._stream.feed(memoryview(chunk))
            except TransferFault as fault:
                self._differs = str(fault)

    def finish(self, pieces: Pieces) -> SealedManifest | None:
        """Give the new manifest; None where it is not what the old one says, and more.

        Args:
            pieces: The digests of the pieces of the staged bytes.
        """
        try:
            if not self._differs:
                self._stream.finish(needs_marker=False)
        except TransferFault as fault:
            self._differs = str(fault)
        if not self._differs and next(self._left, None) is not None:
            self._differs = "the manifest has more members"
        if self._differs:
            archive_id = self._record.datablock.archive_id
            log.warning("a manifest cannot be made anew", archive_id=archive_id, why=self._differs)
            return None
        stored = "gzip" if self._stream.is_gzip else self._manifest.stored
        return self._writer.seal(stored=stored, tars=self._stream.tars, pieces=pieces)

    def _take(self, member: Member) -> None:
        old = next(self._left, None)
        if old is None or not _tells_more(member, old):
            self._differs = self._differs or f"{member.name[:200]!r} is not what the manifest says"
        self._writer.add(member)


def renewal_of(record: DatablockRecord, tools: Toolbox) -> Renewal | None:
    """Begin to make a staged datablock's manifest anew; None where it has all that is wanted.

    None, too, where it is damaged: whoever needs it will say so.
    """
    sealed, also = tools.ledger.copies.known_manifest(record.key), tools.checksums.also
    try:
        if sealed is None or _has_all(read_manifest(sealed.blob, sealed.seal), also):
            return None
        return Renewal(record, sealed, also)
    except ManifestDamaged as damaged:
        log.warning("a manifest is damaged", archive_id=record.datablock.archive_id, why=str(damaged))
        return None


def _has_all(manifest: Manifest, also: Hashing | None) -> bool:
    """Say whether a manifest tells CRC-32, pieces, and the further digests that an operator wants."""
    wanted = set() if also is None else set(also.algorithms)
    pieces = manifest.pieces
    return pieces is not None and wanted <= set(manifest.hashing.algorithms) & set(pieces.digests)


def _tells_more(new: Member, old: Member) -> bool:
    """Say whether a member is the old one, with more said of it."""
    same = new.digest.startswith(old.digest)
    return same and new._replace(digest="", crc=0, mtime=0, start=0) == old._replace(
        digest="", crc=0, mtime=0, start=0
    )
