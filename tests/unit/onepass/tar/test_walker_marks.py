"""What the walk tells of each member beside its checksum: CRC-32, time of change, and where its headers begin."""

import io
import os
import tarfile
import zlib
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.member import LATEST_MTIME, Member, MemberKind
from scicat_retriever.onepass.tar.rules import TarRules
from tests.unit.onepass.tars import END, file, header, info, octal, packed, padded, pax, walk

NAME = st.text("ab/ü", min_size=1, max_size=120).map(lambda name: name.strip("/").replace("//", "/") or "a")
TIME = st.one_of(st.integers(-(2**40), 2**40), st.floats(-1e12, 1e12, allow_nan=False), st.integers(0, 2**31))
CONTENT = st.binary(max_size=1500)
FORMAT = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
CUTS = st.lists(st.integers(1, 3000), max_size=8)


def with_time(name: str, content: bytes, time: float) -> tuple[tarfile.TarInfo, bytes]:
    made = info(name, len(content))
    made.mtime = time
    return made, content


def at_time(field: bytes) -> bytes:
    """Give a header block with this field for its time, and the right checksum."""
    block = bytearray(file(b"it", b"content"))
    block[136:148], block[148:156] = field, b" " * 8
    block[148:156] = b"%06o\0 " % sum(block[:512])
    return bytes(block)


def one(data: bytes) -> Member:
    (member,) = walk(data + END)
    return member


@given(st.lists(st.tuples(NAME, CONTENT, TIME), max_size=5), FORMAT, CUTS)
def test_crc_and_time_are_those_of_the_standard_library(
    files: list[tuple[str, bytes, float]], kind: int, cuts: list[int]
) -> None:
    if kind == tarfile.GNU_FORMAT:
        files = [(name, content, floor(time)) for name, content, time in files]
    data = packed([with_time(*each) for each in files], kind)
    found = [(member.crc, member.mtime) for member in walk(data, cuts)]
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        times = [min(max(floor(each.mtime), 0), LATEST_MTIME) for each in tar]
    assert found == [(zlib.crc32(content), time) for (_, content, _), time in zip(files, times, strict=True)]


@given(st.lists(st.tuples(NAME, CONTENT, TIME), min_size=1, max_size=5), FORMAT, CUTS)
def test_a_member_can_be_cut_out_whole(
    files: list[tuple[str, bytes, float]], kind: int, cuts: list[int]
) -> None:
    if kind == tarfile.GNU_FORMAT:
        files = [(name, content, floor(time)) for name, content, time in files]
    data = packed([with_time(*each) for each in files], kind)
    members = walk(data, cuts)
    after = [each.offset + each.size + -each.size % 512 for each in members]
    assert [each.start for each in members] == [0, *after[:-1]]
    for member, end in zip(members, after, strict=True):
        alone = one(data[member.start : end])
        assert alone == member._replace(offset=member.offset - member.start, start=0)


@pytest.mark.parametrize("size", [255 << 10, 256 << 10, 257 << 10, 3_000_001])
@pytest.mark.parametrize("cuts", [(), (1000,), (100_000, 7)])
def test_a_large_file_has_its_crc(size: int, cuts: tuple[int, ...]) -> None:
    content = os.urandom(size)
    members = walk(file(b"large", content) + file(b"next", b"x") + END, cuts)
    assert [member.crc for member in members] == [zlib.crc32(content), zlib.crc32(b"x")]


def test_links_and_folders_have_a_time_and_no_crc() -> None:
    entries = [(info("folder", kind=tarfile.DIRTYPE), b""), (info("x", kind=tarfile.SYMTYPE, link="y"), b"")]
    for entry, _ in entries:
        entry.mtime = 77
    told = [(each.kind, each.crc, each.mtime, each.start) for each in walk(packed(entries))]
    assert told == [(MemberKind.DIRECTORY, 0, 77, 0), (MemberKind.SYMLINK, 0, 77, 512)]


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"14000000000\0", 0o14000000000),
        (b"77777777777\0", LATEST_MTIME),
        (b"777777777777", LATEST_MTIME),
        (b"\x80" + (5).to_bytes(11, "big"), 5),
        (b"\x80" + b"\xff" * 11, LATEST_MTIME),
        (b"\xff" * 12, 0),
        (b"\xff" + (2**88 - 5).to_bytes(11, "big"), 0),
        (b"         17\0", 0o17),
        (b"-0000000005\0", 0),
        (bytes(12), 0),
        (b" " * 12, 0),
    ],
)
def test_a_time_in_a_header_is_bounded(field: bytes, expected: int) -> None:
    assert one(at_time(field)).mtime == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"5", 5),
        (b"5.999999999", 5),
        (b"5.", 5),
        (b"-0.5", 0),
        (b"-7", 0),
        (b"9" * 20, LATEST_MTIME),
        (b"1e3", 0o14000000000),
        (b"soon", 0o14000000000),
        (b"9" * 21, 0o14000000000),
        (b"5." + b"0" * 200, 0o14000000000),
        (b"", 0o14000000000),
    ],
)
@pytest.mark.parametrize("cuts", [(), (3,)])
def test_a_time_in_a_pax_header_goes_before_that_of_the_header(
    value: bytes, expected: int, cuts: tuple[int, ...]
) -> None:
    data = pax({b"comment": b"c", b"mtime": value}) + file(b"it", b"content") + file(b"next", b"") + END
    told = [member.mtime for member in walk(data, cuts)]
    assert told == [expected, 0o14000000000]


def test_a_time_for_all_members_holds_where_they_have_none_of_their_own() -> None:
    data = pax({b"mtime": b"100.5"}, b"g") + file(b"one", b"1")
    data += pax({b"mtime": b"200"}) + file(b"two", b"2") + header(b"d", kind=b"5") + END
    assert [member.mtime for member in walk(data)] == [100, 200, 100]


def test_what_speaks_of_all_members_is_no_part_of_the_next() -> None:
    of_all = pax({b"comment": b"of all"}, b"g")
    data = of_all + file(b"one", b"1") + of_all + pax({b"path": b"second"}) + file(b"two", b"2") + END
    starts = [member.start for member in walk(data)]
    assert starts == [len(of_all), 2 * len(of_all) + 1024]


def test_members_of_a_second_tar_begin_behind_the_end_of_the_first() -> None:
    first = file(b"one", b"1") + END + bytes(4096)
    members = walk(
        first + pax({b"path": b"x"}) + file(b"two", b"2") + END, (700,), rules=TarRules(joined=True)
    )
    assert [member.start for member in members] == [0, len(first)]


def test_a_long_name_belongs_to_its_member() -> None:
    long_name = header(b"././@LongLink", octal(4), b"L") + padded(b"long")
    data = file(b"one", b"1") + long_name + file(b"short", b"2") + END
    assert [(member.name, member.start) for member in walk(data, (100,))] == [("one", 0), ("long", 1024)]
