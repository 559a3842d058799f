"""What goes wrong on the way: each fault is its own error, and nothing stays behind."""

import errno
import gzip
import os
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue

import pytest

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.chunks import CHUNKS, USERS, Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.errors import (
    BadHeader,
    CopyCancelled,
    LongerThanDeclared,
    PartialWriteFailed,
    SourceReadFailed,
    SourceStalled,
    TooManyMembers,
    Truncated,
    TruncatedArchive,
)
from scicat_retriever.onepass.source_reader import ReadsInto, SourceReader
from tests.unit.onepass.tars import END, file, header


class Bytes:
    """A source of given bytes that may end in an error, or never."""

    def __init__(self, data: bytes, then: BaseException | None = None, *, endless: bool = False) -> None:
        self.data, self.then, self.endless, self.given = data, then, endless, 0

    def readinto(self, buffer: memoryview) -> int:
        piece = self.data[self.given : self.given + len(buffer)]
        if not piece and self.then:
            raise self.then
        if not piece and self.endless:
            piece = bytes(len(buffer))
        buffer[: len(piece)] = piece
        self.given += len(piece)
        return len(piece)


def no_more() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("onepass-")]


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture(autouse=True)
def nothing_stays_behind() -> Iterator[None]:
    """Every test ends with no thread of ours and no descriptor more than before."""
    before = open_descriptors()
    yield
    wait_until(lambda: no_more() == [])
    assert open_descriptors() <= before


def copy(
    source: int | ReadsInto,
    partial: int | Path,
    *,
    expected_bytes: int | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    stall_timeout: float = 60,
) -> None:
    copy_and_hash(
        source,
        partial,
        algorithm=ChecksumAlgorithm.SHA256,
        on_member=lambda _: None,
        expected_bytes=expected_bytes,
        cancelled=cancelled,
        stall_timeout=stall_timeout,
    )


ENDLESS_MEMBER = header(b"huge", b"\x80" + (1 << 50).to_bytes(11, "big"))


@pytest.mark.parametrize("given", [0, 1, 100, 1535, 2000])
def test_a_short_source_is_truncated(given: int, tmp_path: Path) -> None:
    whole = file(b"one", b"x") + END + bytes(512)
    with pytest.raises(Truncated) as caught:
        copy(Bytes(whole[:given]), tmp_path / "partial", expected_bytes=len(whole))
    assert (caught.value.expected, caught.value.got) == (len(whole), given)


def test_a_source_that_goes_on_is_longer_than_declared(tmp_path: Path) -> None:
    whole = file(b"one", b"x") + END
    with pytest.raises(LongerThanDeclared):
        copy(Bytes(whole, endless=True), tmp_path / "partial", expected_bytes=len(whole))


def test_an_archive_cut_between_members_is_truncated_though_no_length_is_declared(tmp_path: Path) -> None:
    with pytest.raises(TruncatedArchive):
        copy(Bytes(file(b"one", b"x")), tmp_path / "partial")


def test_a_damaged_archive_ends_the_copy_at_once(tmp_path: Path) -> None:
    source = Bytes(b"no tar at all" * 1000, endless=True)
    with pytest.raises(BadHeader):
        copy(source, tmp_path / "partial")


def test_an_archive_of_too_many_members_ends_the_copy(tmp_path: Path) -> None:
    with pytest.raises(TooManyMembers):
        copy_and_hash(
            Bytes(file(b"one", b"x") * 11, endless=True),
            tmp_path / "partial",
            algorithm=ChecksumAlgorithm.MD5,
            on_member=lambda _: None,
            most_members=10,
        )


def test_a_read_error_keeps_its_number(tmp_path: Path) -> None:
    with pytest.raises(SourceReadFailed) as caught:
        copy(Bytes(ENDLESS_MEMBER, OSError(errno.EIO, "tape")), tmp_path / "partial")
    assert (caught.value.errno, caught.value.offset) == (errno.EIO, 512)


def test_what_the_source_says_of_its_error_is_told(tmp_path: Path) -> None:
    with pytest.raises(SourceReadFailed, match="at offset 512: the tape is torn"):
        copy(Bytes(ENDLESS_MEMBER, OSError(errno.EIO, "the tape is torn")), tmp_path / "partial")
    with pytest.raises(SourceReadFailed, match=r"at offset 512: EIO \(Input/output error\)"):
        copy(Bytes(ENDLESS_MEMBER, OSError(errno.EIO, os.strerror(errno.EIO))), tmp_path / "partial")


class Patient:
    """A source that says now and then that its bytes are on their way, until there are some."""

    def __init__(self, whole: bytes, seconds: float) -> None:
        self.bytes = Bytes(whole)
        self.on_their_way_until = time.monotonic() + seconds

    def readinto(self, buffer: memoryview) -> int:
        time.sleep(0.05)
        if time.monotonic() < self.on_their_way_until:
            raise BlockingIOError
        return self.bytes.readinto(buffer)


def test_a_source_that_says_that_bytes_are_on_their_way_is_waited_for(tmp_path: Path) -> None:
    whole = file(b"one", b"x") + END
    copy(Patient(whole, 3), tmp_path / "partial", stall_timeout=1.5)
    assert (tmp_path / "partial").read_bytes() == whole


def test_a_source_that_is_waited_for_may_be_cancelled(tmp_path: Path) -> None:
    with pytest.raises(CopyCancelled):
        copy(Patient(b"", 60), tmp_path / "partial", cancelled=lambda: True)


def test_a_source_that_does_not_wait_for_its_bytes_is_refused(tmp_path: Path) -> None:
    class Hasty:
        def readinto(self, buffer: memoryview) -> int | None:
            return None

    with pytest.raises(SourceReadFailed):
        copy(Hasty(), tmp_path / "partial")


def test_an_error_of_another_kind_comes_through_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(LookupError, match="gone"):
        copy(Bytes(ENDLESS_MEMBER, LookupError("gone")), tmp_path / "partial")


def test_a_source_that_is_not_open_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SourceReadFailed) as caught:
        copy(2**20, tmp_path / "partial")
    assert caught.value.errno == errno.EBADF


def test_an_error_of_the_caller_ends_the_copy(tmp_path: Path) -> None:
    def refuse(_: object) -> None:
        raise LookupError("not wanted")

    with pytest.raises(LookupError, match="not wanted"):
        copy_and_hash(
            Bytes(file(b"one", b"x"), endless=True),
            tmp_path / "partial",
            algorithm=ChecksumAlgorithm.MD5,
            on_member=refuse,
        )


def test_a_full_disk_is_told_with_its_number() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        with pytest.raises(PartialWriteFailed) as caught:
            copy(Bytes(ENDLESS_MEMBER, endless=True), full)
        assert caught.value.errno == errno.ENOSPC
    finally:
        os.close(full)


def test_a_disk_that_fills_on_the_way_is_told_with_the_offset(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000_001, hard))
    try:
        with pytest.raises(PartialWriteFailed) as caught:
            copy(Bytes(ENDLESS_MEMBER, endless=True), tmp_path / "partial")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.errno, caught.value.offset) == (errno.EFBIG, 5_000_001)


def test_a_partial_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    with pytest.raises(PartialWriteFailed) as caught:
        copy(Bytes(b""), tmp_path / "no folder" / "partial")
    assert caught.value.errno == errno.ENOENT


def test_a_copy_is_cancelled_while_bytes_flow(tmp_path: Path) -> None:
    source = Bytes(ENDLESS_MEMBER, endless=True)
    with pytest.raises(CopyCancelled):
        copy(source, tmp_path / "partial", cancelled=lambda: source.given > 20_000_000)


def test_a_source_that_stalls_is_left_behind_and_can_write_no_more(tmp_path: Path) -> None:
    out, into = os.pipe()
    partial = tmp_path / "partial"
    try:
        os.write(into, ENDLESS_MEMBER)
        with pytest.raises(SourceStalled) as caught:
            copy(out, partial, stall_timeout=1)
        assert caught.value.offset == 512
        left = partial.read_bytes()
        os.write(into, bytes(5000))
    finally:
        os.close(into)
        os.close(out)
    wait_until(lambda: no_more() == [])
    assert partial.read_bytes() == left


def test_a_copy_is_cancelled_though_its_source_is_stuck(tmp_path: Path) -> None:
    out, into = os.pipe()
    try:
        with pytest.raises(CopyCancelled):
            copy(out, tmp_path / "partial", cancelled=lambda: True)
    finally:
        os.close(into)
        os.close(out)
    wait_until(lambda: no_more() == [])


def test_progress_is_told_though_no_byte_moves(tmp_path: Path) -> None:
    out, into = os.pipe()
    told: list[int] = []
    try:
        with pytest.raises(CopyCancelled):
            copy_and_hash(
                out,
                tmp_path / "partial",
                algorithm=ChecksumAlgorithm.MD5,
                on_member=lambda _: None,
                progress=told.append,
                cancelled=lambda: len(told) == 2,
            )
    finally:
        os.close(into)
        os.close(out)
    wait_until(lambda: no_more() == [])
    assert told == [0, 0]


class Fifo:
    """A source that is opened by its first read, which hangs in open(2) for as long as nobody writes to it."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def readinto(self, buffer: memoryview) -> int:
        with self.path.open("rb", buffering=0) as opened:
            return opened.readinto(buffer) or 0


def test_an_opening_that_hangs_in_the_system_is_left_behind_and_the_next_copy_goes_on(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    try:
        with pytest.raises(SourceStalled) as caught:
            copy(Fifo(tmp_path / "fifo"), tmp_path / "partial", stall_timeout=0.3)
        assert (caught.value.offset, caught.value.seconds) == (0, 0.3)
        assert [thread.name for thread in no_more()] == ["onepass-reader"]
        whole = file(b"one", b"x") + END
        copy(Bytes(whole), tmp_path / "next")
        assert (tmp_path / "next").read_bytes() == whole
    finally:
        os.close(os.open(tmp_path / "fifo", os.O_WRONLY))
    wait_until(lambda: no_more() == [])
    assert (tmp_path / "partial").read_bytes() == b""


def test_a_reader_that_is_stopped_while_it_unpacks_ends() -> None:
    pool, events = ChunkPool(), SimpleQueue[Chunk | Milestone | BaseException]()
    reader = SourceReader(Bytes(gzip.compress(bytes(60 << 20), 1)), pool, SimpleQueue(), events, None)
    first, *_ = [events.get(timeout=60) for _ in range(CHUNKS)]
    assert isinstance(first, Chunk)
    reader.stop(0.0)
    for _ in range(USERS):
        pool.give_back(first)  # it waits for this one, and fills it before it looks
    wait_until(lambda: no_more() == [])
