"""A command about one archive, or about several that it reads from a list."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from scicat_retriever.domain.errors import ArchiveIdUnsafe, StoreTimedOut, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway
from scicat_retriever.storage.lts.programs.child import (
    OUTPUT_LIMIT,
    CommandFailed,
    CommandNotStarted,
    CommandTimedOut,
    Finished,
    run_command,
)
from scicat_retriever.storage.lts.programs.template import CommandTemplate

_LISTS = frozenset({"list_file", "paths_file"})
_NAMES = _LISTS | {"archive_id", "path"}

OUTPUT_FOR_EACH = 1024
"""Bytes that a command about several archives may print for each, beside its archiveId and its path."""


@dataclass(frozen=True, slots=True)
class NamedArchive:
    """An archive as commands may name it.

    Attributes:
        archive_id: Its archiveId.
        path: Its path in the store.
    """

    archive_id: ArchiveId
    path: str

    @property
    def names(self) -> tuple[str, str, str]:
        """What an answer may call it: its path, its archiveId, and the last step of the path."""
        return self.path, self.archive_id, self.path.rpartition("/")[2]


class ArchiveCommand:
    """A command with `{archive_id}` and `{path}` of one archive; or `{list_file}`, `{paths_file}` of several.

    Args:
        arguments: The program and its arguments.
        fields: The names that may stand in braces.
        timeout: Seconds after which the command is killed.
        environment: All variables of its environment.
        spool: Folder for lists; None is the system's folder for temporary files.

    Attributes:
        takes_many: Whether the command reads a list of archives.

    Raises:
        ValueError: The command cannot be used; the message says why.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        fields: frozenset[str],
        timeout: float = 0.0,
        environment: Mapping[str, str] | None = None,
        spool: Path | None = None,
    ) -> None:
        self._template = CommandTemplate(arguments, fields)
        self._timeout = timeout
        self._environment = environment or {}
        self._spool = spool
        self._answers_in_lines = "list_file" in fields
        self.takes_many = bool(self._template.fields & _LISTS)
        if not self._template.fields:
            known = " or ".join(f"{{{name}}}" for name in sorted(fields & _NAMES))
            raise ValueError(f"the command names no archive: put {known} into it")
        if self.takes_many and not self._template.fields <= _LISTS:
            raise ValueError("a command is about one archive or about a list of them, not about both")

    def refuse_unsafe(self, archive: NamedArchive) -> None:
        """Raise if the command cannot be given this archive.

        Raises:
            ArchiveIdUnsafe: As an argument, it would be an option, or holds NUL. In a list, its archiveId or
                path holds a line break or NUL; or its archiveId holds a tab, which would make two columns of
                it in the answer.
        """
        if not self.takes_many:
            self._template.expand({"archive_id": archive.archive_id, "path": archive.path})
        elif any("\n" in text or "\r" in text or "\0" in text for text in (archive.archive_id, archive.path)):
            raise ArchiveIdUnsafe(f"{archive.archive_id!r} holds a line break: no list can carry it")
        # The answer's line would begin with another archiveId, and end with words that this one brought.
        elif self._answers_in_lines and "\t" in archive.archive_id:
            raise ArchiveIdUnsafe(f"{archive.archive_id!r} holds a tab: no list can carry it")

    def run(self, archives: Sequence[NamedArchive]) -> Finished:
        """Run the command to its end, for one archive; for any number of them where it `takes_many`.

        Raises:
            ArchiveIdUnsafe: As `refuse_unsafe`.
            StoreTimedOut: The command took too long, and was killed.
            StoreAway: The command cannot be started, or no list can be written for it.
            StoreUnavailable: The command printed too much.
        """
        for archive in archives:
            self.refuse_unsafe(archive)
        try:
            with ExitStack() as stack:
                arguments = self._expanded(archives, stack)
                return run_command(arguments, self._timeout, self._environment, self._may_print(archives))
        except CommandTimedOut as error:
            raise StoreTimedOut(f"the store's command does not answer: {error}") from None
        except CommandNotStarted as error:
            raise StoreAway(f"the store's command fails: {error}") from None
        except CommandFailed as error:
            raise StoreUnavailable(f"the store's command fails: {error}") from None
        except OSError as error:
            raise StoreAway(f"no list can be written for the store's command: {error.strerror}") from None

    def _may_print(self, archives: Sequence[NamedArchive]) -> int:
        if not self.takes_many:
            return OUTPUT_LIMIT
        names = sum(len(os.fsencode(each.archive_id)) + len(os.fsencode(each.path)) for each in archives)
        return OUTPUT_LIMIT + OUTPUT_FOR_EACH * len(archives) + names

    def _expanded(self, archives: Sequence[NamedArchive], stack: ExitStack) -> list[str]:
        if not self.takes_many:
            (archive,) = archives
            return self._template.expand({"archive_id": archive.archive_id, "path": archive.path})
        return self._template.expand(
            {
                "list_file": self._listed([each.archive_id for each in archives], stack),
                "paths_file": self._listed([each.path for each in archives], stack),
            }
        )

    def _listed(self, lines: Sequence[str], stack: ExitStack) -> str:
        descriptor, name = tempfile.mkstemp(prefix="retriever-list-", dir=self._spool)
        stack.callback(Path(name).unlink, missing_ok=True)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - it is a descriptor
            file.write(b"".join(os.fsencode(line) + b"\n" for line in lines))
        return name


def failed(finished: Finished, accepted: Collection[int] = ()) -> StoreUnavailable | None:
    """Give the error of a command whose exit code is neither 0 nor accepted; None for any other command."""
    if finished.code == 0 or finished.code in accepted:
        return None
    return StoreUnavailable(f"the store's command ended with exit code {finished.code}: {finished.complaint}")
