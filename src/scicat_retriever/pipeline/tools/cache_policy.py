"""How staging is used as a cache: the operator's choices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from scicat_retriever.ports.space import EvictionOrder


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How staging is used as a cache.

    Attributes:
        order: Which of the datablocks that nobody pins go first.
        evict_above: Share of staging that is used, above which datablocks are evicted.
        evict_to: Share down to which they are.
        spared: How long a datablock that was used is left alone.
        keep_unpinned: How long a datablock that nobody pins is kept at the most; None: until its space is
            needed.
        silence: After which time a job that waits for space and does not ask is passed over.
        quotas: Bytes that jobs of an owner group may pin in all.
        default_quota: The same for groups that `quotas` does not name; None for any number.
        tell_scicat: Whether SciCat is told when a dataset leaves staging.
    """

    order: EvictionOrder
    evict_above: float
    evict_to: float
    spared: timedelta
    keep_unpinned: timedelta | None
    silence: timedelta
    quotas: Mapping[str, int]
    default_quota: int | None
    tell_scicat: bool

    @property
    def has_quotas(self) -> bool:
        """Whether there is a quota for any group."""
        return bool(self.quotas) or self.default_quota is not None

    def quota(self, owner_group: str | None) -> int | None:
        """Give the bytes that jobs of a group may pin in all; None for any number, also without a group."""
        return None if owner_group is None else self.quotas.get(owner_group, self.default_quota)
