"""What is taken of archives beyond what every program unpacks alike, where an operator says so."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from scicat_retriever.onepass.tar.rules import TarRules

_NEVER = r"(?!)"


@dataclass(frozen=True)
class ArchivePolicy:
    """The operator's word on archives that are not as they should be.

    Attributes:
        rules: How tars are read.
        duplicates: What to do with a file that an archive holds twice: `refuse`, or `last`, which is what
            unpacking leaves.
        pass_over: Patterns of members that need not be catalogued: `*`, `?` and `[...]` as in a shell. One
            without a `/` is of the last part of a path; one with a `/` is of the whole path, and `*` stands
            for `/` too. One that begins with a `/` is of members whose name does, too.
    """

    rules: TarRules = field(default_factory=TarRules)
    duplicates: Literal["refuse", "last"] = "refuse"
    pass_over: tuple[str, ...] = ()

    def passes_over(self, name: str) -> bool:
        """Say whether a member of this name (as of `onepass.member.tidy_name`) need not be catalogued."""
        if not self.pass_over:
            return False
        of_parts, of_paths, of_roots = self._patterns
        if name.startswith("/"):
            return of_roots.match(name) is not None
        return bool(of_parts.match(name.rpartition("/")[2]) or of_paths.match(name))

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], re.Pattern[str], re.Pattern[str]]:
        sorts: tuple[list[str], list[str], list[str]] = ([], [], [])
        for pattern in self.pass_over:
            sorts[("/" in pattern) + pattern.startswith("/")].append(pattern)
        of_parts, of_paths, of_roots = map(_any_of, sorts)
        return of_parts, of_paths, of_roots


def _any_of(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)) or _NEVER)
