"""The kind `command`, for the table of stores."""

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.storage.lts.command.settings import CommandStoreSettings
from scicat_retriever.storage.lts.store_kind import StoreKind


def _open(settings: CommandStoreSettings, _section: str) -> LongTermStore:
    # Deferred: only the stores that are set are imported.
    from scicat_retriever.storage.lts.command.store import CommandStore

    return CommandStore(settings)


COMMAND = StoreKind(CommandStoreSettings, _open)
"""A store that is reached by commands."""
