"""What unpacking an archive leaves: of its members, those that verification has to compare.

A tar may hold a path twice, a link to itself, the name of a tape. GNU tar, bsdtar and Python's tarfile agree
on what some of that leaves: it is taken, or an operator may have it taken. On the rest they do not, and it is
refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.onepass.member import Member, MemberKind, is_unsafe
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.transfer.overwriting import Overwriting
from scicat_retriever.pipeline.transfer.verify import entry_name

_HARMLESS = (MemberKind.DIRECTORY, MemberKind.SYMLINK)


class Unpacking:
    """What unpacking leaves.

    Args:
        members: Gives all members in the order of the archive, anew each time.
        catalogued: Gives what the catalogue lists, anew each time.
        policy: What is taken.

    Attributes:
        replaced: How many members had another one put in their place.
        passed_over: How many members that are not catalogued match a pattern of the policy.
    """

    def __init__(
        self,
        members: Callable[[], Iterable[Member]],
        catalogued: Callable[[], Iterable[FileEntry]],
        policy: ArchivePolicy,
    ) -> None:
        self._members = members
        self._catalogued = catalogued
        self._policy = policy
        self.replaced = self.passed_over = 0

    def left(self) -> Iterator[Member]:
        """Give the members that verification compares, in the order of the archive.

        Raises:
            IntegrityError: As `pipeline.transfer.overwriting.Overwriting`.
        """
        over = Overwriting(self._members, is_last=self._policy.duplicate_members == "last")
        self.replaced = over.replaced
        self.passed_over = 0
        for number, member in enumerate(self._members()):
            if number in over.dropped or (member.kind is MemberKind.LABEL and not member.unsafe):
                continue
            if self._is_passed_over(member):
                self.passed_over += 1
                yield _without_data(member)
            else:
                yield member

    def _is_passed_over(self, member: Member) -> bool:
        if member.kind in _HARMLESS or not self._policy.passes_over(member.name):
            return False
        climbs = is_unsafe(member.name.lstrip("/")) or is_unsafe(member.link)
        return not climbs and _last_part(member.name) not in self._last_parts

    @cached_property
    def _last_parts(self) -> set[str]:
        """The names of catalogued files without their folders: one may be meant by another spelling."""
        return {_last_part(entry.path) for entry in self._catalogued()}


def _last_part(path: str) -> str:
    return unicodedata.normalize("NFC", path.replace("\\", "/").rstrip("/").rpartition("/")[2])


def _without_data(member: Member) -> Member:
    """Show a member that is passed over as a mere name: it need not be catalogued.

    A hard link still has to lead somewhere.
    """
    link = member.link if member.kind is MemberKind.HARDLINK else ""
    return Member(entry_name(member.name), MemberKind.LABEL, 0, member.offset, "", link, unsafe=False)
