"""Extended headers of any size: what shapes a member is kept, all else is passed over as it comes."""

import shutil
import subprocess
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import BadHeader, HeaderTooLarge, SparseMember, TooManyMembers
from scicat_retriever.onepass.tar.pax import PaxReader
from scicat_retriever.onepass.tar.walker import TarWalker
from tests.unit.onepass.tars import END, file, header, octal, padded, pax, pax_record, walk

KEY = st.sampled_from([b"path", b"size", b"linkpath", b"mtime", b"GNU.dumpdir", b"SCHILY.xattr.user.a"])
VALUE = st.binary(max_size=300).map(lambda value: value.replace(b"\0", b"n"))


@pytest.mark.parametrize("cuts", [(), (511,), (100_000,)])
def test_a_record_of_any_length_that_shapes_nothing_is_passed_over(cuts: tuple[int, ...]) -> None:
    records = {b"path": b"long/name", b"GNU.dumpdir": b"Nsome-file\0" * 150_000, b"size": b"1"}
    data = pax(records) + header(b"short") + padded(b"x") + END
    (member,) = walk(data, cuts)
    assert (member.name, member.size) == ("long/name", 1)


def test_a_large_record_is_not_held() -> None:
    piece = memoryview(bytes(1 << 20))
    body = 100 * len(piece)
    walker = TarWalker(ChecksumAlgorithm.SHA256, lambda _: None)
    tracemalloc.start()
    try:
        walker.feed(memoryview(header(b"x", octal(body), b"x") + b"%d GNU.dumpdir=" % body))
        for _ in range(90):
            walker.feed(piece)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.skipif(shutil.which("tar") is None, reason="GNU tar is not installed")
def test_the_list_of_a_large_folder_by_gnu_tar_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "scan"
    folder.mkdir()
    for number in range(6000):
        (folder / f"{number:0200}").touch()
    done = subprocess.run(
        [
            "tar",
            "-C",
            str(tmp_path),
            "-c",
            "-f",
            "-",
            "--incremental",
            "--format=posix",
            "--sort=name",
            "scan",
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )
    assert done.stdout.count(b"GNU.dumpdir=") == 1
    assert len(walk(done.stdout, (99_999,))) == 6001


@given(st.lists(st.tuples(KEY, VALUE), max_size=6), st.lists(st.integers(1, 400), min_size=1, max_size=5))
def test_the_pieces_decide_nothing(records: list[tuple[bytes, bytes]], cuts: list[int]) -> None:
    body = b"".join(pax_record(key, value) for key, value in records) + bytes(5)
    expected = {key: value for key, value in records if key in (b"path", b"size", b"linkpath")}
    reader = PaxReader(0, len(body))
    at = number = 0
    while at < len(body):
        step = cuts[number % len(cuts)]
        reader.feed(memoryview(body)[at : at + step])
        at, number = at + step, number + 1
    reader.finish()
    assert (reader.shaping, reader.records) == (expected, len(records))


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_body_that_ends_within_a_record_is_malformed(cut: int) -> None:
    body = pax_record(b"comment", b"c" * 30) + pax_record(b"path", b"p" * 30)
    body = body[: len(body) - cut]
    with pytest.raises(BadHeader, match="malformed"):
        walk(header(b"x", octal(len(body)), b"x") + padded(body) + file(b"one", b"x") + END)


@pytest.mark.parametrize("cuts", [(), (511,), (4096,)])
def test_a_record_that_is_passed_over_is_malformed_too_where_it_ends_without_a_line_feed(
    cuts: tuple[int, ...],
) -> None:
    body = pax_record(b"comment", b"c" * 30_000)[:-1] + b"c" + pax_record(b"path", b"other")
    with pytest.raises(BadHeader, match="malformed"):
        walk(header(b"x", octal(len(body)), b"x") + padded(body) + file(b"one", b"x") + END, cuts)


@pytest.mark.parametrize("key", [b" path", b"\tpath"])
def test_a_key_behind_more_blanks_is_malformed_since_gnu_tar_passes_over_them(key: bytes) -> None:
    with pytest.raises(BadHeader, match="malformed"):
        walk(pax({key: b"other"}) + file(b"one", b"x") + END)


def test_a_key_without_an_end_is_malformed_before_all_of_it_has_come() -> None:
    with pytest.raises(BadHeader, match="malformed"):
        walk(header(b"x", octal(100_000), b"x") + b"99999 " + b"k" * 10_000)


def test_a_sparse_file_is_told_however_far_behind_that_stands() -> None:
    with pytest.raises(SparseMember):
        walk(
            pax({b"comment": bytes(3_000_000), b"GNU.sparse.size": b"1"}) + file(b"one", b"x") + END, (4096,)
        )


def test_many_small_records_are_bounded_as_members_are() -> None:
    body = b"6 a=b\n" * 64_000
    data = header(b"x", octal(len(body)), b"x") + padded(body) + file(b"one", b"x") + END
    assert len(walk(data, (4096,), most_members=1001)) == 1
    with pytest.raises(TooManyMembers):
        walk(data, (4096,), most_members=900)


def test_long_names_are_held_and_bounded() -> None:
    long_name = file(b"././@LongLink", b"n" * 600_000, kind=b"K", magic=b"ustar  \0")
    with pytest.raises(HeaderTooLarge, match="long names"):
        walk(long_name * 2 + file(b"one", b"x") + END)
