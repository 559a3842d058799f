"""How staging is used as a cache: the operator's choices."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from annotated_types import Ge, Gt, Le

from scicat_retriever.domain.policy import NotNegative, Seconds, choice
from scicat_retriever.ports.cache import EvictionOrder


@dataclass(frozen=True)
class CachePolicy:
    """How staging is used as a cache. Durations are seconds."""

    order: EvictionOrder = choice(
        EvictionOrder.LEAST_RECENTLY_USED, "Which of the datablocks that nobody pins go first."
    )
    evict_above: Annotated[float, Gt(0), Le(1)] = choice(
        0.9, "Share of staging in use above which datablocks are evicted."
    )
    evict_to: Annotated[float, Ge(0), Le(1)] = choice(0.8, "Share in use down to which they are evicted.")
    spared: Seconds = choice(
        2 * 3600.0,
        "How long a datablock is left alone that was downloaded or asked for. Not shorter than "
        "`staging.url_lifetime`, if staging is on S3.",
    )
    keep_unpinned: Seconds | None = choice(
        None,
        "How long a datablock that nobody pins is kept at the most; without it, until its space is needed.",
    )
    quotas: dict[str, NotNegative] = choice(
        {}, "Bytes that jobs of an owner group may pin in all, by the group's name."
    )
    default_quota: NotNegative | None = choice(
        None, "The same for groups that `quotas` does not name; without it, any number."
    )
    tell_scicat: bool = choice(
        False,
        "Whether SciCat is told when a dataset leaves staging: its `retrieveStatusMessage` becomes empty.",
    )

    def __post_init__(self) -> None:
        """Refuse marks that are not in order.

        Raises:
            ValueError: `evict_to` is above `evict_above`.
        """
        if self.evict_to > self.evict_above:
            raise ValueError("`evict_to` must not be above `evict_above`")

    @property
    def spared_time(self) -> timedelta:
        """How long a datablock that was used is left alone."""
        return timedelta(seconds=self.spared)

    @property
    def longest_unpinned(self) -> timedelta | None:
        """How long a datablock that nobody pins is kept at the most; None: until its space is needed."""
        return None if self.keep_unpinned is None else timedelta(seconds=self.keep_unpinned)

    @property
    def has_quotas(self) -> bool:
        """Whether there is a quota for any group."""
        return bool(self.quotas) or self.default_quota is not None

    def quota(self, owner_group: str | None) -> int | None:
        """Give the bytes that jobs of a group may pin in all; None for any number, also without a group."""
        return None if owner_group is None else self.quotas.get(owner_group, self.default_quota)
