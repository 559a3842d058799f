"""Verify: what was read against what was catalogued. The only maker of a `Verified`."""

from __future__ import annotations

import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import chain

from scicat_retriever.domain.dataset import EntryKind, FileEntry
from scicat_retriever.domain.errors import (
    CatalogueFileDuplicated,
    ChecksumMissing,
    MemberDuplicated,
    MemberMissing,
    MemberUnexpected,
    MemberUnsafe,
)
from scicat_retriever.domain.evidence import Copied, Integrity, Verified
from scicat_retriever.domain.likeness import Tally, alike
from scicat_retriever.onepass.member import Member, MemberKind, shown
from scicat_retriever.onepass.tar.walker import members_allowance
from scicat_retriever.pipeline.transfer.entry_check import EntryCheck

_LONGEST_PART = 255
"""Characters of a path's part that are looked at for likeness; file systems have no longer ones."""
_DEEP = 100
"""Folders above a folder; where it has more, those above it are not looked for in another spelling."""
_SHORT_NAME = 256
"""Characters of a folder's name; for each so many it counts as one more, as it does while a tar is walked."""


@dataclass(slots=True)
class _Comparison:
    """Catalogued files still to be met, and those that were.

    Attributes:
        expected: Those that were not met yet, by name.
        check: Compares what is met.
        met: Members that are catalogued, by their own name.
        strange: Those that hold data and are not catalogued under their own name.
        loose: Directories and symbolic links that are not, where folders or links are catalogued.
        hardlinks: Names of the hard links.
        symlinks: Names of the symbolic links.
        passed_over: Names of what an operator has passed over, which is no folder.
        folders: The folders that members lie in.
        alike: What was matched although its names are spelled differently.
    """

    expected: dict[str, FileEntry]
    check: EntryCheck
    met: dict[str, Member] = field(default_factory=dict)
    strange: dict[str, Member] = field(default_factory=dict)
    loose: dict[str, Member] = field(default_factory=dict)
    hardlinks: set[str] = field(default_factory=set)
    symlinks: set[str] = field(default_factory=set)
    passed_over: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    alike: Tally = field(default_factory=Tally)
    _differ: dict[str, str] = field(default_factory=dict)
    _keeps_loose: bool = field(init=False)
    _most_implied: int = field(init=False)

    def __post_init__(self) -> None:
        entries = self.expected.values()
        self._most_implied = members_allowance(len(entries))
        self._keeps_loose = any(entry.is_folder or entry.kind is EntryKind.LINK for entry in entries)

    def meet(self, member: Member) -> None:
        """Take one member of the archive in, in the archive's order; a LABEL is what is passed over."""
        name = entry_name(member.name)
        if member.unsafe or not (name or member.kind is MemberKind.DIRECTORY):
            raise MemberUnsafe(
                f"the archive's member {shown(member.name)} leads outside the folder it is unpacked into"
            )
        self.folders.add(name.rpartition("/")[0])
        if name in self.met or name in self.strange:
            raise MemberDuplicated(f"the archive holds {shown(member.name)} twice")
        if member.kind is MemberKind.LABEL:
            self._pass_over(name, member)
            return
        if member.kind is MemberKind.HARDLINK:
            self.hardlinks.add(name)
            member = self._target(member)
        if member.kind is MemberKind.SYMLINK:
            self.symlinks.add(name)
        entry = self.expected.get(name)
        if entry is None:
            self._put_aside(name, member)
        else:
            self._take(name, entry, member)

    def _pass_over(self, name: str, member: Member) -> None:
        link = entry_name(member.link)
        if member.link and link in self.symlinks:
            self.symlinks.add(name)
        elif member.link and link not in self.passed_over:
            self._target(member)
        self.passed_over.add(name)

    def _take(self, name: str, entry: FileEntry, member: Member) -> None:
        self.check.compare(entry, member, linked=name in self.hardlinks)
        self.met[name] = member
        del self.expected[entry_name(entry.path)]

    def _put_aside(self, name: str, member: Member) -> None:
        """Keep a member that is not catalogued by its own name: it may be by another spelling."""
        if member.kind in {MemberKind.DIRECTORY, MemberKind.SYMLINK} and name not in self.hardlinks:
            # They hold no bytes of the dataset, so they need not be catalogued; everything else must be.
            if self._keeps_loose:
                self.loose[name] = member
            return
        self.strange[name] = member
        if len(self.strange) > len(self.expected):
            self._refuse_strange()

    def finish(self, declared_size: int, source_folder: Callable[[], str | None]) -> None:
        """Look at what only all members together tell."""
        if self._keeps_loose:
            self._take_implied_folders()
        if self.expected and self._keep_implied_folders() and (self.strange or self.loose):
            self._match_alike(source_folder())
        self._refuse_strange()
        self._refuse_nesting()
        self._refuse_missing()
        if declared_size and not self.check.compared_bytes:
            raise ChecksumMissing(
                f"the catalogue declares {declared_size} bytes and lists no file that has any: nothing was compared"
            )

    def _match_alike(self, source_folder: str | None) -> None:
        """Match members and entries whose names are spelled differently, where size and checksum agree."""
        aside = self.loose | self.strange

        def agree(name: str, catalogued: str) -> bool:
            entry = self.expected[catalogued]
            agrees = self.check.agrees(entry, aside[name], linked=name in self.hardlinks)
            if not agrees:
                self._differ[name] = entry.path
            return agrees

        for name, catalogued, kind in alike(aside, self.expected, source_folder, agree):
            entry = self.expected[catalogued]
            self._take(name, entry, aside[name])
            self.alike.add(kind, entry.path, name)
            self.strange.pop(name, None)

    def _refuse_strange(self) -> None:
        for name, member in self.strange.items():
            near = self._differ.get(name)
            hint = (
                ""
                if near is None
                else f"; {shown(near)} is spelled alike, but its size or checksum is not the same"
            )
            raise MemberUnexpected(f"the archive holds {shown(member.name)}, which is not catalogued{hint}")

    def _take_implied_folders(self) -> None:
        """Take catalogued folders that are no members, since something lies in them: unpacking makes them."""
        folders = sorted(f"{folder}/" for folder in self.folders)
        for name, entry in list(self.expected.items()):
            if entry.is_folder and entry.digest is None and (not name or _has_below(name, folders)):
                del self.expected[name]

    def _keep_implied_folders(self) -> bool:
        """Keep folders that members lie in with those whose names may be spelled otherwise.

        Says whether names can be matched at all. An archive made for it implies a hundred folders with each
        member: where they are more than an honest one may have members, they are not kept, and no name is
        matched without seeing them all.
        """
        if not self._keeps_loose:
            return True
        implied = _ancestors(self.folders, self._most_implied)
        if implied is None:
            return False
        for folder in implied:
            if folder not in self.met and folder not in self.strange:
                self.loose.setdefault(folder, _implied(folder))
        return True

    def _refuse_missing(self) -> None:
        for entry in self.expected.values():
            raise MemberMissing(f"{shown(entry.path)} is catalogued and not in the archive")

    def _refuse_nesting(self) -> None:
        """Refuse `a/b` beside an `a` that is no folder: it cannot be unpacked, or goes where a link leads."""
        files = (name for name, member in self.met.items() if member.kind is not MemberKind.DIRECTORY)
        if (name := _first_above(chain(files, self.passed_over), self.folders)) is not None:
            raise MemberUnsafe(f"the archive's member {shown(name)} is no folder, and others lie below it")
        if not self.symlinks:
            return
        # Some file systems take names for the same that differ in case or in how an accent is written.
        links = {_alike(name): name for name in self.symlinks}
        if (name := _first_above(links, map(_alike, self.folders))) is not None:
            raise MemberUnsafe(
                f"the archive's members below the symbolic link {shown(links[name])} "
                "lead outside the folder they are unpacked into"
            )

    def _target(self, member: Member) -> Member:
        link = entry_name(member.link)
        target = self.met.get(link) or self.strange.get(link)
        if target is None:
            raise MemberUnexpected(
                f"the archive's hard link {shown(member.name)} leads to {shown(member.link)}, which is not in it"
            )
        return target._replace(name=member.name)


def _first_above(names: Iterable[str], folders: Iterable[str]) -> str | None:
    """Give a name that is also a folder, or an ancestor of one; each costs one look-up."""
    ordered = sorted(f"{folder}/" for folder in folders)
    return next((name for name in names if _has_below(name, ordered)), None)


def _ancestors(folders: Iterable[str], most: int) -> set[str] | None:
    """Give folders and those above them; None where they are too many, long names counted more."""
    found: set[str] = set()
    counted = 0
    for folder in folders:
        above = folder if folder.count("/") < _DEEP else ""
        while above and above not in found:
            found.add(above)
            counted += 1 + len(above) // _SHORT_NAME
            if counted > most:
                return None
            above = above.rpartition("/")[0]
    return found


def _implied(folder: str) -> Member:
    return Member(folder, MemberKind.DIRECTORY, 0, 0, "", "", unsafe=False)


def _has_below(name: str, ordered: Sequence[str]) -> bool:
    """Say whether a name is one of the folders, or an ancestor of one.

    Args:
        name: The name.
        ordered: The folders, each with a `/` at its end, sorted.
    """
    prefix = f"{name}/"
    at = bisect_left(ordered, prefix)
    return at < len(ordered) and ordered[at].startswith(prefix)


def _alike(path: str) -> str:
    """Spell a path as one that ignores case and the composition of accents (NFC)."""
    if path.isascii():
        return path.lower()
    return "/".join(unicodedata.normalize("NFC", part[:_LONGEST_PART].casefold()) for part in path.split("/"))


def entry_name(path: str) -> str:
    """Name a catalogued file as a tar member is named: without a leading `./` and doubled slashes."""
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def against_catalogue(
    copied: Copied,
    members: Iterable[Member],
    catalogued: Iterable[FileEntry],
    check: EntryCheck,
    declared_size: int,
    source_folder: Callable[[], str | None] = lambda: None,
) -> Verified:
    """Compare every member of the copy with the catalogue, and the catalogue with the copy.

    A member and an entry whose names are spelled differently are matched by the rule of `domain.likeness`,
    where size and checksum agree.

    Holds the catalogue's list in memory (about 300 bytes a file); streams the members.

    Args:
        copied: The evidence of the copy.
        members: What the archive was found to hold, from the sealed manifest.
        catalogued: What the catalogue says it holds.
        check: Compares one entry with one member; used for this comparison alone.
        declared_size: Bytes of all files together, as the datablock's own entry has it.
        source_folder: Asked for the dataset's folder, as catalogued, where names are spelled differently.

    Raises:
        IntegrityError: A subclass for each way in which the two can differ; the message names the file. Where
            bytes are declared and none could be compared, that is `ChecksumMissing`, whatever the policy.
    """
    expected = _unique(catalogued)
    files = len(expected)
    comparison = _Comparison(expected, check)
    for member in members:
        comparison.meet(member)
    comparison.finish(declared_size, source_folder)
    integrity = Integrity.SIZE_ONLY if check.sizes_only else Integrity.VERIFIED
    return Verified(copied, integrity, files, comparison.alike.matched())


def _unique(catalogued: Iterable[FileEntry]) -> dict[str, FileEntry]:
    expected: dict[str, FileEntry] = {}
    for entry in catalogued:
        name = entry_name(entry.path)
        if name in expected:
            raise CatalogueFileDuplicated(f"the catalogue lists {shown(entry.path)} twice in this datablock")
        expected[name] = entry
    return expected
