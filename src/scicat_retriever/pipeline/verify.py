"""Verify: what was read against what was catalogued. The only maker of a `Verified`."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.errors import (
    CatalogueFileDuplicated,
    ChecksumMismatch,
    ChecksumMissing,
    ChecksumUnknown,
    MemberDuplicated,
    MemberMissing,
    MemberUnexpected,
    MemberUnsafe,
    SizeMismatch,
)
from scicat_retriever.domain.evidence import Copied, Integrity, Verified
from scicat_retriever.onepass.checksums import ChecksumAlgorithm, same_digest
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm
from scicat_retriever.onepass.member import Member, MemberKind, shown

_LONGEST_PART = 255
"""Characters of a path's part that are looked at for likeness; no common file system has room for longer ones."""


@dataclass(frozen=True, slots=True)
class ChecksumPolicy:
    """What to do where the catalogue is silent.

    Attributes:
        missing: `fail`, or `size_only`: compare sizes alone and say so.
        unnamed_algorithm: The algorithm of checksums whose datablock names none, or None to fail.
    """

    missing: Literal["fail", "size_only"] = "fail"
    unnamed_algorithm: str | None = None

    def algorithm(self, spelled: str | None, archive_id: str) -> ChecksumAlgorithm | None:
        """Give the algorithm that a datablock's checksums are of; None where neither side names one.

        Raises:
            ChecksumUnknown: It is named and not known.
        """
        name = (spelled or "").strip() or self.unnamed_algorithm
        if name is None:
            return None
        try:
            return ChecksumAlgorithm.named(name)
        except UnknownChecksumAlgorithm:
            raise ChecksumUnknown(
                f"{archive_id}: the catalogue names the checksum algorithm {name[:80]!r}, which is not known here"
            ) from None


@dataclass(slots=True)
class _Comparison:
    """Catalogued files still to be met, and those that were."""

    expected: dict[str, FileEntry]
    policy: ChecksumPolicy
    algorithm: ChecksumAlgorithm | None
    met: dict[str, Member] = field(default_factory=dict)
    symlinks: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    compared_bytes: int = 0
    sizes_only: bool = False

    def meet(self, member: Member) -> None:
        """Take one member of the archive in, in the archive's order."""
        name = entry_name(member.name)
        if member.unsafe or not (name or member.kind is MemberKind.DIRECTORY):
            raise MemberUnsafe(
                f"the archive's member {shown(member.name)} leads outside the folder it is unpacked into"
            )
        self.folders.add(name.rpartition("/")[0])
        if name in self.met:
            raise MemberDuplicated(f"the archive holds {shown(member.name)} twice")
        entry = self.expected.get(name)
        if entry is None:
            # A directory or a symbolic link holds no bytes of the dataset; everything else must be catalogued.
            if member.kind is MemberKind.SYMLINK:
                self.symlinks.add(name)
            elif member.kind is not MemberKind.DIRECTORY:
                raise MemberUnexpected(f"the archive holds {shown(member.name)}, which is not catalogued")
            return
        if member.kind is MemberKind.HARDLINK:
            member = self._target(member)
        self._compare(entry, member)
        self.met[name] = member
        if member.kind is MemberKind.SYMLINK:
            self.symlinks.add(name)

    def finish(self, declared_size: int) -> None:
        """Look at what only all members together tell."""
        self._refuse_nesting()
        for name, entry in self.expected.items():
            if name not in self.met:
                raise MemberMissing(f"{shown(entry.path)} is catalogued and not in the archive")
        if declared_size and not self.compared_bytes:
            raise ChecksumMissing(
                f"the catalogue declares {declared_size} bytes and lists no file that has any: nothing was compared"
            )

    def _refuse_nesting(self) -> None:
        """Refuse `a/b` beside an `a` that is no folder: it cannot be unpacked, or is written where a link leads."""
        files = (name for name, member in self.met.items() if member.kind is not MemberKind.DIRECTORY)
        if (name := _first_above(files, self.folders)) is not None:
            raise MemberUnsafe(f"the archive's member {shown(name)} is no folder, and others lie below it")
        if not self.symlinks:
            return
        # Some file systems take names for the same that differ in case or in how an accent is written.
        links = {_alike(name): name for name in self.symlinks}
        if (name := _first_above(links, map(_alike, self.folders))) is not None:
            raise MemberUnsafe(
                f"the archive's members below the symbolic link {shown(links[name])} "
                "lead outside the folder they are unpacked into"
            )

    def _target(self, member: Member) -> Member:
        target = self.met.get(entry_name(member.link))
        if target is None:
            raise MemberUnexpected(
                f"the archive's hard link {shown(member.name)} leads to {shown(member.link)}, which is not in it"
            )
        return target._replace(name=member.name)

    def _compare(self, entry: FileEntry, member: Member) -> None:
        if member.kind is not MemberKind.FILE:
            self._compare_without_content(entry, member)
            return
        if member.size != entry.size:
            raise SizeMismatch(
                f"{shown(entry.path)} has {member.size} bytes in the archive, {entry.size} in the catalogue"
            )
        self.compared_bytes += entry.size
        if entry.digest is None or self.algorithm is None:
            self._without_checksum(entry)
        elif not same_digest(entry.digest, member.digest):
            raise ChecksumMismatch(
                f"{shown(entry.path)} has the {self.algorithm} checksum {member.digest}, "
                f"catalogued is {entry.digest[:200]}"
            )

    def _compare_without_content(self, entry: FileEntry, member: Member) -> None:
        """Compare an entry with a directory or a link, which must not stand where a file with data was."""
        if entry.digest is not None or member.kind is MemberKind.OTHER:
            raise ChecksumMismatch(
                f"{shown(entry.path)} is catalogued as a file and archived as {member.kind}"
            )
        if not _cannot_be_data(entry, member):
            archived = (
                f"{shown(entry.path)} is catalogued with {entry.size} bytes and archived as {member.kind}"
            )
            if self.policy.missing == "fail":
                raise ChecksumMissing(f"{archived}; without a checksum nothing proves that it was no file")
            raise SizeMismatch(archived)
        if member.kind is MemberKind.SYMLINK:
            self.compared_bytes += entry.size
        # Where checksums may be missing, this may as well have been a file.
        self.sizes_only |= self.policy.missing == "size_only"

    def _without_checksum(self, entry: FileEntry) -> None:
        if entry.digest is not None:
            raise ChecksumUnknown(
                f"{shown(entry.path)} has a checksum, but its datablock names no algorithm (chkAlg)"
            )
        if self.policy.missing == "fail":
            raise ChecksumMissing(
                f"{shown(entry.path)} has no checksum in the catalogue, and the policy is to fail"
            )
        self.sizes_only = True


def _cannot_be_data(entry: FileEntry, member: Member) -> bool:
    """Say whether an entry is that of the archived directory or link, going by its size and spelling.

    Catalogues give a directory no bytes, or spell it with a `/` at its end and give it what its file system says
    (4096). They give a symbolic link no bytes, or those of its target's name, as lstat(2) does.
    """
    if member.kind is MemberKind.DIRECTORY:
        return entry.size == 0 or entry.path.endswith("/")
    return entry.size in {0, len(member.link.encode("utf-8", "surrogateescape"))}


def _first_above(names: Iterable[str], folders: Iterable[str]) -> str | None:
    """Give a name that is also one of the folders, or an ancestor of one; each costs a look-up, however deep it is."""
    ordered = sorted(f"{folder}/" for folder in folders)
    for name in names:
        prefix = f"{name}/"
        at = bisect_left(ordered, prefix)
        if at < len(ordered) and ordered[at].startswith(prefix):
            return name
    return None


def _alike(path: str) -> str:
    """Spell a path as one that ignores case and the composition of accents (NFC)."""
    if path.isascii():
        return path.lower()
    return "/".join(unicodedata.normalize("NFC", part[:_LONGEST_PART].casefold()) for part in path.split("/"))


def entry_name(path: str) -> str:
    """Name a catalogued file as a tar member is named: without a leading `./` and doubled slashes."""
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def against_catalogue(
    copied: Copied,
    members: Iterable[Member],
    catalogued: Iterable[FileEntry],
    algorithm: ChecksumAlgorithm | None,
    policy: ChecksumPolicy,
    declared_size: int,
) -> Verified:
    """Compare every member of the copy with the catalogue, and the catalogue with the copy.

    Holds the catalogue's list in memory (about 300 bytes a file); streams the members.

    Args:
        copied: The evidence of the copy.
        members: What the archive was found to hold, from the sealed manifest.
        catalogued: What the catalogue says it holds.
        algorithm: What the checksums are of; None where there are none.
        policy: What to do where there are none.
        declared_size: Bytes of all files together, as the datablock's own entry has it.

    Raises:
        IntegrityError: A subclass for each way in which the two can differ; the message names the file. Where bytes
            are declared and none could be compared, that is `ChecksumMissing`, whatever the policy.
    """
    comparison = _Comparison(_unique(catalogued), policy, algorithm)
    for member in members:
        comparison.meet(member)
    comparison.finish(declared_size)
    integrity = Integrity.SIZE_ONLY if comparison.sizes_only else Integrity.VERIFIED
    return Verified(copied, integrity, len(comparison.met))


def _unique(catalogued: Iterable[FileEntry]) -> dict[str, FileEntry]:
    expected: dict[str, FileEntry] = {}
    for entry in catalogued:
        name = entry_name(entry.path)
        if name in expected:
            raise CatalogueFileDuplicated(f"the catalogue lists {shown(entry.path)} twice in this datablock")
        expected[name] = entry
    return expected
