"""What is taken of archives beyond what every program unpacks alike, where an operator says so."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from scicat_retriever.domain.policy import choice
from scicat_retriever.onepass.tar.rules import TarRules

_NEVER = r"(?!)"


@dataclass(frozen=True)
class ArchivePolicy:
    """The operator's word on archives that are not as they should be.

    In a pattern of `pass_over` that has a `/`, `*` stands for `/`, too; one that begins with a `/` is of
    members whose name does, too.
    """

    check_packed_size: bool = choice(
        True,
        "Whether an archive must have exactly the size that the catalogue says (`packedSize`). Its files "
        "are compared in any case.",
    )
    check_declared_sums: bool = choice(
        False,
        "Whether a dataset fails that declares more files or bytes (`numberOfFilesArchived`, `packedSize`) than "
        "its datablocks hold, although SciCat shows all of them. Else the job's result says that the sums differ.",
    )
    duplicate_members: Literal["refuse", "last"] = choice(
        "refuse",
        "What to do with an archive that holds a file twice, as `tar -r` makes them: refuse it, or take the last "
        "one of a path, which is what unpacking leaves, and compare that with the catalogue.",
    )
    joined_tars: Literal["refuse", "read"] = choice(
        "refuse",
        "What to do with several tars one after the other in one archive, as `cat a.tar b.tar` makes them: refuse "
        "it, or read them all. Whoever downloads it has to unpack it with `tar --ignore-zeros`: without that, the first one "
        "alone is unpacked.",
    )
    gnu_incremental: Literal["refuse", "take"] = choice(
        "refuse",
        "What to do with archives of `tar --incremental` in GNU tar's own format: refuse them, since Python's "
        "`tarfile` unpacks them in other places without a word, or take them, and have them unpacked with GNU tar or bsdtar.",
    )
    pass_over: tuple[str, ...] = choice(
        (),
        "Patterns of members that archives may hold although they are not catalogued, such as an archiver's own "
        "list: `*`, `?`, `[...]` as in a shell. Without a `/`: of a name in any folder; with one: of the whole path; with one "
        "at the beginning: of a path that begins so. How many were passed over, the result says.",
    )

    @property
    def rules(self) -> TarRules:
        """How tars are read."""
        return TarRules(joined=self.joined_tars == "read", gnu_incremental=self.gnu_incremental == "take")

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
