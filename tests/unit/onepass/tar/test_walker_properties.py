"""For any members and any pieces the walk says what the standard library says; nothing cut is ever complete."""

import hashlib
import io
import os
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.errors import TarFault, TransferFault
from scicat_retriever.onepass.member import MemberKind
from tests.unit.onepass.tars import info, packed, walk

PART = st.binary(min_size=1, max_size=40).map(lambda raw: os.fsdecode(raw.translate(None, b"/\0") or b"_"))
NAME = st.lists(PART.filter(lambda part: part not in (".", "..")), min_size=1, max_size=6).map("/".join)
FILE = st.tuples(NAME, st.just(tarfile.REGTYPE), st.binary(max_size=1500), st.just(""))
FOLDER = st.tuples(NAME, st.just(tarfile.DIRTYPE), st.just(b""), st.just(""))
LINK = st.tuples(NAME, st.sampled_from([tarfile.SYMTYPE, tarfile.LNKTYPE]), st.just(b""), NAME)
MEMBERS = st.lists(st.one_of(FILE, FILE, FOLDER, LINK), max_size=6)
FORMAT = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
CUTS = st.lists(st.integers(1, 3000), max_size=8)

Described = tuple[str, bytes, bytes, str]


def archive(members: list[Described], kind: int) -> bytes:
    return packed([(info(name, len(data), sort, link), data) for name, sort, data, link in members], kind)


def end_of_marker(data: bytes) -> int:
    """Where the two zero blocks end: padding follows."""
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        tar.getmembers()
        return tar.offset + 512


@given(MEMBERS, FORMAT, CUTS)
def test_the_walk_agrees_with_the_standard_library(
    members: list[Described], kind: int, cuts: list[int]
) -> None:
    data = archive(members, kind)
    expected = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:", encoding="utf-8", errors="surrogateescape") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            digest = hashlib.sha256(content.read()).hexdigest() if content else ""
            expected.append((member.name, member.size, digest, member.linkname, member.isdir()))
    found = [
        (one.name, one.size, one.digest, one.link, one.kind is MemberKind.DIRECTORY)
        for one in walk(data, cuts)
    ]
    assert found == expected


@given(MEMBERS, FORMAT, CUTS, st.data())
def test_a_cut_anywhere_is_never_taken_as_complete(
    members: list[Described], kind: int, cuts: list[int], draw: st.DataObject
) -> None:
    data = archive(members, kind)
    cut = draw.draw(st.integers(0, end_of_marker(data) - 1))
    with pytest.raises(TarFault):
        walk(data[:cut], cuts)


def test_a_cut_at_each_byte_is_never_taken_as_complete() -> None:
    data = archive(
        [("a" * 120, tarfile.REGTYPE, b"content", ""), ("b", tarfile.DIRTYPE, b"", "")], tarfile.PAX_FORMAT
    )
    accepted = []
    for cut in range(end_of_marker(data)):
        try:
            walk(data[:cut])
        except TarFault:
            continue
        accepted.append(cut)
    assert accepted == []


@given(st.binary(max_size=5000), CUTS)
def test_garbage_is_refused_by_our_own_errors_alone(data: bytes, cuts: list[int]) -> None:
    with pytest.raises(TransferFault):
        walk(data + b"\1", cuts)


@given(
    MEMBERS, FORMAT, st.lists(st.tuples(st.integers(0, 9999), st.integers(0, 255)), min_size=1, max_size=9)
)
def test_damaged_archives_raise_our_own_errors_or_give_whole_members(
    members: list[Described], kind: int, damage: list[tuple[int, int]]
) -> None:
    data = bytearray(archive(members, kind))
    for position, value in damage:
        data[position % len(data)] = value
    try:
        found = walk(bytes(data), (600,))
    except TransferFault:
        return
    for member in found:
        content = bytes(data[member.offset : member.offset + member.size])
        assert member.kind is not MemberKind.FILE or hashlib.sha256(content).hexdigest() == member.digest
