"""The table from what a store's command prints, or its exit code, to where an archive is."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from scicat_retriever.domain.errors import DatablockUnreadable, RecallError, StoreUnavailable
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.programs.child import Finished, in_words

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


class StoreWords(BaseModel):
    """What a store's words mean. Regular expressions are looked for in its words, in the order of these keys.

    A group named `size`, of digits, gives the archive's size in bytes. What no expression knows is an error,
    never a guess.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

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
        try:
            re.compile(value or "")
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return value

    @model_validator(mode="after")
    def _mean_something(self) -> Self:
        if not self.exit_codes and all(getattr(self, word.value) is None for word in Word):
            raise ValueError(f"must have an entry: {', '.join(Word)} or exit_codes")
        return self

    def of_text(self, said: str, hidden: Iterable[str] = ()) -> RecallState | RecallError:
        """Say what the store's text means; an error where the text means one, or no expression knows it.

        Args:
            said: The text.
            hidden: Names that the text may repeat, such as the archive's path. They are taken out before the
                expressions are looked for.
        """
        said = _without(said, hidden)
        for word in Word:
            pattern: str | None = getattr(self, word.value)
            match = None if pattern is None else re.search(pattern, said, re.MULTILINE)
            if match is not None:
                digits = match.groupdict().get("size") or ""
                known = digits.isascii() and digits.isdigit() and len(digits) <= _SIZE_DIGITS
                return _meaning(word, _line_around(match), int(digits) if known else None)
        return StoreUnavailable(f"no words are set for what the store says: {in_words(said)!r}")

    def of_command(self, finished: Finished, hidden: Iterable[str] = ()) -> RecallState | RecallError:
        """Say what a command's exit code and its text mean.

        Args:
            finished: The command.
            hidden: As `of_text`.
        """
        if (meant := self.of_code(finished)) is not None:
            return meant
        if finished.code != 0:
            return StoreUnavailable(f"the command ended with exit code {finished.code}: {finished.complaint}")
        return self.of_text(finished.output, hidden)

    def of_code(self, finished: Finished) -> RecallState | RecallError | None:
        """Say what a command's exit code alone means; None where it is not in the table."""
        word = self.exit_codes.get(finished.code)
        return None if word is None else _meaning(word, finished.complaint, None)


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


def _meaning(word: Word, reason: str, size: int | None) -> RecallState | RecallError:
    if word is Word.UNAVAILABLE:
        return StoreUnavailable(f"the store says: {reason}")
    if word is Word.UNREADABLE:
        return DatablockUnreadable(f"the store says: {reason}")
    return RecallState(Locality(word.value), size, reason)
