"""The long-term stores."""

from __future__ import annotations

from scicat_retriever.bootstrap.complaint import named
from scicat_retriever.pipeline.tools.stores import Stores
from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.settings import Settings
from scicat_retriever.settings.stores import section_of
from scicat_retriever.storage.lts.kinds import open_store
from scicat_retriever.storage.lts.store_kind import StoreKeys


def build_stores(settings: Settings) -> Stores:
    """Make the long-term stores that the settings name."""
    stores = settings.all_stores
    return Stores(
        stores={name: _named_store(name, store) for name, store in stores.items()},
        locations={location: name for name, store in stores.items() for location in store.locations},
        copies={name: store.other_copy for name, store in stores.items() if store.other_copy is not None},
        only_named=bool(settings.lts.locations),
    )


def _named_store(name: str, store: StoreKeys) -> LongTermStore:
    section = section_of(name)
    with named(section):
        return open_store(store, section)
