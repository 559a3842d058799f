"""The cache: staged datablocks that nobody pins. They stay until their space is needed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.ports.catalogue import LifecycleUpdate
from scicat_retriever.ports.datablock_record import DatablockRecord


class EvictionOrder(StrEnum):
    """Which of the datablocks that nobody pins go first."""

    LEAST_RECENTLY_USED = "least_recently_used"
    LARGEST = "largest"


class Cache(Protocol):
    """The staged datablocks that nobody pins. Promises and errors as of `ports.ledger.Ledger`."""

    def note_used(self, pid: DatasetPid, datablock: DatablockKey | None = None) -> None:
        """Note that a dataset's staged datablocks, or one of them, are used now."""
        ...

    def datablocks(
        self, order: EvictionOrder, unused_since: datetime, limit: int
    ) -> Sequence[DatablockRecord]:
        """Cached datablocks that were last used at `unused_since` (UTC) or before, in order of eviction.

        Of the same size, the least recently used goes first.
        """
        ...

    def size(self, unused_since: datetime) -> int:
        """Bytes of all that `datablocks` would give."""
        ...

    def evict(
        self, key: DatablockKey, unused_since: datetime, reason: str, tell: LifecycleUpdate | None = None
    ) -> bool:
        """Make a datablock released if it is still one that `datablocks` would give; say whether it was.

        Where all of its dataset was staged until now, SciCat is to be told `tell`, if that is given, of the
        dataset.
        """
        ...

    def withdraw(self, key: DatablockKey, reason: str) -> None:
        """Release a staged datablock although it may be pinned, since its bytes are wrong or gone."""
        ...
