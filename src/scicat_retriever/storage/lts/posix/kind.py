"""The kind `posix`, for the table of stores."""

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.store_kind import StoreKind


def _open(settings: PosixShareSettings, _section: str) -> LongTermStore:
    # Deferred: only the stores that are set are imported.
    from scicat_retriever.storage.lts.posix.store import PosixShare

    return PosixShare(settings)


POSIX = StoreKind(PosixShareSettings, _open)
"""A mounted folder."""
