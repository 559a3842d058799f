"""What is selected of a retrieval for an archive: all files, or those that patterns fit."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass

MOST_PATTERNS, LONGEST_PATTERN = 16, 250
"""Patterns in one selection, and characters of each: what servers and proxies take in a URL, all escaped."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The selected files.

    Attributes:
        patterns: Paths, or patterns of them, relative to a dataset's folder. `*` stands for anything, `/`
            included, `?` for one character, `[ab]` for one of these. A folder stands for all that is below
            it. Without any, everything is selected.
    """

    patterns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Hold the bounds.

        Raises:
            ValueError: There are too many patterns, or one is empty or too long.
        """
        if len(self.patterns) > MOST_PATTERNS:
            raise ValueError(f"{len(self.patterns)} patterns; the most are {MOST_PATTERNS}")
        if any(not 0 < len(each) <= LONGEST_PATTERN for each in self.patterns):
            raise ValueError(f"a pattern has 1 to {LONGEST_PATTERN} characters")

    def wanted(self) -> Callable[[str], bool] | None:
        """Give what says of a path whether it is selected; None where all are."""
        if not self.patterns:
            return None
        bare = [each.strip("/") for each in self.patterns]
        # A name with brackets is also selected by itself.
        names = frozenset(bare)
        fits = re.compile(
            "|".join(fnmatch.translate(each) for name in bare for each in (name, f"{name}/*"))
        ).match
        return lambda path: path in names or fits(path) is not None
