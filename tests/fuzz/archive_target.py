"""What must hold for any bytes that claim to be an archive, in whatever pieces they come.

An input is a plan of nine bytes and the archive itself:

    byte 0      bit 0: the header blocks are given their right checksums first, since a fuzzer cannot guess them;
                bit 1: the archive is compressed first; bits 2-3: 2 if the caller says that it is a plain tar
    byte 1-8    four lengths of pieces, little-endian, taken in turn; 0 means 1
"""

from __future__ import annotations

import hashlib
import io
import struct
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import cycle

from scicat_retriever.onepass.archive_stream import ArchiveStream
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import GzipFault, TarFault, TransferFault
from scicat_retriever.onepass.member import Member, MemberKind, tidy_name
from scicat_retriever.onepass.tar.extensions import LONGEST_PATH
from scicat_retriever.onepass.tar.header import BLOCK, padding_after
from scicat_retriever.onepass.tar.walker import TarWalker

MOST_UNPACKED = 1 << 20
MOST_MEMBERS = 500
PLAN = struct.Struct("<B4H")
_PLAIN = 2


@dataclass
class Walked:
    """What came out of one walk."""

    members: list[Member] = field(default_factory=list)
    unpacked: int = 0
    fault: TransferFault | None = None


def check_archive(data: bytes) -> None:
    """Walk the archive of an input twice and hold the outcome against what must hold."""
    if len(data) < PLAN.size:
        return
    flags, *cuts = PLAN.unpack_from(data)
    archive = data[PLAN.size :]
    if flags & 1:
        archive = with_checksums(archive)
    if flags & 2:
        archive = compressed(archive)
    plain = flags >> 2 & 3 == _PLAIN
    at_once = walked(archive, [max(len(archive), 1)], plain=plain)
    in_pieces = walked(archive, [max(cut, 1) for cut in cuts], plain=plain)
    assert (at_once.fault is None) == (in_pieces.fault is None), "the pieces decide whether it is taken"
    for one in (at_once, in_pieces):
        check_bounds(one, len(archive))
    if at_once.fault is None:
        assert at_once.members == in_pieces.members, "the pieces decide what is seen"
        tar = unpacked(archive) if not plain and archive.startswith(b"\x1f\x8b\x08") else archive
        assert len(tar) == at_once.unpacked
        check_contents(at_once.members, tar)
        check_against_tarfile(at_once.members, tar)


def walked(archive: bytes, cuts: list[int], *, plain: bool) -> Walked:
    """Walk an archive; any other error than the declared ones passes through."""
    found = Walked()
    walker = TarWalker(ChecksumAlgorithm.SHA256, found.members.append, MOST_MEMBERS)
    stream = ArchiveStream(walker, plain=plain, max_unpacked_bytes=MOST_UNPACKED)
    try:
        for piece in pieces(archive, cuts):
            stream.feed(memoryview(piece))
        counts = stream.finish()
        assert counts.members == len(found.members)
    except (TarFault, GzipFault) as fault:
        found.fault = fault
    found.unpacked = stream.unpacked_bytes
    return found


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytearray]:
    """Cut the data up, each piece in a buffer of its own that is spoiled once it was taken."""
    at = 0
    for cut in cycle(cuts):
        if at >= len(data):
            return
        piece = bytearray(data[at : at + cut])
        yield piece
        piece[:] = b"\xff" * len(piece)
        at += cut


def check_bounds(one: Walked, given: int) -> None:
    """See that no more was kept or unpacked than is allowed, whether or not the archive was taken."""
    assert one.unpacked <= max(MOST_UNPACKED, given)
    # Members are counted after each piece, and a piece has one header in a block at the most.
    assert len(one.members) <= MOST_MEMBERS + (MOST_UNPACKED + given) // BLOCK
    assert len(one.members) <= MOST_MEMBERS if one.fault is None else len(str(one.fault)) < 2000
    for member in one.members:
        assert "\0" not in member.name
        assert max(len(member.name), len(member.link)) <= LONGEST_PATH
        assert member.unsafe == climbs(member)


def climbs(member: Member) -> bool:
    """Say in the plainest way whether unpacking a member could leave the folder."""
    paths = [member.name, member.link] if member.kind is MemberKind.HARDLINK else [member.name]
    return any(path.startswith("/") or ".." in path.split("/") for path in paths)


def check_contents(members: list[Member], tar: bytes) -> None:
    """See that each digest is that of the bytes at the member's offset."""
    end = 0
    for member in members:
        assert member.offset >= end, "two members share bytes"
        end = member.offset + member.size
        assert end <= len(tar)
        if member.kind is MemberKind.FILE:
            assert member.digest == hashlib.sha256(tar[member.offset : end]).hexdigest()
        else:
            assert (member.size, member.digest) == (0, "")


def check_against_tarfile(members: list[Member], tar: bytes) -> None:
    """See that the standard library, where it does not refuse the tar, finds the same files with the same bytes."""
    try:
        theirs = [(each[0], each[1:]) for each in files_of_tarfile(tar)]
    except (
        tarfile.TarError,
        ValueError,
        OverflowError,
        RecursionError,
        AttributeError,
        IndexError,
        KeyError,
    ):
        return
    assert not theirs or theirs[-1][0] is not None, "the standard library stops before the end"
    ours = [
        (each.name, (each.offset, each.size, each.digest)) for each in members if each.kind is MemberKind.FILE
    ]
    assert [each[1] for each in ours] == [each[1] for each in theirs]
    for (our_name, _), (their_name, _) in zip(ours, theirs, strict=True):
        assert their_name is not None
        if their_name:
            assert tidy_name(their_name) == our_name


def files_of_tarfile(tar: bytes) -> list[tuple[str | None, int, int, str]]:
    """List the files as the standard library sees them; None as the last name if it stopped before the end."""
    files: list[tuple[str | None, int, int, str]] = []
    with tarfile.open(fileobj=io.BytesIO(tar), encoding="utf-8", errors="surrogateescape") as opened:
        for info in opened:
            if info.isreg():
                content = tar[info.offset_data : info.offset_data + info.size]
                files.append((info.name, info.offset_data, info.size, hashlib.sha256(content).hexdigest()))
        stopped = opened.offset
    if any(tar[stopped : stopped + BLOCK]):
        files.append((None, 0, 0, ""))
    return files


def with_checksums(archive: bytes) -> bytes:
    """Give the blocks that would be read as headers the checksums that they should have."""
    fixed = bytearray(archive)
    at = 0
    while at + BLOCK <= len(fixed):
        block = fixed[at : at + BLOCK]
        if any(block):
            block[148:156] = b" " * 8
            fixed[at + 148 : at + 156] = b"%06o\0 " % sum(block)
            digits = bytes(block[124:135])
            size = int(digits, 8) if digits.isdigit() and not set(digits) & set(b"89") else 0
            at += size + padding_after(size) if block[156:157] not in b"123456" else 0
        at += BLOCK
    return bytes(fixed)


def compressed(archive: bytes) -> bytes:
    """Compress with gzip, the same on every run."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(archive) + packer.flush()


def unpacked(archive: bytes) -> bytes:
    """Unpack gzip of any number of members, with zeros behind it or not."""
    out = bytearray()
    while archive.strip(b"\0"):
        unpacker = zlib.decompressobj(31)
        out += unpacker.decompress(archive)
        archive = unpacker.unused_data
    return bytes(out)
