"""Checksum policy: by which algorithms a datablock is compared, and what is done without checksums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.errors import ChecksumUnknown
from scicat_retriever.domain.policy import choice
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Digest, Hashing, algorithms_named
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm
from scicat_retriever.onepass.member import shown

FALLBACK_ALGORITHM = ChecksumAlgorithm.SHA256
"""Members without catalogued checksums are hashed with it, so that the manifest is complete."""
MOST_ALGORITHMS = 4
"""Algorithms that the checksums of one datablock may be of: each member is hashed with all of them."""
_DIGEST_SHOWN = 200


@dataclass(frozen=True)
class ChecksumPolicy:
    """What to do where the catalogue is silent. A file without bytes needs no checksum."""

    missing_checksum: Literal["fail", "size_only"] = choice(
        "fail",
        "What to do with files that the catalogue has no checksum of: fail, or compare sizes alone and "
        "say so in the result.",
    )
    unnamed_algorithm: str | None = choice(
        None, "Checksum algorithm of datablocks that have checksums and no `chkAlg`."
    )
    also_hash: tuple[str, ...] = choice(
        (),
        "Checksum algorithms, such as `sha256`, by which each file and each 16 MiB of what is staged is hashed as "
        "well, beside the catalogue's, for lists of checksums in them. Each costs two more passes of it over all bytes, on "
        "a processor's core of its own.",
    )

    def named(self, spelled: str | None, archive_id: str) -> tuple[ChecksumAlgorithm, ...]:
        """Give the algorithms that a datablock's `chkAlg` can mean; none where neither side names one.

        Raises:
            ChecksumUnknown: It is named and not known.
        """
        name = (spelled or "").strip() or self.unnamed_algorithm
        if name is None:
            return ()
        try:
            return algorithms_named(name)
        except UnknownChecksumAlgorithm:
            raise ChecksumUnknown(
                f"{archive_id}: the catalogue names the checksum algorithm {name[:80]!r}, which is not known here"
            ) from None

    def hashing(self, spelled: str | None, archive_id: str, files: Iterable[FileEntry]) -> Hashing:
        """Say by which algorithms members have to be hashed to compare each catalogued checksum.

        Args:
            spelled: The datablock's `chkAlg`.
            archive_id: Names it in errors.
            files: What the catalogue lists in it.

        Raises:
            ChecksumUnknown: The algorithm is not known, or a checksum is none of it, or they are of too many
                algorithms.
        """
        named = self.named(spelled, archive_id)
        needed: set[ChecksumAlgorithm] = set()
        for file in files:
            if file.digest is not None:
                try:
                    needed.add(digest_of(file, named).algorithm)
                except ChecksumUnknown as unknown:
                    raise ChecksumUnknown(f"{archive_id}: {unknown}") from None
        if len(needed) > MOST_ALGORITHMS:
            names = ", ".join(Hashing.of(needed).algorithms)
            raise ChecksumUnknown(
                f"{archive_id}: its checksums are of {len(needed)} algorithms ({names}); {MOST_ALGORITHMS} are the most"
            )
        default = named if len(named) == 1 else (FALLBACK_ALGORITHM,)
        return Hashing.of(needed or default)

    @property
    def also(self) -> Hashing | None:
        """The algorithms of `also_hash`; None where there are none."""
        return Hashing.of(map(ChecksumAlgorithm.named, self.also_hash)) if self.also_hash else None


def digest_of(entry: FileEntry, named: tuple[ChecksumAlgorithm, ...]) -> Digest:
    """Understand the checksum of an entry that has one.

    Args:
        entry: The entry.
        named: What its datablock's algorithm can mean, from `ChecksumPolicy.named`.

    Raises:
        ChecksumUnknown: No algorithm is named, or it is no checksum of it.
    """
    catalogued = entry.digest or ""
    digest = Digest.read(catalogued, named)
    if digest is not None:
        return digest
    if not named:
        raise ChecksumUnknown(
            f"{shown(entry.path)} has a checksum, but its datablock names no algorithm (chkAlg)"
        )
    names = " or ".join(named)
    raise ChecksumUnknown(
        f"{shown(entry.path)} has the checksum {catalogued[:_DIGEST_SHOWN]!r}, which is no {names} "
        "in hexadecimal digits, nor in base64"
    )
