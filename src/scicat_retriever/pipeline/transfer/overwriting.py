"""Members of one path: which of them unpacking leaves, where all programs agree on that."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from scicat_retriever.domain.errors import MemberDuplicated, MemberUnexpected
from scicat_retriever.onepass.member import Member, MemberKind, shown
from scicat_retriever.pipeline.transfer.verify import entry_name

_DATA = (MemberKind.FILE, MemberKind.HARDLINK)


class _Seen(NamedTuple):
    number: int
    kind: MemberKind
    link: str


class Overwriting:
    """Finds what takes the place of what.

    What changes nothing is always taken: a folder that comes again, a hard link to itself or to what it is a
    link to already (GNU tar writes those where a file is named twice), a symbolic link with the same target.
    Where a file takes the place of one that has hard links, Python's tarfile writes through the link, and
    others do not: it is refused.

    Holds a number for each member in memory, and the names of those alone that come more than once.

    Args:
        members: Gives all members in the order of the archive, anew each time.
        is_last: Whether the last member of a path is taken where it takes the place of others. Else that is
            refused.

    Attributes:
        dropped: Which members unpacking leaves nothing of, by their place in the archive.
        replaced: How many of them another one took the place of.

    Raises:
        MemberDuplicated: The archive holds a path twice, and that is refused, or programs do not agree on
            what is left.
        MemberUnexpected: A hard link leads to what only comes after it, or to itself before there is
            anything.
    """

    def __init__(self, members: Callable[[], Iterable[Member]], *, is_last: bool) -> None:
        self._is_last = is_last
        self.dropped: set[int] = set()
        self.replaced = 0
        self._last: dict[str, _Seen] = {}
        self._linked: set[str] = set()
        self._root: dict[str, str] = {}
        self._again = _hashes_that_come_again(members())
        if self._again:
            for number, member in enumerate(members()):
                self._meet(number, member)

    def _meet(self, number: int, member: Member) -> None:
        name, link = entry_name(member.name), entry_name(member.link)
        is_link = member.kind is MemberKind.HARDLINK
        if is_link and name != link and not self._again.isdisjoint((hash(name), hash(link))):
            self._note_link(number, member, name, link)
        elif hash(name) in self._again:
            self._put(number, member, name)

    def _note_link(self, number: int, member: Member, name: str, link: str) -> None:
        root = self._root.get(link, link)
        if name in self._last and self._root.get(name, name) == root:
            self.dropped.add(number)
            return
        if hash(name) in self._again:
            self._put(number, member, name)
        self._root[name] = root
        self._linked |= {name, link, root}

    def _put(self, number: int, member: Member, name: str) -> None:
        """Put a member where another one may be."""
        before = self._last.get(name)
        now = _Seen(number, member.kind, member.link)
        if before is None:
            if now.kind is MemberKind.HARDLINK and entry_name(now.link) == name:
                raise MemberUnexpected(
                    f"the archive's hard link {shown(member.name)} leads to itself, before the file of that name: "
                    "no program can unpack that"
                )
            self._last[name] = now
            return
        if _changes_nothing(before, now, name):
            self.dropped.add(number)
            return
        both_data = before.kind in _DATA and now.kind in _DATA
        if not (both_data or before.kind is now.kind is MemberKind.SYMLINK):
            raise MemberDuplicated(
                f"the archive holds {shown(member.name)} twice, as {before.kind} and as {now.kind}"
            )
        if name in self._linked:
            raise MemberDuplicated(
                f"the archive holds {shown(member.name)} twice, and a hard link to or from it: "
                "programs do not agree on what that leaves"
            )
        if not self._is_last:
            raise MemberDuplicated(f"the archive holds {shown(member.name)} twice")
        self.dropped.add(before.number)
        self.replaced += 1
        self._last[name] = now


def _changes_nothing(before: _Seen, now: _Seen, name: str) -> bool:
    if now.kind is MemberKind.HARDLINK and entry_name(now.link) == name:
        return before.kind in _DATA
    same = before.kind is now.kind
    return same and (now.kind in {MemberKind.DIRECTORY, MemberKind.LABEL} or _is_same_link(before, now))


def _is_same_link(before: _Seen, now: _Seen) -> bool:
    return now.kind is MemberKind.SYMLINK and before.link == now.link


def _hashes_that_come_again(members: Iterable[Member]) -> set[int]:
    """Give the hashes of the paths that come more than once, and perhaps of a few others.

    Raises:
        MemberUnexpected: A hard link leads to what only comes after it.
    """
    seen: set[int] = set()
    again: set[int] = set()
    early: dict[int, Member] = {}
    for member in members:
        name = hash(entry_name(member.name))
        if member.kind is MemberKind.HARDLINK:
            link = hash(entry_name(member.link))
            if link not in seen and link != name:
                early.setdefault(link, member)
        (again if name in seen else seen).add(name)
    for link, member in early.items():
        if link in seen:
            raise MemberUnexpected(
                f"the archive's hard link {shown(member.name)} leads to {shown(member.link)}, which only comes after it: "
                "no program can unpack that"
            )
    return again
