r"""Likeness: names that differ only in how they are spelled, paired where exactly one of each can be meant.

Catalogues and archives spell the same file differently: a list has absolute paths below the dataset's
`sourceFolder`, a tar has relative ones, or begins them with the dataset's own folder; one has `\` where the
other has `/`; accents are composed (NFC) or not (NFD); bytes that are no UTF-8, which JSON cannot hold,
became `?` or U+FFFD. Alike names alone prove nothing: the caller must check that the files agree, too.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

EXAMPLES = 2
"""Pairs that are shown of each kind."""
LONGEST_EXAMPLE = 100
"""Characters of a name in an example."""
_LONGEST_PART = 255
"""The most characters of a part of a path in which accents are composed.

File systems have no longer parts, and composing takes long in longer ones.
"""
_DEEPEST_FOLDER = 100
"""The most parts of a dataset's folder: each name is compared with every end of the folder."""
_ESCAPED = re.compile("[\udc80-\udcff]")
_UNREADABLE = re.compile("[?\ufffd\udc80-\udcff]+")


class Likeness(StrEnum):
    """What two spellings differ in; those of a kind may also differ in all kinds before it."""

    FOLDER = "source_folder"
    """The dataset's `sourceFolder`, or the end of it, before one of them; `./`, `/` or doubled slashes."""
    BACKSLASHES = "backslashes"
    """`\\` for `/`."""
    ACCENTS = "accents"
    """The composition of accents."""
    BYTES = "bytes"
    """What stands for bytes that are no UTF-8."""


class Pair(NamedTuple):
    """Two names that are alike."""

    archived: str
    catalogued: str
    kind: Likeness


@dataclass(frozen=True, slots=True)
class Matched:
    """What was matched by one kind of likeness.

    Attributes:
        kind: The kind.
        files: How many.
        examples: Some of them, catalogued and archived name, made fit for showing.
    """

    kind: Likeness
    files: int
    examples: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Tally:
    """Counts pairs, and keeps some as examples."""

    _files: dict[Likeness, int] = field(default_factory=dict)
    _examples: dict[Likeness, list[tuple[str, str]]] = field(default_factory=dict)

    def add(self, kind: Likeness, catalogued: str, archived: str) -> None:
        """Count a pair."""
        self._files[kind] = self._files.get(kind, 0) + 1
        kept = self._examples.setdefault(kind, [])
        if len(kept) < EXAMPLES:
            kept.append((legible(catalogued), legible(archived)))

    def matched(self) -> tuple[Matched, ...]:
        """Give the sums, in the order of the kinds."""
        return tuple(
            Matched(kind, self._files[kind], tuple(self._examples[kind]))
            for kind in Likeness
            if kind in self._files
        )


class Spelling:
    """A rule that gives names one spelling, so that names that are alike become equal.

    Args:
        source_folder: The dataset's folder as catalogued; None where it has none.
        kind: The last kind of likeness that names may differ in; all kinds before it are included.
    """

    def __init__(self, source_folder: str | None, kind: Likeness) -> None:
        order = list(Likeness)
        kinds = order[: order.index(kind) + 1]
        self._backslashes = Likeness.BACKSLASHES in kinds
        self._accents = Likeness.ACCENTS in kinds
        self._bytes = Likeness.BYTES in kinds
        # A Windows path has no slashes: the folder is taken apart at `\`, whatever names may differ in.
        folder = self._parts((source_folder or "").replace("\\", "/"))
        self._folder = [] if folder is None or len(folder) > _DEEPEST_FOLDER else folder
        self._ends: dict[str, list[int]] = {}
        for length in range(len(self._folder), 0, -1):
            self._ends.setdefault(self._folder[-length], []).append(length)

    def of(self, name: str) -> str | None:
        """Spell a name relative to the dataset's folder.

        Empty for that folder itself; None for a name with a part `..`.
        """
        parts = self._parts(name)
        if parts is None:
            return None
        for length in self._ends.get(parts[0], ()) if parts else ():
            is_before = len(parts) > length or length == len(self._folder)
            if is_before and parts[:length] == self._folder[-length:]:
                return "/".join(parts[length:])
        return "/".join(parts)

    def _parts(self, name: str) -> list[str] | None:
        if self._backslashes:
            name = name.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in {"", "."}]
        if ".." in parts:
            return None
        if self._accents and not name.isascii():
            parts = [
                unicodedata.normalize("NFC", part) if len(part) <= _LONGEST_PART else part for part in parts
            ]
        if self._bytes:
            parts = [_UNREADABLE.sub("\ufffd", part) for part in parts]
        return parts


def alike(
    archived: Iterable[str],
    catalogued: Iterable[str],
    source_folder: str | None,
    agree: Callable[[str, str], bool],
) -> Iterator[Pair]:
    """Pair names that are alike, the closest spellings first; each is in one pair at most.

    A pair is made only if no other name of either side has the same spelling, and the two files agree. Time
    and memory grow with the number of names.

    Args:
        archived: Names on one side, each once.
        catalogued: Names on the other.
        source_folder: The dataset's folder as catalogued; None where it has none.
        agree: Says whether the files of two names (archived, catalogued) agree.
    """
    ones, others = dict.fromkeys(archived), dict.fromkeys(catalogued)
    for kind in Likeness:
        if not ones or not others:
            return
        spelling = Spelling(source_folder, kind)
        theirs = _single(others, spelling)
        for spelled, one in _single(ones, spelling).items():
            other = theirs.get(spelled)
            if one is not None and other is not None and agree(one, other):
                del ones[one], others[other]
                yield Pair(one, other, kind)


def _single(names: Iterable[str], spelling: Spelling) -> dict[str, str | None]:
    """Give the name of each spelling; None for a spelling that several names have."""
    found: dict[str, str | None] = {}
    for name in names:
        spelled = spelling.of(name)
        if spelled is not None:
            found[spelled] = None if spelled in found else name
    return found


def legible(name: str) -> str:
    r"""Write a name for a result: bytes that are no UTF-8 as `\xff`; of a long name, its beginning."""
    text = _ESCAPED.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", name[: LONGEST_EXAMPLE + 1])
    text = text.encode("utf-8", "backslashreplace").decode()
    return text if len(text) <= LONGEST_EXAMPLE else text[: LONGEST_EXAMPLE - 1] + "…"
