"""A copy that does not go on is ended, whichever side is stuck."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import pytest

from scicat_retriever.onepass.chunks import Chunk, ChunkPool, Milestone
from scicat_retriever.onepass.errors import PartialStalled, SourceStalled
from scicat_retriever.onepass.file_sink import FileSink
from scicat_retriever.onepass.partial_writer import PartialWriter
from scicat_retriever.onepass.watch import CopyWatch


@dataclass
class Side:
    """A reader or a writer that has been waiting for so long."""

    waiting: float = 0.0
    flushing: bool = False
    offset: int = 7

    def waiting_seconds(self) -> float:
        return self.waiting


class HungDisk:
    """Writes nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()

    def __call__(self, fd: int, buffers: Sequence[memoryview], offset: int, flags: int = 0, /) -> int:
        assert self.let_go.wait(60)
        return os.pwritev(fd, buffers, offset)


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def look(reader: Side, writer: Side) -> None:
    """Look as a copy does, until enough time has gone by for a look to count."""
    looked: list[bool] = []

    def cancelled() -> bool:
        looked.append(True)
        return False

    watch = CopyWatch(lambda _: None, cancelled, stall_timeout=10.0)
    deadline = time.monotonic() + 60
    while not looked:
        assert time.monotonic() < deadline
        watch.look(reader, writer)


@pytest.mark.parametrize(
    ("reader", "writer"),
    [(Side(), Side()), (Side(9.9), Side(9.9)), (Side(), Side(99.0, flushing=True))],
    ids=["nobody waits", "not for long", "a long flush"],
)
def test_a_copy_that_goes_on_is_left_alone(reader: Side, writer: Side) -> None:
    look(reader, writer)


def test_a_read_that_does_not_return_ends_the_copy() -> None:
    with pytest.raises(SourceStalled, match="10 seconds at offset 7"):
        look(Side(10.1), Side())


@pytest.mark.parametrize("writer", [Side(10.1), Side(100.1, flushing=True)], ids=["write", "flush"])
def test_a_write_or_a_flush_that_does_not_return_ends_the_copy(writer: Side) -> None:
    with pytest.raises(PartialStalled, match="at offset 7") as caught:
        look(Side(), writer)
    assert (caught.value.offset, caught.value.seconds) == (7, writer.waiting)


def test_a_hung_write_is_left_behind_none_follows_it_and_the_file_is_closed_after_it(tmp_path: Path) -> None:
    disk, events = HungDisk(), SimpleQueue[Chunk | Milestone | BaseException]()
    pool = ChunkPool()
    descriptor = os.open(tmp_path / "partial", os.O_WRONLY | os.O_CREAT)
    sink = FileSink(descriptor, disk)
    writer = PartialWriter(sink, pool, events)
    assert writer.waiting_seconds() == 0
    for _ in range(2):
        chunk = pool.take()
        assert chunk is not None
        chunk.filled = chunk.room
        writer.inbox.put(chunk)
    wait_until(lambda: writer.waiting_seconds() > 0.05)
    writer.stop(0.0)
    assert writer.waiting_seconds() > 0.05
    sink.close()
    assert os.fstat(descriptor).st_size == 0
    disk.let_go.set()
    wait_until(lambda: not any(each.name == "onepass-writer" for each in threading.enumerate()))
    assert (tmp_path / "partial").stat().st_size == 1 << 20
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
