"""The evidence of copies: what was read of an archive, and what became staged of it."""

from __future__ import annotations

from typing import Protocol

from scicat_retriever.domain.evidence import Copied, DatablockKey, Staged
from scicat_retriever.onepass.manifest import SealedManifest


class Copies(Protocol):
    """The copies of datablocks. Promises and errors as of `ports.ledger.Ledger`."""

    def save(self, copied: Copied, manifest: bytes) -> None:
        """Note a finished copy, with the manifest of its members: the datablock becomes copied."""
        ...

    def save_staged(self, staged: Staged) -> None:
        """Note verified bytes in staging: the datablock becomes staged, its part of its dataset's claim ends.

        Raises:
            TransitionIllegal: Also where the copy that was verified is not the one that `save` noted
                last.
        """
        ...

    def renew_manifest(self, key: DatablockKey, old_seal: str, renewed: SealedManifest) -> bool:
        """Put a manifest of the same copy in the place of its old one.

        False, and nothing is done, where the datablock is not staged, or its manifest does not have the old
        seal any more.

        Args:
            key: The datablock.
            old_seal: The seal of the manifest of which the new one is made.
            renewed: The new manifest: of the same members, with the same digests.
        """
        ...

    def get(self, key: DatablockKey) -> Copied | None:
        """The evidence of a finished copy, while the datablock is copied or staged."""
        ...

    def manifest(self, key: DatablockKey) -> bytes | None:
        """The manifest of a datablock's last finished copy, until its catalogue entry changes."""
        ...

    def known_manifest(self, key: DatablockKey) -> SealedManifest | None:
        """The manifest of a datablock's last copy, with its seal; the copy may be unverified, or gone by now.

        None where no archive was copied for the catalogue entry that was planned last.
        """
        ...
