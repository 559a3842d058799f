"""Entry check: one catalogued entry against the one member of the archive that it is of."""

from __future__ import annotations

from dataclasses import dataclass

from scicat_retriever.domain.dataset import EntryKind, FileEntry
from scicat_retriever.domain.errors import ChecksumMismatch, ChecksumMissing, ManifestDamaged, SizeMismatch
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.member import Member, MemberKind, shown
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy, digest_of

_DIGEST_SHOWN = 200


@dataclass(slots=True)
class EntryCheck:
    """Compares entries of one datablock, and sums up what was compared.

    Attributes:
        policy: What to do where there is no checksum.
        named: The algorithms that the datablock's `chkAlg` can mean.
        hashing: What the members were hashed with.
        compared_bytes: Bytes of all files that were compared, as catalogued.
        sizes_only: Whether a checksum was missing for one of them.
    """

    policy: ChecksumPolicy
    named: tuple[ChecksumAlgorithm, ...]
    hashing: Hashing
    compared_bytes: int = 0
    sizes_only: bool = False

    def compare(self, entry: FileEntry, member: Member, *, linked: bool = False) -> None:
        """Compare an entry with its member.

        Args:
            entry: The entry.
            member: The member; of a hard link, the one that it leads to.
            linked: Whether a hard link led there. Lists made from a tar's headers give hard links no bytes:
                then the checksum alone is compared.

        Raises:
            IntegrityError: They differ, or it cannot be told; the message names the file.
        """
        if member.kind is not MemberKind.FILE:
            self._compare_without_content(entry, member)
            return
        if not _same_size(entry, member, linked=linked):
            raise SizeMismatch(
                f"{shown(entry.path)} has {member.size} bytes in the archive, {entry.size} in the catalogue"
            )
        self.compared_bytes += entry.size
        if entry.digest is None:
            self._without_checksum(entry)
        elif not self._same_checksum(entry, member):
            raise ChecksumMismatch(
                f"{shown(entry.path)} has the {self._algorithm(entry)} checksum {self._computed(entry, member)}, "
                f"catalogued is {entry.digest[:_DIGEST_SHOWN]}"
            )

    def agrees(self, entry: FileEntry, member: Member, *, linked: bool = False) -> bool:
        """Say whether size and checksum prove that a member is an entry whose name is spelled otherwise.

        A file without bytes needs no checksum; a folder has to be catalogued as one, a symbolic link as one
        or with the length of its target's name.

        Args:
            entry: The entry.
            member: The member; see `compare`.
            linked: See `compare`.

        Raises:
            ChecksumUnknown: The checksum is of no known algorithm.
        """
        if member.kind is MemberKind.FILE:
            if entry.digest is None:
                return entry.size == member.size == 0 and not entry.is_folder
            return _same_size(entry, member, linked=linked) and self._same_checksum(entry, member)
        if entry.is_file or member.kind is MemberKind.OTHER:
            return False
        if member.kind is MemberKind.DIRECTORY:
            return entry.is_folder
        return entry.kind is EntryKind.LINK or 0 < entry.size == _target_length(member)

    def _algorithm(self, entry: FileEntry) -> ChecksumAlgorithm:
        return digest_of(entry, self.named).algorithm

    def _same_checksum(self, entry: FileEntry, member: Member) -> bool:
        return digest_of(entry, self.named).digits == self._computed(entry, member)

    def _computed(self, entry: FileEntry, member: Member) -> str:
        algorithm = self._algorithm(entry)
        computed = self.hashing.part(member.digest, algorithm)
        if computed is None:
            raise ManifestDamaged(f"it was hashed with {self.hashing}, wanted is {algorithm} now")
        return computed

    def _compare_without_content(self, entry: FileEntry, member: Member) -> None:
        """Compare an entry with a directory or a link, which must not stand where a file with data was."""
        if entry.is_file or member.kind is MemberKind.OTHER:
            raise ChecksumMismatch(
                f"{shown(entry.path)} is catalogued as a file and archived as {member.kind}"
            )
        if not _cannot_be_data(entry, member):
            archived = (
                f"{shown(entry.path)} is catalogued with {entry.size} bytes and archived as {member.kind}"
            )
            if self.policy.missing_checksum == "fail":
                raise ChecksumMissing(f"{archived}; without a checksum nothing proves that it was no file")
            raise SizeMismatch(archived)
        if member.kind is MemberKind.SYMLINK:
            self.compared_bytes += entry.size
        # Where checksums may be missing, this may as well have been a file.
        self.sizes_only |= self.policy.missing_checksum == "size_only"

    def _without_checksum(self, entry: FileEntry) -> None:
        if entry.kind is EntryKind.FOLDER:
            raise ChecksumMismatch(f"{shown(entry.path)} is catalogued as a folder and archived as a file")
        if entry.size == 0:
            return  # no bytes, no more: that is all there is to an empty file
        if self.policy.missing_checksum == "fail":
            raise ChecksumMissing(
                f"{shown(entry.path)} has no checksum in the catalogue, and the policy is to fail"
            )
        self.sizes_only = True


def _same_size(entry: FileEntry, member: Member, *, linked: bool) -> bool:
    return member.size == entry.size or (linked and entry.size == 0 and entry.digest is not None)


def _cannot_be_data(entry: FileEntry, member: Member) -> bool:
    """Say whether an entry is the archived directory or link, by permissions, size and spelling.

    Catalogues give a directory no bytes, or give it what its file system says (4096) and tell it by its
    permissions or a `/` at its end. They give a symbolic link no bytes, or those of its target's name, as
    lstat(2) does.
    """
    if member.kind is MemberKind.DIRECTORY:
        return entry.kind is not EntryKind.LINK and (entry.size == 0 or entry.is_folder)
    if entry.kind is EntryKind.FOLDER:
        return False
    return entry.kind is EntryKind.LINK or entry.size in {0, _target_length(member)}


def _target_length(member: Member) -> int:
    return len(member.link.encode("utf-8", "surrogateescape"))
