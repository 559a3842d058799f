"""The kind `posix`, for the table of stores."""

from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from scicat_retriever.storage.lts.store_kind import StoreKind

POSIX = StoreKind(PosixShareSettings, lambda settings, _section: PosixShare(settings))
"""A mounted folder."""
