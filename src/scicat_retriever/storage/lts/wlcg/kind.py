"""The kind `wlcg_tape`, for the table of stores."""

from scicat_retriever.storage.lts.store_kind import StoreKind
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
from scicat_retriever.storage.lts.wlcg.store import WlcgTape

WLCG_TAPE = StoreKind(WlcgTapeSettings, lambda settings, _section: WlcgTape(settings))
"""A tape system with the WLCG Tape REST API."""
