"""A kind of long-term store: its settings, which have the keys of all stores, and how it is opened."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import Field

from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.recall_planner.requests import RecallChoices
from scicat_retriever.section import Section
from scicat_retriever.storage.lts.programs.tape_positions import TapeCommand, TapePattern


class RecallSettings(Section, RecallChoices):
    """How recalls from one store are put together. Durations are seconds, sizes are bytes."""


class StoreKeys(Section):
    """The keys that the sections of all long-term stores have."""

    locations: tuple[str, ...] = Field(
        (),
        description="Values of SciCat's `datasetlifecycle.storageLocation` whose datasets are here. The store `[lts]` has "
        "also those that no store names, unless it names some itself.",
    )
    other_copy: str | None = Field(
        None,
        description="Name of the store that has a second copy of what is here: it is read where the first cannot be had or "
        "is not right.",
    )
    recalls: RecallSettings = Field(
        RecallSettings(), description="How recalls from this store are put together."
    )
    tape_places: TapePattern | TapeCommand | None = Field(
        None,
        discriminator="kind",
        description="How to learn on which tape an archive is, where the store does not tell.",
    )


S = TypeVar("S", bound=StoreKeys)


@dataclass(frozen=True, slots=True)
class StoreKind(Generic[S]):
    """A kind of long-term store.

    Attributes:
        settings: Its section of the settings. Its key `kind` has the kind's name.
        open: Makes the store, from its section and the section's name, which errors mention. Does not ask
            the store anything.
        has_tapes: Whether it has tapes whose mounts are worth waiting for.
    """

    settings: type[S]
    open: Callable[[S, str], LongTermStore]
    has_tapes: bool = True
