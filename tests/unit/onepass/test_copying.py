"""One pass: the copy is the source, each byte read once, whatever the source is."""

import gzip
import os
import tarfile
import time
import zlib
from contextlib import nullcontext
from pathlib import Path

import pytest
import xxhash

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import CopyReport, copy_and_hash
from scicat_retriever.onepass.errors import LongerThanDeclared, NotATar, TransferFault, Truncated
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


@pytest.mark.parametrize("most", [1, 700, 5000, 100_000])
def test_of_a_compressed_archive_the_tar_is_written(most: int, tmp_path: Path) -> None:
    plain = small_tar() if most > 1 else packed([(info("one", 3000), bytes(3000))])
    data = gzip.compress(plain, 1)
    report, members = copied(Trickle(data, most), tmp_path / "partial")
    assert (tmp_path / "partial").read_bytes() == plain
    assert members == walk(plain)
    assert (report.archive_bytes, report.unpacked_bytes, report.gzip) == (len(data), len(plain), True)
    assert report.archive_checksum == xxhash.xxh3_128(plain).hexdigest()
    assert report.pieces.size == len(plain)


def test_a_large_compressed_archive_of_many_gzip_members_is_written_as_its_tar(
    large_tar: bytes, tmp_path: Path
) -> None:
    third = len(large_tar) // 3
    data = b"".join(gzip.compress(part, 1) for part in (large_tar[:third], large_tar[third:])) + bytes(5000)
    report, members = copied(Trickle(data, 3_000_000), tmp_path / "partial")
    written = (tmp_path / "partial").read_bytes()
    assert written == large_tar
    assert members == walk(large_tar)
    crcs = [f"{zlib.crc32(written[at : at + PIECE_BYTES]):08x}" for at in range(0, len(written), PIECE_BYTES)]
    assert report.pieces.of(ChecksumAlgorithm.CRC32) == crcs


def test_what_is_known_to_be_plain_is_never_unpacked(tmp_path: Path) -> None:
    with pytest.raises(NotATar):
        copy_and_hash(
            Trickle(gzip.compress(small_tar()), 5000),
            tmp_path / "partial",
            algorithm=ChecksumAlgorithm.SHA256,
            on_member=lambda _: None,
            plain=True,
        )


@pytest.mark.parametrize("stands_still", [1, 2, 10, 3000])
def test_a_compressed_source_that_stands_still_is_passed_on_and_goes_on(
    stands_still: int, tmp_path: Path
) -> None:
    """Its first bytes may come one by one, and what was unpacked is not held back."""
    plain = small_tar()
    data = gzip.compress(plain, 1)

    class Waits(Trickle):
        waits = 3

        def readinto(self, buffer: memoryview) -> int:
            if self.given == stands_still and self.waits:
                self.waits -= 1
                time.sleep(0.2)
                raise BlockingIOError
            return super().readinto(buffer[: max(1, stands_still - self.given)])

    _, members = copied(Waits(data, 5000), tmp_path / "partial")
    assert (tmp_path / "partial").read_bytes() == plain
    assert members == walk(plain)


@pytest.mark.parametrize("cut", [-1, -9, 700, 20, 5, 2])
def test_a_compressed_archive_that_is_cut_is_never_taken_as_complete(cut: int, tmp_path: Path) -> None:
    data = gzip.compress(small_tar(), 1)[:cut]
    with pytest.raises(TransferFault):
        copied(Trickle(data, 5000), tmp_path / "partial")


def test_the_declared_length_is_that_of_the_compressed_archive(tmp_path: Path) -> None:
    data = gzip.compress(small_tar(), 1)
    for declared, fault in (
        (len(data), None),
        (len(data) + 1, Truncated),
        (len(data) - 1, LongerThanDeclared),
    ):
        with pytest.raises(fault) if fault else nullcontext():
            copy_and_hash(
                Trickle(data, 4096),
                tmp_path / "partial",
                algorithm=ChecksumAlgorithm.MD5,
                on_member=lambda _: None,
                expected_bytes=declared,
            )


def test_a_compressed_archive_of_catalogued_size_may_lack_the_marker_of_its_tar(tmp_path: Path) -> None:
    plain = small_tar().rstrip(b"\0")
    plain += bytes(-len(plain) % 512)
    data = gzip.compress(plain, 1)
    report = copy_and_hash(
        Trickle(data, 4096),
        tmp_path / "partial",
        algorithm=ChecksumAlgorithm.MD5,
        on_member=lambda _: None,
        catalogued_bytes=len(data),
    )
    assert report.unpacked_bytes == len(plain)


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
