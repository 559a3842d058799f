"""The table from what a store's command prints, or its exit code, to where an archive is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from scicat_retriever.domain.errors import (
    ArchiveLost,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.section import Section
from scicat_retriever.storage.lts.programs.child import Finished, in_words
from scicat_retriever.storage.lts.programs.expressions import compiled

_SIZE_DIGITS = 18
"""Longest size that is believed: below 10^18 bytes, which a signed 64-bit number holds."""


ExitCode = Annotated[int, Field(ge=1, le=255)]
"""The exit code of a command that did not end with 0, as exit(3) keeps it."""


class Word(StrEnum):
    """What a store may say of an archive."""

    LOST = "lost"
    MISSING = "missing"
    UNREADABLE = "unreadable"
    UNAVAILABLE = "unavailable"
    RECALLING = "recalling"
    OFFLINE = "offline"
    ONLINE = "online"


class StoreWords(Section):
    """What a store's words mean. Regular expressions are looked for in its words, in the order of these keys.

    A group named `size`, of digits, gives the archive's size in bytes. What no expression knows is an error,
    never a guess.
    """

    lost: str | None = Field(None, description="It lost the archive for good.")
    missing: str | None = Field(None, description="It has no such archive.")
    unreadable: str | None = Field(None, description="It has it, and does not let it be read.")
    unavailable: str | None = Field(None, description="It cannot say or give it at the moment.")
    recalling: str | None = Field(None, description="It is on its way from tape.")
    offline: str | None = Field(None, description="It is on tape.")
    online: str | None = Field(None, description="It can be read at once.")
    exit_codes: dict[int, Word] = Field(
        {},
        description="What exit codes of the command mean, whatever it prints. 0 is read by the expressions "
        "unless it stands here; any other that does not stand here is a failure of the command.",
    )

    @field_validator("lost", "missing", "unreadable", "unavailable", "recalling", "offline", "online")
    @classmethod
    def _compiles(cls, value: str | None) -> str | None:
        compiled(value or "")
        return value

    @model_validator(mode="after")
    def _mean_something(self) -> Self:
        if not self.exit_codes and all(getattr(self, word.value) is None for word in Word):
            raise ValueError(f"must have an entry: {', '.join(Word)} or exit_codes")
        return self

    def of_text(
        self, said: str, archive_id: ArchiveId, hidden: Iterable[str] = (), silent: str = ""
    ) -> RecallState | RecallError:
        """Say what the store's text means; an error where the text means one, or no expression knows it.

        Args:
            said: The text.
            archive_id: The archive that it is about.
            hidden: Names that the text may repeat, such as the archive's path. They are taken out before the
                expressions are looked for.
            silent: What is told of a missing archive where the text says nothing more.
        """
        said = _without(said, hidden)
        for word in Word:
            pattern: str | None = getattr(self, word.value)
            match = None if pattern is None else re.search(pattern, said, re.MULTILINE)
            if match is not None:
                digits = match.groupdict().get("size") or ""
                known = digits.isascii() and digits.isdigit() and len(digits) <= _SIZE_DIGITS
                size = int(digits) if known else None
                return _meaning(word, archive_id, _line_around(match), size, silent)
        return StoreUnavailable(f"no words are set for what the store says: {in_words(said)!r}")

    def of_command(
        self, finished: Finished, archive_id: ArchiveId, hidden: Iterable[str] = (), silent: str = ""
    ) -> RecallState | RecallError:
        """Say what a command's exit code and its text mean.

        Args:
            finished: The command.
            archive_id: The archive that it is about.
            hidden: As `of_text`.
            silent: As `of_text`.
        """
        word = self.exit_codes.get(finished.code)
        if word is not None:
            return _meaning(word, archive_id, finished.complaint, None, silent)
        if finished.code != 0:
            return StoreUnavailable(f"the command ended with exit code {finished.code}: {finished.complaint}")
        return self.of_text(finished.output, archive_id, hidden, silent)

    def not_there(self, finished: Finished) -> bool:
        """Say whether a command's exit code alone tells that the store does not have the archive."""
        return self.exit_codes.get(finished.code) in {Word.MISSING, Word.LOST}


def _without(said: str, names: Iterable[str]) -> str:
    """Take names out where they stand by themselves: the archiveId `a` is no part of `tape`."""
    for name in sorted({each for each in names if each}, key=len, reverse=True):
        before = r"(?<!\w)" if re.match(r"\w", name) else ""
        after = r"(?!\w)" if re.search(r"\w\Z", name) else ""
        said = re.sub(before + re.escape(name) + after, "", said)
    return said


def _line_around(match: re.Match[str]) -> str:
    begin = match.string.rfind("\n", 0, match.start()) + 1
    end = match.string.find("\n", match.end())
    return in_words(match.string[begin : end if end >= 0 else None])


def _meaning(
    word: Word, archive_id: ArchiveId, said: str, size: int | None, silent: str
) -> RecallState | RecallError:
    match word:
        case Word.MISSING:
            return DatablockMissing.of(archive_id, said or silent)
        case Word.LOST:
            return ArchiveLost.of(archive_id, said)
        case Word.UNAVAILABLE:
            return StoreUnavailable(f"the store says: {said}")
        case Word.UNREADABLE:
            return DatablockUnreadable(f"the store says: {said}")
        case Word.RECALLING | Word.OFFLINE | Word.ONLINE:
            return RecallState(Locality(word.value), size, said)
