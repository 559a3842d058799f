"""What is verified is what unpacking leaves, whichever of the usual programs unpacks.

An input is two bytes and the tar itself:

    byte 0      bit 0: the header blocks are given their right checksums first, since a fuzzer cannot guess them
    byte 1      bit 0: of several members of one path the last is taken

A program that ends with an error said so, and may leave anything; one that ends without has to leave what was verified. Of what is
catalogued here nothing is missing and nothing is wrong: what the walk saw is the catalogue.
"""

from __future__ import annotations

from collections.abc import Iterator

from scicat_retriever.domain.dataset import FileEntry
from scicat_retriever.domain.errors import IntegrityError
from scicat_retriever.domain.evidence import Copied, DatablockKey, Recalled
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import TarFault
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.onepass.tar.walker import TarWalker
from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.transfer.entry_check import EntryCheck
from scicat_retriever.pipeline.transfer.unpacking import Unpacking
from scicat_retriever.pipeline.transfer.verify import against_catalogue, entry_name
from tests.fuzz.archive_target import with_checksums
from tests.fuzz.unpackers import Tree, unpacked_by_all

MOST_MEMBERS = 500
_PLAN_BYTES = 2
_KEY = DatablockKey(DatasetPid("p"), DatablockId("b"))
_COPIED = Copied(Recalled(_KEY, ArchiveId("a"), 0), 0, "", "", 0, "", "")
_SHA256 = ChecksumAlgorithm.SHA256
_HASHING = Hashing.of([_SHA256])
_REFUSE, _LAST = ArchivePolicy(), ArchivePolicy(duplicate_members="last")


def check_unpacking(data: bytes) -> None:
    """Have the tar of an input verified, and where it is, unpacked by all programs."""
    if len(data) < _PLAN_BYTES:
        return
    flags, last = data[:_PLAN_BYTES]
    tar = data[_PLAN_BYTES:]
    check_tar(with_checksums(tar) if flags & 1 else tar, _LAST if last & 1 else _REFUSE)


def check_tar(tar: bytes, policy: ArchivePolicy = _REFUSE) -> bool:
    """See that all programs leave what is verified; gives whether the tar is verified at all."""
    verified = verified_tree(tar, policy)
    if verified is None:
        return False
    labels = {entry_name(each.name) for each in walked(tar) if each.kind is MemberKind.LABEL}
    labels |= {above for label in labels for above in folders_above(label)}
    for program, unpacked in unpacked_by_all(tar).items():
        if unpacked.error:
            continue
        # tarfile makes an empty file of the name of a tape, which takes the place of none.
        left = {name: what for name, what in unpacked.tree.items() if name not in labels - set(verified)}
        assert without_implied(left, verified) == verified, f"{program} leaves {left}, verified is {verified}"
    return True


def verified_tree(tar: bytes, policy: ArchivePolicy) -> Tree | None:
    """Verify a tar against its own members; gives what it should leave, or None where it is refused."""
    try:
        members = walked(tar)
        catalogued = list(listed(members))
        unpacking = Unpacking(lambda: members, lambda: catalogued, policy)
        left = list(unpacking.left())
        against_catalogue(_COPIED, left, catalogued, EntryCheck(ChecksumPolicy(), (_SHA256,), _HASHING), 0)
    except (TarFault, IntegrityError):
        return None
    return expected_tree(left)


def walked(tar: bytes) -> list[Member]:
    """Walk a tar.

    Raises:
        TarFault: it is refused.
    """
    members: list[Member] = []
    walker = TarWalker(ChecksumAlgorithm.SHA256, members.append, MOST_MEMBERS)
    walker.feed(memoryview(tar))
    walker.finish(needs_marker=False)
    return members


def listed(members: list[Member]) -> Iterator[FileEntry]:
    """List all that carries data as a catalogue would, of files of one path the last."""
    contents: dict[str, Member] = {}
    for member in members:
        name = entry_name(member.name)
        if member.kind is MemberKind.FILE:
            contents[name] = member
        elif member.kind is MemberKind.HARDLINK and (target := contents.get(entry_name(member.link))):
            contents[name] = target
    for name, member in contents.items():
        yield FileEntry(name, member.size, member.digest)


def expected_tree(left: list[Member]) -> Tree:
    """Say what members leave that were verified, folders that are implied excepted."""
    tree: Tree = {}
    for member in left:
        name = entry_name(member.name)
        if member.kind is MemberKind.FILE:
            tree[name] = ("file", member.size, member.digest)
        elif member.kind is MemberKind.HARDLINK:
            tree[name] = tree[entry_name(member.link)]
        elif member.kind is MemberKind.SYMLINK:
            tree[name] = ("symlink", 0, member.link)
        elif name:
            tree[name] = ("directory", 0, "")
    return tree


def without_implied(left: Tree, verified: Tree) -> Tree:
    """Leave out folders that nothing but what lies in them tells of."""
    above = {folder for name in verified for folder in folders_above(name)}
    return {
        name: what
        for name, what in left.items()
        if name in verified or name not in above or what[0] != "directory"
    }


def folders_above(name: str) -> Iterator[str]:
    """Give the folders that a path lies in, the innermost first."""
    while name := name.rpartition("/")[0]:
        yield name
