"""The inventory of staging: which files should be there, when they were checked, how much space they take."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.ports.datablock_record import DatablockRecord


@dataclass(frozen=True, slots=True)
class Usage:
    """Sums over the staging area, as the ledger knows it. All but the counts are bytes.

    Attributes:
        staged: Held by staged datablocks, and by released ones whose files are not known to be gone.
        claimed: Set aside for datasets on their way.
        written: How much of `claimed` is written already; what a dataset wrote beyond its claim is not
            counted.
        pinned: Of `staged`, what is pinned.
        cached: Of `staged`, what datablocks hold that nobody pins; files of released ones are neither.
        datablocks: How many are staged.
        waiting_jobs: How many jobs wait for space.
        waiting: What they need in all.
    """

    staged: int
    claimed: int
    written: int
    pinned: int
    cached: int
    datablocks: int
    waiting_jobs: int
    waiting: int


class Inventory(Protocol):
    """What should be in the staging area. Promises and errors as of `ports.ledger.Ledger`."""

    def left_behind(self, limit: int, after: DatablockKey | None = None) -> Sequence[DatablockKey]:
        """Released datablocks whose files may still be in the staging area, by their names."""
        ...

    def forget_files(self, key: DatablockKey) -> None:
        """Note that the files of a released datablock are gone.

        A datablock in any other state stays as it is.
        """
        ...

    def staged_after(self, after: DatablockKey | None, limit: int) -> Sequence[DatablockRecord]:
        """Staged datablocks by their names, from the one that follows `after`."""
        ...

    def known_tokens(self, tokens: Collection[str]) -> Collection[str]:
        """Give those tokens of files that belong to a datablock."""
        ...

    def being_copied(self) -> Sequence[DatablockKey]:
        """Datablocks whose files are being written, so that their tokens are not known yet."""
        ...

    def next_to_check(self, before: datetime, but: Collection[DatablockKey] = ()) -> DatablockRecord | None:
        """The staged datablock that is checked next.

        That is the first whose check is wanted; else the one that was checked longest ago, if that was before
        `before` (UTC). Datablocks in `but` are left out.
        """
        ...

    def want_check(self, key: DatablockKey) -> None:
        """Note that a staged datablock shall be checked before others, after those that were wanted before.

        Nothing changes where it is wanted already, or not staged.
        """
        ...

    def wanted_checks(self) -> Sequence[DatablockRecord]:
        """The staged datablocks whose check is wanted, in the order in which that was asked for."""
        ...

    def note_checked(self, key: DatablockKey) -> None:
        """Note that the bytes of a staged datablock were read now, and are right.

        Its check is not wanted any more.
        """
        ...

    def unwritten(self) -> int:
        """Bytes of claims that are still to be written: what is claimed less what of it is written."""
        ...

    def usage(self) -> Usage:
        """Sums over the staging area."""
        ...

    def recount(self) -> int:
        """Correct the sums of what is staged and claimed; give by how many bytes they were wrong."""
        ...
