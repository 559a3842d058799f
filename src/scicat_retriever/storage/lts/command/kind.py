"""The kind `command`, for the table of stores."""

from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.command.store import CommandStore
from scicat_retriever.storage.lts.store_kind import StoreKind

COMMAND = StoreKind(CommandStoreSettings, lambda settings, _section: CommandStore(settings))
"""A store that is reached by commands."""
