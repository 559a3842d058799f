"""Tape positions for a store that does not tell them: read from the archiveId, or said by a command."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt, field_validator

from scicat_retriever.domain.errors import RecallError
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    ArchiveSource,
    AskedArchive,
    Capabilities,
    LongTermStore,
    RecallState,
    TapePosition,
)
from scicat_retriever.section import Section
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand
from scicat_retriever.storage.lts.programs.child import small_environment
from scicat_retriever.storage.lts.programs.expressions import compiled
from scicat_retriever.storage.lts.programs.position_lookup import (
    TapePositionLookup,
    plain_name,
    tape_position,
)

_FIELDS = frozenset({"archive_id", "list_file"})

TapePositions = Callable[[Sequence[ArchiveId]], Mapping[ArchiveId, TapePosition]]
"""Gives the tape positions of archives; leaves out those that are not known."""


class TapePattern(Section):
    """The archiveId itself names the tape."""

    kind: Literal["pattern"] = Field(description="The archiveId itself names the tape.")
    pattern: str = Field(
        description="Regular expression that is looked for in the archiveId; its group `tape` is the tape's label, its "
        "group `position`, of digits, where on the tape it lies: `^(?P<tape>[A-Z]{2}\\d{4})/(?P<position>\\d+)-`."
    )

    @field_validator("pattern")
    @classmethod
    def _has_a_tape(cls, value: str) -> str:
        if "tape" not in compiled(value).groupindex:
            raise ValueError("must have a group named tape: (?P<tape>...)")
        return value


class TapeCommand(Section):
    """A command knows the tapes. Durations are seconds."""

    kind: Literal["command"] = Field(description="A command knows the tapes.")
    command: tuple[str, ...] = Field(
        description="The program and its arguments. With `{archive_id}` it is run for each archive and prints its tape and "
        "its position. With `{list_file}` it is run for many: that is the path of a list with an archiveId on each line, and "
        "it prints for each that it knows the archiveId, its tape and its position, with tabs between. No shell is between."
    )
    timeout: PositiveFloat = Field(30.0, description="How long it may take for the archives of a batch.")
    at_once: PositiveInt = Field(4, description="Most of them run at the same time.")
    remembered: PositiveInt = Field(100_000, description="How many tape positions are remembered.")
    environment: tuple[str, ...] = Field(
        (), description="Variables of the service's environment that it sees beside PATH and HOME."
    )
    spool: Path | None = Field(
        None, description="Folder for lists. Not set: the system's folder for temporary files."
    )

    @field_validator("command")
    @classmethod
    def _runnable(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        ArchiveCommand(value, _FIELDS)
        return value


TapePositionsSettings = TapePattern | TapeCommand
"""How the tape positions of a store are known that does not tell them itself; `kind` tells how."""


class StoreWithTapePositions:
    """A store whose `tape_positions` are answered by something else. A `LongTermStore`.

    Args:
        store: Answers everything else.
        known: Answers `tape_positions`.
    """

    def __init__(self, store: LongTermStore, known: TapePositions) -> None:
        self._store = store
        self._known = known

    @property
    def capabilities(self) -> Capabilities:
        """The store's, with tape positions."""
        return replace(self._store.capabilities, tape_positions=True)

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> Mapping[ArchiveId, str | RecallError]:
        """As the store's."""
        return self._store.request_recalls(archive_ids)

    def recall_states(
        self, archives: Sequence[AskedArchive]
    ) -> Mapping[ArchiveId, RecallState | RecallError]:
        """As the store's."""
        return self._store.recall_states(archives)

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> Mapping[ArchiveId, TapePosition]:
        """Give the tape positions of archives. Those that are not known are left out.

        Raises:
            StoreUnavailable: The command does not answer in time.
        """
        return self._known(archive_ids)

    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> AbstractContextManager[ArchiveSource]:
        """As the store's."""
        return self._store.open(archive_id, start, length)

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        """As the store's."""
        self._store.let_go(archives)


def positions_by_pattern(settings: TapePattern) -> TapePositions:
    """Give a function that reads tape positions from archiveIds."""
    pattern = re.compile(settings.pattern)

    def read(archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:
        found = dict[ArchiveId, TapePosition]()
        for archive_id in archive_ids:
            groups = {} if (match := pattern.search(archive_id)) is None else match.groupdict()
            position = tape_position(groups.get("tape"), groups.get("position"))
            if position is not None:
                found[archive_id] = position
        return found

    return read


def positions_by_command(settings: TapeCommand) -> TapePositions:
    """Give a function that asks a command for tape positions."""
    environment = small_environment(settings.environment)
    command = ArchiveCommand(settings.command, _FIELDS, settings.timeout, environment, settings.spool)
    lookup = TapePositionLookup(command, settings.timeout, settings.at_once, settings.remembered)
    return lambda archive_ids: lookup.tape_positions(archive_ids, plain_name)


def with_tape_positions(store: LongTermStore, settings: TapePositionsSettings | None) -> LongTermStore:
    """Give a store the tape positions that the settings tell; the store itself where they tell none."""
    match settings:
        case None:
            return store
        case TapePattern():
            return StoreWithTapePositions(store, positions_by_pattern(settings))
        case TapeCommand():
            return StoreWithTapePositions(store, positions_by_command(settings))
