"""The kind `wlcg_tape`, for the table of stores."""

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.storage.lts.store_kind import StoreKind
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings


def _open(settings: WlcgTapeSettings, _section: str) -> LongTermStore:
    # Deferred: its HTTP client is of no use to a service that has no such store.
    from scicat_retriever.storage.lts.wlcg.store import WlcgTape

    return WlcgTape(settings)


WLCG_TAPE = StoreKind(WlcgTapeSettings, _open)
"""A tape system with the WLCG Tape REST API."""
