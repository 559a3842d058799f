"""The long-term stores, by name, and which of them has a dataset's archives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scicat_retriever.domain.errors import StoreNotConfigured
from scicat_retriever.ports.long_term_store import LongTermStore

DEFAULT_STORE = "lts"
"""The store that is always there."""


@dataclass(frozen=True, slots=True)
class Stores:
    """The configured stores.

    Attributes:
        stores: By name; `lts` is there.
        locations: Which store has the datasets of a `storageLocation`, as SciCat's dataset lifecycle names
            it.
        copies: Which store, if any, has another copy of the archives of a store.
        only_named: Whether `lts` has the datasets of its own locations alone, not those of unknown ones, too.
    """

    stores: Mapping[str, LongTermStore]
    locations: Mapping[str, str] = field(default_factory=dict)
    copies: Mapping[str, str] = field(default_factory=dict)
    only_named: bool = False

    def of_location(self, location: str | None) -> str:
        """Name the store that has the datasets of a location.

        Raises:
            StoreNotConfigured: None has.
        """
        if location is not None and location in self.locations:
            return self.locations[location]
        if location is not None and self.only_named:
            raise StoreNotConfigured(
                f"the dataset's storageLocation is {location!r}, which no long-term store of the settings has among "
                "its `locations`: add it there"
            )
        return DEFAULT_STORE

    def named(self, name: str) -> LongTermStore:
        """Give a store.

        Raises:
            StoreNotConfigured: There is none of that name.
        """
        try:
            return self.stores[name]
        except KeyError:
            raise StoreNotConfigured(
                f"the archive is in the long-term store {name!r}, which the settings do not have (any more): add it"
            ) from None
