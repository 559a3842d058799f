"""Whose a staging area is, as the ledger keeps it."""

from __future__ import annotations

from typing import Protocol


class Ownership(Protocol):
    """Whose the staging areas are. Promises and errors as of `ports.ledger.Ledger`."""

    def identity(self) -> str:
        """The identity: a UUID that is made once, and is the same in every copy and backup of this ledger."""
        ...

    def has_marked(self, location: str) -> bool:
        """Whether the staging area at a location was marked as this ledger's."""
        ...

    def note_marked(self, location: str) -> None:
        """Note that it was."""
        ...
