"""Compressed archives: of many gzip members, cut, damaged, followed by something, or too large."""

import gzip
import os
import tarfile
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.archive_stream import ArchiveStream
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import (
    BadGzip,
    NotATar,
    TransferFault,
    TruncatedArchive,
    UnpackedTooLarge,
)
from scicat_retriever.onepass.gunzip import unpacked_allowance
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.tar.walker import TarWalker
from tests.unit.onepass.tars import info, packed, pieces, walk

CONTENT = os.urandom(9000)
TAR = packed([(info("one", 9000), CONTENT), (info("empty"), b"")], tarfile.GNU_FORMAT)


def stream(
    data: bytes, cuts: tuple[int, ...] = (), *, plain: bool = False, most: int | None = None
) -> tuple[list[Member], ArchiveStream]:
    members: list[Member] = []
    archive = ArchiveStream(
        TarWalker(ChecksumAlgorithm.SHA256, members.append), plain=plain, max_unpacked_bytes=most
    )
    for piece in pieces(data, cuts):
        archive.feed(memoryview(piece))
    archive.finish()
    return members, archive


@pytest.mark.parametrize("cuts", [(), (1,), (2, 5), (4096,)])
def test_gzip_is_known_by_its_magic_and_walked_within(cuts: tuple[int, ...]) -> None:
    members, archive = stream(gzip.compress(TAR), cuts)
    assert (members, archive.is_gzip, archive.unpacked_bytes) == (walk(TAR), True, len(TAR))


@pytest.mark.parametrize("cuts", [(), (1,), (2, 5)])
def test_a_plain_tar_is_walked_as_it_is(cuts: tuple[int, ...]) -> None:
    members, archive = stream(TAR, cuts)
    assert (members, archive.is_gzip) == (walk(TAR), False)


@given(st.lists(st.integers(0, len(TAR)), max_size=6), st.integers(1, 5000))
def test_gzip_of_many_members_is_one_stream(cuts: list[int], piece: int) -> None:
    bounds = [0, *sorted(cuts), len(TAR)]
    data = b"".join(gzip.compress(TAR[a:b]) for a, b in pairwise(bounds))
    assert stream(data, (piece,))[0] == walk(TAR)


def test_gzip_cut_at_any_byte_is_never_complete() -> None:
    data = gzip.compress(packed([(info("one", 5), b"12345")], tarfile.USTAR_FORMAT))
    accepted = []
    for cut in range(len(data)):
        try:
            stream(data[:cut])
        except TransferFault:
            continue
        accepted.append(cut)
    assert accepted == []


def test_zeros_may_follow_gzip() -> None:
    assert stream(gzip.compress(TAR) + bytes(5000), (999,))[0] == walk(TAR)


@pytest.mark.parametrize(
    "rest", [b"garbage", bytes(600) + b"x", bytes(600) + gzip.compress(b"x"), b"\x1f\x8bx"]
)
def test_nothing_else_may_follow_gzip(rest: bytes) -> None:
    with pytest.raises(BadGzip):
        stream(gzip.compress(TAR) + rest)


def test_damage_within_gzip_is_found() -> None:
    data = bytearray(gzip.compress(TAR))
    data[-6] ^= 1
    with pytest.raises(BadGzip, match="damaged"):
        stream(bytes(data))


def test_what_is_known_to_be_plain_is_not_unpacked() -> None:
    with pytest.raises(NotATar, match="compressed with gzip"):
        stream(gzip.compress(TAR), plain=True)


def test_a_member_with_a_name_like_gzip_is_a_member_where_the_tar_is_known_to_be_plain() -> None:
    data = packed([(info("\x1f\x8b\x08"), b"")], tarfile.USTAR_FORMAT)
    assert [member.name for member in stream(data, plain=True)[0]] == ["\x1f\x8b\x08"]


@pytest.mark.parametrize("plain", [True, False])
def test_nothing_is_no_archive(plain: bool) -> None:
    with pytest.raises(TruncatedArchive):
        stream(b"", plain=plain)


def test_a_bomb_is_stopped_at_the_bound() -> None:
    bomb = gzip.compress(bytes(64 << 20), 9)
    with pytest.raises(UnpackedTooLarge, match=str(1 << 20)):
        stream(bomb, most=1 << 20)


def test_the_bound_counts_for_all_gzip_members_together() -> None:
    with pytest.raises(UnpackedTooLarge):
        stream(gzip.compress(bytes(6000)) * 3, most=12_000)


def test_an_honest_archive_is_within_its_allowance() -> None:
    entries = [(info(f"{'folder/' * 30}{number}", 1), b"x") for number in range(2000)]
    data = packed(entries, tarfile.PAX_FORMAT)
    assert len(stream(gzip.compress(data), most=unpacked_allowance(2000, 2000))[0]) == 2000
