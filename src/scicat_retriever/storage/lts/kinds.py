"""The one table of long-term stores: a new kind is a folder beside this module, and an entry here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import Discriminator, Tag

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.recall_planner.requests import RecallPolicy
from scicat_retriever.storage.lts.command.kind import COMMAND
from scicat_retriever.storage.lts.glacier.kind import S3_GLACIER
from scicat_retriever.storage.lts.posix.kind import POSIX
from scicat_retriever.storage.lts.programs.tape_positions import with_tape_positions
from scicat_retriever.storage.lts.store_kind import StoreKeys, StoreKind
from scicat_retriever.storage.lts.wlcg.kind import WLCG_TAPE

KINDS: dict[str, StoreKind[Any]] = {
    "posix": POSIX,
    "s3_glacier": S3_GLACIER,
    "wlcg_tape": WLCG_TAPE,
    "command": COMMAND,
}
"""All kinds, by the name that `kind` has in the settings; the first is the one where it is not set."""


def _kind_of(section: object) -> object:
    if isinstance(section, dict):
        return section.get("kind", next(iter(KINDS)))
    return getattr(section, "kind", None)


if TYPE_CHECKING:
    StoreSettings = StoreKeys
else:
    # Union of what is in the table; a type checker, who cannot read a table, sees what all of them have.
    _SECTIONS = tuple(Annotated[kind.settings, Tag(name)] for name, kind in KINDS.items())
    StoreSettings = Annotated[Union[_SECTIONS], Discriminator(_kind_of)]  # noqa: UP007 - made of a tuple
"""The section of a long-term store; its key `kind` tells of which kind the store is."""


def open_store(settings: StoreKeys, section: str) -> LongTermStore:
    """Make the store that a section of the settings describes. The store is not asked anything yet.

    Args:
        settings: The section.
        section: The section's name, for errors that say what to correct.
    """
    store: LongTermStore = _of(settings).open(settings, section)
    return with_tape_positions(store, settings.tape_places)


def recall_policy(settings: StoreKeys) -> RecallPolicy:
    """Give the recall planner's policy for the store of a section."""
    return RecallPolicy.of(settings.recalls, has_tapes=_of(settings).has_tapes)


def _of(settings: StoreKeys) -> StoreKind[Any]:
    return next(kind for kind in KINDS.values() if isinstance(settings, kind.settings))
