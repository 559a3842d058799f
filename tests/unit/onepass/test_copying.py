"""One pass: the copy is the source, each byte read once, whatever the source is."""

import gzip
import os
import tarfile
import zlib
from pathlib import Path

import pytest
import xxhash

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import CopyReport, copy_and_hash
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.pieces import PIECE_BYTES
from scicat_retriever.onepass.staged_sums import archive_checksum_name
from tests.unit.onepass.tars import info, packed, walk


class Trickle:
    """A source that gives few bytes at a time, and counts them."""

    def __init__(self, data: bytes, most: int) -> None:
        self.data, self.most, self.given = data, most, 0

    def readinto(self, buffer: memoryview) -> int:
        piece = self.data[self.given : self.given + min(self.most, len(buffer))]
        buffer[: len(piece)] = piece
        self.given += len(piece)
        return len(piece)


def small_tar() -> bytes:
    contents = [os.urandom(number * 977) for number in range(40)]
    return packed([(info(f"frame{number}", len(data)), data) for number, data in enumerate(contents)])


@pytest.fixture(scope="module")
def large_tar() -> bytes:
    """Larger than all buffers of a copy together."""
    block = os.urandom(13_000_000)
    return packed([(info(f"frame{number}", len(block)), block) for number in range(3)], tarfile.USTAR_FORMAT)


def copied(source: object, partial: object) -> tuple[CopyReport, list[Member]]:
    members: list[Member] = []
    report = copy_and_hash(
        source,  # type: ignore[arg-type]
        partial,  # type: ignore[arg-type]
        algorithm=ChecksumAlgorithm.SHA256,
        on_member=members.append,
    )
    return report, members


def test_a_file_is_copied_and_its_members_are_hashed(large_tar: bytes, tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(large_tar)
    with (tmp_path / "source").open("rb") as source:
        report, members = copied(source.fileno(), tmp_path / "partial")
    assert (tmp_path / "partial").read_bytes() == large_tar
    assert members == walk(large_tar)
    assert (report.archive_bytes, report.unpacked_bytes, report.gzip) == (
        len(large_tar),
        len(large_tar),
        False,
    )
    assert (report.counts.files, sum(each.size for each in members)) == (3, 39_000_000)


def test_the_archive_has_a_checksum_of_its_own(tmp_path: Path) -> None:
    data = small_tar()
    report, _ = copied(Trickle(data, 1000), tmp_path / "partial")
    assert (archive_checksum_name(), report.archive_checksum) == (
        "xxh3-128",
        xxhash.xxh3_128(data).hexdigest(),
    )


def test_each_piece_of_what_was_written_has_a_crc(large_tar: bytes, tmp_path: Path) -> None:
    report, _ = copied(Trickle(large_tar, 3_000_000), tmp_path / "partial")
    written = (tmp_path / "partial").read_bytes()
    crcs = [f"{zlib.crc32(written[at : at + PIECE_BYTES]):08x}" for at in range(0, len(written), PIECE_BYTES)]
    assert (report.pieces.size, report.pieces.of(ChecksumAlgorithm.CRC32)) == (len(written), crcs)


@pytest.mark.parametrize("most", [1, 700, 100_000])
def test_a_source_that_gives_little_at_a_time_is_read_once(most: int, tmp_path: Path) -> None:
    data = packed([(info("one", 3000), bytes(3000))], tarfile.USTAR_FORMAT)
    source = Trickle(data, most)
    _, members = copied(source, tmp_path / "partial")
    assert (tmp_path / "partial").read_bytes() == data
    assert (members, source.given) == (walk(data), len(data))


def test_compressed_archives_are_kept_as_they_are(tmp_path: Path) -> None:
    plain = small_tar()
    data = gzip.compress(plain, 1)
    report, members = copied(Trickle(data, 5000), tmp_path / "partial")
    assert (tmp_path / "partial").read_bytes() == data
    assert members == walk(plain)
    assert (report.archive_bytes, report.unpacked_bytes, report.gzip) == (len(data), len(plain), True)


def test_an_open_partial_is_written_from_its_start_and_cut_to_length(tmp_path: Path) -> None:
    data = small_tar()
    path = tmp_path / "partial"
    path.write_bytes(bytes(len(data) + 5000))
    with path.open("r+b") as partial:
        copied(Trickle(data, 9999), partial.fileno())
        assert not partial.closed
    assert path.read_bytes() == data


def test_a_surface_without_uncached_writes_is_written_all_the_same() -> None:
    data = small_tar()
    partial = os.memfd_create("partial")
    try:
        copied(Trickle(data, 9999), partial)
        assert os.pread(partial, len(data) + 1, 0) == data
    finally:
        os.close(partial)


def test_the_declared_length_may_be_met_exactly(tmp_path: Path) -> None:
    data = small_tar()
    report = copy_and_hash(
        Trickle(data, 4096),
        tmp_path / "partial",
        algorithm=ChecksumAlgorithm.MD5,
        on_member=lambda _: None,
        expected_bytes=len(data),
    )
    assert report.archive_bytes == len(data)


def test_progress_ends_with_all_bytes(tmp_path: Path) -> None:
    data, told = small_tar(), list[int]()
    copy_and_hash(
        Trickle(data, 4096),
        tmp_path / "partial",
        algorithm=ChecksumAlgorithm.MD5,
        on_member=lambda _: None,
        progress=told.append,
    )
    assert told[-1] == len(data)
    assert told == sorted(told)
