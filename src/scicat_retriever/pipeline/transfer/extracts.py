"""Extracts: the manifest of an earlier copy says where files lie, so only the chosen ones are read.

The manifest only says which bytes to read. The bytes are verified as those of any copy: each file against its
catalogued checksum. If they are wrong, the whole archive is read (`pipeline.recalls.other_copy`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from functools import cached_property

from scicat_retriever.domain.dataset import CataloguedDatablock, Extract, FileEntry
from scicat_retriever.domain.errors import ChecksumUnknown, StoreNotConfigured
from scicat_retriever.domain.errors import ManifestDamaged as ManifestOfOther
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.likeness import alike
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.onepass.errors import ManifestDamaged
from scicat_retriever.onepass.manifest import Manifest, SealedManifest, read_manifest
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.onepass.tar.header import BLOCK, END_OF_ARCHIVE, padding_after
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer.entry_check import EntryCheck
from scicat_retriever.pipeline.transfer.verify import entry_name

MOST_RANGES = 200
"""Pieces of one archive: each costs a request to the store."""
WORTH_IT = 2
"""An extract is taken where the archive is more than so many times as large."""
_NOT_COMING = (DatablockState.PLANNED, DatablockState.FAILED, DatablockState.RELEASED)
"""The states of a datablock that is neither there nor on its way."""


class Extracts:
    """Finds extracts of a dataset's datablocks.

    Args:
        pid: The dataset.
        tools: The ports.
    """

    def __init__(self, pid: DatasetPid, tools: Toolbox) -> None:
        self._pid = pid
        self._tools = tools

    def of(self, entry: CataloguedDatablock, chosen: Sequence[FileEntry]) -> CataloguedDatablock | None:
        """Give the extract with the chosen files of a datablock; None where the whole archive is read.

        That is so where the datablock is staged or on its way; where its store cannot read ranges; where it
        was never copied as the catalogue has it now; and where the chosen files are not plain files of a
        plain tar, lie in too many pieces, or are too large a part of it.

        Raises:
            CatalogueError: SciCat does not say where the dataset is.
        """
        ledger, key = self._tools.ledger, DatablockKey(self._pid, entry.datablock.id)
        record = ledger.datablocks.get(key)
        if record is None or record.state not in _NOT_COMING or record.datablock != entry.datablock:
            return None
        sealed = ledger.copies.known_manifest(key)
        if sealed is None or not self._reads_ranges or tuple(ledger.datablocks.files(key)) != entry.files:
            return None
        ranges = self._ranges(entry, [entry_name(file.path) for file in chosen], sealed)
        return None if ranges is None else _extract(entry, chosen, ranges)

    @cached_property
    def _reads_ranges(self) -> bool:
        location = self._tools.catalogue.dataset(self._pid).storage_location
        stores = self._tools.stores
        try:
            return stores.named(stores.of_location(location)).capabilities.ranges
        except StoreNotConfigured:
            return False  # its plan will say so

    def _ranges(
        self, entry: CataloguedDatablock, names: Sequence[str], sealed: SealedManifest
    ) -> list[tuple[int, int]] | None:
        """Give the pieces of an archive that hold these files; None where the whole archive is read."""
        try:
            manifest = read_manifest(sealed.blob, sealed.seal)
            archived = self._archived(entry, names, manifest)
        except (ManifestDamaged, ChecksumUnknown, ManifestOfOther):
            return None
        is_last = self._tools.archives.duplicate_members == "last"
        return _ranges(entry, archived, manifest, is_last=is_last)

    def _archived(self, entry: CataloguedDatablock, names: Sequence[str], manifest: Manifest) -> list[str]:
        """Give the names that these files have in the archive, where they are spelled otherwise there."""
        if set(names) <= {entry_name(member.name) for member in manifest.members()}:
            return list(names)
        files = (member for member in manifest.members() if member.kind is MemberKind.FILE)
        strange = {entry_name(member.name): member for member in files}
        listed = {entry_name(file.path): file for file in entry.files}
        left = {name: file for name, file in listed.items() if strange.pop(name, None) is None}
        tools, block = self._tools, entry.datablock
        check = EntryCheck(
            tools.checksums, tools.checksums.named(block.algorithm, block.archive_id), manifest.hashing
        )
        source_folder = tools.catalogue.dataset(self._pid).source_folder
        pairs = alike(
            strange, left, source_folder, lambda one, other: check.agrees(left[other], strange[one])
        )
        spelled = {catalogued: archived for archived, catalogued, _ in pairs}
        return [spelled.get(name, name) for name in names]


def _ranges(
    entry: CataloguedDatablock, names: Sequence[str], manifest: Manifest, *, is_last: bool
) -> list[tuple[int, int]] | None:
    found = pieces(manifest.members(), set(names), is_last=is_last) if manifest.in_place else None
    if found is None or found.files != len(names) or len(found.ranges) > MOST_RANGES:
        return None
    packed = entry.datablock.packed_size or found.end
    # A compressed archive, of which older manifests do not tell, is of any length, and mostly shorter than
    # its tar.
    is_plain = packed % BLOCK == 0 and packed >= found.end
    is_small = WORTH_IT * _size(found.ranges) < packed
    return found.ranges if is_plain and is_small else None


class Pieces:
    """Where files lie in a tar.

    Attributes:
        ranges: First byte and length of each piece that holds some of them with their headers, in the order
            of the tar.
        files: How many they are.
        end: Bytes that the tar has at least, without the zeros at its end, which some lack.
    """

    def __init__(self, places: Iterable[tuple[int, int]], end: int) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.files = 0
        self.end = end
        for start, stop in sorted(places):
            self._add(start, stop)

    def _add(self, start: int, stop: int) -> None:
        """Add a file; its piece is joined to the one before where they touch."""
        if self.ranges and sum(self.ranges[-1]) == start:
            start = self.ranges.pop()[0]
        self.ranges.append((start, stop - start))
        self.files += 1


def pieces(members: Iterable[Member], names: Collection[str], *, is_last: bool = False) -> Pieces | None:
    """Find where the members of these names lie in a tar.

    None where one is no plain file, or the start of its headers is unknown.

    Args:
        members: All members, in the order of the tar.
        names: As `pipeline.transfer.verify.entry_name` gives them.
        is_last: Whether of several files of one path the last is meant, which is what unpacking leaves. Else
            such a path has no place.
    """
    places: dict[str, tuple[int, int]] = {}
    end, is_known = 0, True
    for member in members:
        after = member.offset + member.size + padding_after(member.size)
        name = entry_name(member.name)
        if name in names and not (name in places and _is_link_to_itself(member)):
            if member.kind is not MemberKind.FILE or not is_known or (name in places and not is_last):
                return None
            places[name] = (end, after)
        # What an unknown kind of member holds is passed over by the walk, and how much that is was not kept.
        end, is_known = after, member.kind is not MemberKind.OTHER
    return Pieces(places.values(), end)


def _is_link_to_itself(member: Member) -> bool:
    """Say whether a member changes nothing: GNU tar writes a file that is named twice as such a link."""
    return member.kind is MemberKind.HARDLINK and member.link == member.name


def _size(ranges: Iterable[tuple[int, int]]) -> int:
    return sum(length for _, length in ranges) + END_OF_ARCHIVE


def _extract(
    entry: CataloguedDatablock, chosen: Sequence[FileEntry], ranges: Sequence[tuple[int, int]]
) -> CataloguedDatablock:
    whole, files = entry.datablock, tuple(chosen)
    told = [whole.archive_id, whole.packed_size, whole.algorithm, list(ranges)]
    told += [[file.path, file.size, file.digest] for file in files]
    # Equal parts of equal archives are the same extract, whichever job asks.
    name = hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
    block = replace(
        whole,
        id=DatablockId(f"{whole.id}~{name}"),
        size=sum(file.size for file in files),
        packed_size=_size(ranges),
        file_count=len(files),
        extract=Extract(whole.id, whole.packed_size, tuple(ranges)),
    )
    return CataloguedDatablock(block, files)
