"""How tars end: with a marker, with half of one, without any, or with another tar."""

import gzip

import pytest

from scicat_retriever.onepass.archive_stream import ArchiveStream
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import AnotherTar, TarFault, TrailingGarbage, TruncatedArchive
from scicat_retriever.onepass.member import Member, MemberKind
from scicat_retriever.onepass.tar.rules import TarRules
from scicat_retriever.onepass.tar.walker import TarWalker
from tests.unit.onepass.tars import END, file, header, pax, walk

ONE, TWO = file(b"one", b"x"), file(b"two", b"y" * 600)
JOINED = TarRules(joined=True)
CUTS: list[tuple[int, ...]] = [(), (1,), (512,), (700, 13)]


def names(members: list[Member]) -> list[str]:
    return [member.name for member in members]


@pytest.mark.parametrize("zeros", [0, 100, 512, 700])
@pytest.mark.parametrize("cuts", CUTS)
def test_a_tar_without_a_whole_marker_is_read_where_nothing_can_be_cut_off(
    zeros: int, cuts: tuple[int, ...]
) -> None:
    data = ONE + TWO + bytes(zeros)
    assert names(walk(data, cuts, needs_marker=False)) == ["one", "two"]
    with pytest.raises(TruncatedArchive, match="after 2 files"):
        walk(data, cuts)


def test_a_tar_without_a_marker_has_to_stop_behind_a_whole_member() -> None:
    data = ONE + pax({b"mtime": b"1"}) + TWO
    whole = {len(ONE), len(data)}
    taken = set()
    for cut in range(0, len(data) + 1, 4):
        try:
            walk(data[:cut], needs_marker=False)
        except TarFault:
            continue
        taken.add(cut)
    assert taken == whole


@pytest.mark.parametrize("data", [b"", bytes(100), bytes(512)])
def test_nothing_is_no_tar_without_a_marker(data: bytes) -> None:
    with pytest.raises(TruncatedArchive):
        walk(data, needs_marker=False)


@pytest.mark.parametrize("cuts", CUTS)
@pytest.mark.parametrize("between", [bytes(512), END, END + bytes(512 * 17)])
def test_joined_tars_are_read_where_that_is_wanted(between: bytes, cuts: tuple[int, ...]) -> None:
    members = walk(ONE + between + TWO + END + bytes(300), cuts, rules=JOINED)
    assert [(each.name, each.size, each.offset) for each in members] == [
        ("one", 1, 512),
        ("two", 600, len(ONE) + len(between) + 512),
    ]


def test_joined_tars_are_counted() -> None:
    walker = TarWalker(ChecksumAlgorithm.SHA256, lambda _: None, rules=JOINED)
    walker.feed(memoryview(ONE + END + TWO + bytes(512) + ONE + END))
    walker.finish()
    assert walker.tars == 3


def test_joined_tars_that_are_not_wanted_are_told_apart_from_garbage() -> None:
    with pytest.raises(AnotherTar, match="offset 2048"):
        walk(ONE + END + TWO + END)
    with pytest.raises(TrailingGarbage, match="offset 2052") as garbage:
        walk(ONE + END + bytes(4) + TWO + END)
    assert type(garbage.value) is TrailingGarbage


@pytest.mark.parametrize("rest", [b"garbage" * 99, bytes(7) + TWO, TWO[:900], pax({b"mtime": b"1"}) + END])
def test_what_follows_a_tar_has_to_be_a_whole_tar(rest: bytes) -> None:
    with pytest.raises(TarFault):
        walk(ONE + END + rest, rules=JOINED)


def test_a_tar_of_joined_ones_has_to_end_with_a_marker_too() -> None:
    with pytest.raises(TruncatedArchive):
        walk(ONE + END + TWO, rules=JOINED)


def test_compressed_tars_are_joined_as_others_are() -> None:
    members: list[Member] = []
    walker = TarWalker(ChecksumAlgorithm.SHA256, members.append, rules=JOINED)
    stream = ArchiveStream(walker, max_unpacked_bytes=None)
    stream.feed(memoryview(gzip.compress(ONE + END) + gzip.compress(TWO + END)))
    stream.finish()
    assert (names(members), stream.tars) == (["one", "two"], 2)


def test_a_compressed_tar_without_a_marker_is_read_where_nothing_can_be_cut_off() -> None:
    members: list[Member] = []
    stream = ArchiveStream(TarWalker(ChecksumAlgorithm.SHA256, members.append), max_unpacked_bytes=None)
    stream.feed(memoryview(gzip.compress(ONE + TWO)))
    stream.finish(needs_marker=False)
    assert names(members) == ["one", "two"]


def test_a_label_with_content_is_none() -> None:
    assert walk(header(b"tape", kind=b"V") + END)[0].kind is MemberKind.LABEL
    assert walk(file(b"tape", b"content", kind=b"V") + ONE + END)[0].kind is MemberKind.OTHER
