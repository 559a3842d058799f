"""Verify: what was read against what was catalogued. The only maker of a `Verified`."""

from __future__ import annotations

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
from scicat_retriever.onepass.member import Member, MemberKind


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
    sizes_only: bool = False

    def meet(self, member: Member) -> None:
        """Take one member of the archive in, in the archive's order."""
        name = entry_name(member.name)
        if member.unsafe or self._is_below_a_symlink(name):
            raise MemberUnsafe(
                f"the archive's member {member.name!r} leads outside the folder it is unpacked into"
            )
        if member.kind is MemberKind.SYMLINK:
            self.symlinks.add(name)
        if name in self.met:
            raise MemberDuplicated(f"the archive holds {member.name!r} twice")
        entry = self.expected.get(name)
        if entry is None:
            # A directory or a symbolic link holds no bytes of the dataset; everything else must be catalogued.
            if member.kind not in {MemberKind.DIRECTORY, MemberKind.SYMLINK}:
                raise MemberUnexpected(f"the archive holds {member.name!r}, which is not catalogued")
            return
        if member.kind is MemberKind.HARDLINK:
            member = self._target(member)
        self._compare(entry, member)
        self.met[name] = member

    def _is_below_a_symlink(self, name: str) -> bool:
        """Say so for `a/b` after a symlink `a`: unpacking would write wherever the link leads."""
        parts = name.split("/") if self.symlinks else []
        return any("/".join(parts[:depth]) in self.symlinks for depth in range(1, len(parts)))

    def _target(self, member: Member) -> Member:
        target = self.met.get(entry_name(member.link))
        if target is None:
            raise MemberUnexpected(
                f"the archive's hard link {member.name!r} leads to {member.link!r}, which is not in it"
            )
        return target._replace(name=member.name)

    def _compare(self, entry: FileEntry, member: Member) -> None:
        if member.kind is not MemberKind.FILE:
            # Directories and links are catalogued with any size, and have no bytes to compare.
            if entry.digest is not None or member.kind is MemberKind.OTHER:
                raise ChecksumMismatch(
                    f"{entry.path!r} is catalogued as a file and archived as {member.kind}"
                )
            # Where checksums may be missing, this may as well have been a file.
            self.sizes_only |= self.policy.missing == "size_only"
            return
        if member.size != entry.size:
            raise SizeMismatch(
                f"{entry.path!r} has {member.size} bytes in the archive, {entry.size} in the catalogue"
            )
        if entry.digest is None or self.algorithm is None:
            self._without_checksum(entry)
        elif not same_digest(entry.digest, member.digest):
            raise ChecksumMismatch(
                f"{entry.path!r} has the {self.algorithm} checksum {member.digest}, catalogued is {entry.digest[:200]}"
            )

    def _without_checksum(self, entry: FileEntry) -> None:
        if entry.digest is not None:
            raise ChecksumUnknown(
                f"{entry.path!r} has a checksum, but its datablock names no algorithm (chkAlg)"
            )
        if self.policy.missing == "fail":
            raise ChecksumMissing(
                f"{entry.path!r} has no checksum in the catalogue, and the policy is to fail"
            )
        self.sizes_only = True


def entry_name(path: str) -> str:
    """Name a catalogued file as a tar member is named: without a leading `./` and doubled slashes."""
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def against_catalogue(
    copied: Copied,
    members: Iterable[Member],
    catalogued: Iterable[FileEntry],
    algorithm: ChecksumAlgorithm | None,
    policy: ChecksumPolicy,
) -> Verified:
    """Compare every member of the copy with the catalogue, and the catalogue with the copy.

    Holds the catalogue's list in memory (about 300 bytes a file); streams the members.

    Args:
        copied: The evidence of the copy.
        members: What the archive was found to hold, from the sealed manifest.
        catalogued: What the catalogue says it holds.
        algorithm: What the checksums are of; None where there are none.
        policy: What to do where there are none.

    Raises:
        IntegrityError: A subclass for each way in which the two can differ; the message names the file.
    """
    comparison = _Comparison(_unique(catalogued), policy, algorithm)
    for member in members:
        comparison.meet(member)
    for name, entry in comparison.expected.items():
        if name not in comparison.met:
            raise MemberMissing(f"{entry.path!r} is catalogued and not in the archive")
    integrity = Integrity.SIZE_ONLY if comparison.sizes_only else Integrity.VERIFIED
    return Verified(copied, integrity, len(comparison.met))


def _unique(catalogued: Iterable[FileEntry]) -> dict[str, FileEntry]:
    expected: dict[str, FileEntry] = {}
    for entry in catalogued:
        name = entry_name(entry.path)
        if name in expected:
            raise CatalogueFileDuplicated(f"the catalogue lists {entry.path!r} twice in this datablock")
        expected[name] = entry
    return expected
