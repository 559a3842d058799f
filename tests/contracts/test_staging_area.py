"""What every staging area promises, run on each back end and on the fake.

A new back end joins with a subclass of `AreaRig`, which says how to make the area in another process, and a subclass
of `StagingAreaContract` whose `rig` fixture builds it.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import BinaryIO

import pytest

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.ports.staging_area import StagingArea
from scicat_retriever.storage.staging.directory import DirectoryStaging, DirectoryStagingSettings
from tests.fakes.staging_area import InMemoryStagingArea

MIB = 2**20
CONTENT = bytes(range(256)) * 2048
UNUSUAL = [
    ("", ""),
    ("..", ".."),
    ("20.500.12345/abc", "../../x"),
    ("a\0b", "/"),
    ("ä ö", "%2F"),
    ("x" * 300, "y" * 5000),
    ("a,b", "c"),
]


def key(pid: str = "20.500.12345/abc", datablock: str = "1") -> DatablockKey:
    """Name a datablock."""
    return DatablockKey(DatasetPid(pid), DatablockId(datablock))


KEY = key()


def write_partial(area: StagingArea, name: DatablockKey, content: bytes = CONTENT) -> None:
    """Write a whole partial file by its descriptor, as a copy does."""
    with area.open_partial(name, len(content)) as file:
        written = 0
        while written < len(content):
            written += os.pwrite(file.fileno(), content[written:], written)


def stage(area: StagingArea, name: DatablockKey, content: bytes = CONTENT) -> None:
    """Write and commit."""
    write_partial(area, name, content)
    area.commit(name)


def staged(area: StagingArea, name: DatablockKey) -> bytes:
    """Read a staged file."""
    with area.open_staged(name) as file:
        return file.read()


def write_and_wait(make_area: Callable[[], StagingArea], name: DatablockKey, begun: Connection) -> None:
    """Write a part of a partial file, say so, and go no further: what a copy does until it is killed."""
    with make_area().open_partial(name, len(CONTENT)) as file:
        file.write(CONTENT[:1000])
        begun.send_bytes(b"begun")
        signal.pause()


class AreaRig:
    """A staging area under test.

    Args:
        make_area: Makes the area over the same storage, also in another process, so it can be pickled.
    """

    def __init__(self, make_area: Callable[[], StagingArea]) -> None:
        self.make_area = make_area
        self.area = make_area()

    def kill_a_copy(self, name: DatablockKey) -> None:
        """Have another process begin to write a partial file, and kill it in the middle (SIGKILL)."""
        context = multiprocessing.get_context("spawn")
        begun, says_begun = context.Pipe(duplex=False)
        process = context.Process(target=write_and_wait, args=(self.make_area, name, says_begun))
        process.start()
        assert begun.poll(60)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL


class StagingAreaContract:
    """The promises of `StagingArea`."""

    def test_committed_bytes_are_staged_with_their_size(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        assert (rig.area.staged_size(KEY), staged(rig.area, KEY)) == (len(CONTENT), CONTENT)

    def test_a_partial_is_not_visible_as_staged(self, rig: AreaRig) -> None:
        write_partial(rig.area, KEY)
        assert (rig.area.partial_size(KEY), rig.area.staged_size(KEY)) == (len(CONTENT), None)
        with pytest.raises(StagedFileMissing), rig.area.open_staged(KEY):
            pass

    def test_a_partial_being_written_shows_what_is_written_not_what_is_set_aside(self, rig: AreaRig) -> None:
        with rig.area.open_partial(KEY, 5 * MIB) as file:
            assert rig.area.partial_size(KEY) == 0
            file.write(b"1234")
            assert rig.area.partial_size(KEY) == 4

    def test_nothing_is_there_at_first(self, rig: AreaRig) -> None:
        assert (rig.area.partial_size(KEY), rig.area.staged_size(KEY)) == (None, None)

    def test_committing_leaves_no_partial(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        assert rig.area.partial_size(KEY) is None

    def test_committing_twice_is_committing_once(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        rig.area.commit(KEY)
        assert staged(rig.area, KEY) == CONTENT

    def test_committing_from_many_threads_at_once_is_committing_once(self, rig: AreaRig) -> None:
        write_partial(rig.area, KEY)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(rig.area.commit, [KEY] * 8))
        assert staged(rig.area, KEY) == CONTENT

    def test_committing_nothing_is_an_error(self, rig: AreaRig) -> None:
        stage(rig.area, key(datablock="another"))
        with pytest.raises(StagedFileMissing):
            rig.area.commit(KEY)

    def test_committing_what_is_still_being_written_is_refused(self, rig: AreaRig) -> None:
        with rig.area.open_partial(KEY, 100) as file:
            file.write(b"half")
            with pytest.raises(StagingWriteFailed):
                rig.area.commit(KEY)
        assert rig.area.staged_size(KEY) is None

    def test_a_staged_file_is_replaced_by_the_next_commit(self, rig: AreaRig) -> None:
        stage(rig.area, KEY, b"old")
        stage(rig.area, KEY, b"newer")
        assert staged(rig.area, KEY) == b"newer"

    def test_a_reader_sees_the_old_or_the_new_bytes_and_never_a_mixture(self, rig: AreaRig) -> None:
        versions = [bytes([number]) * (100_000 + number) for number in range(30)]
        seen: set[bytes] = set()
        read_once, stop = threading.Event(), threading.Event()

        def read() -> None:
            while not stop.is_set():
                with suppress(StagedFileMissing):
                    seen.add(staged(rig.area, KEY))
                    read_once.set()

        with ThreadPoolExecutor(2) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            for version in versions:
                stage(rig.area, KEY, version)
            assert read_once.wait(30)
            stop.set()
        assert [reader.result() for reader in readers] == [None, None]
        assert seen <= set(versions)

    def test_a_partial_shorter_than_announced_is_committed_as_it_is(self, rig: AreaRig) -> None:
        with rig.area.open_partial(KEY, 5 * MIB) as file:
            file.write(b"short")
        rig.area.commit(KEY)
        assert staged(rig.area, KEY) == b"short"

    def test_an_empty_file_can_be_staged(self, rig: AreaRig) -> None:
        stage(rig.area, KEY, b"")
        assert rig.area.staged_size(KEY) == 0

    def test_opening_a_partial_again_empties_it(self, rig: AreaRig) -> None:
        write_partial(rig.area, KEY)
        with rig.area.open_partial(KEY, 10):
            assert rig.area.partial_size(KEY) == 0

    def test_a_writer_whose_partial_was_opened_again_cannot_change_it(self, rig: AreaRig) -> None:
        with ExitStack() as earlier:
            stale = earlier.enter_context(rig.area.open_partial(KEY, 100))
            write_partial(rig.area, KEY, b"the later one wins")
            stale.write(b"x" * 100)
        rig.area.commit(KEY)
        assert staged(rig.area, KEY) == b"the later one wins"

    def test_a_failed_copy_leaves_a_partial_that_can_be_discarded(self, rig: AreaRig) -> None:
        def fail(file: BinaryIO) -> None:
            file.write(b"half")
            raise ConnectionError

        with pytest.raises(ConnectionError), rig.area.open_partial(KEY, 100) as file:
            fail(file)
        assert rig.area.partial_size(KEY) == 4
        rig.area.discard_partial(KEY)
        rig.area.discard_partial(KEY)
        assert rig.area.partial_size(KEY) is None

    def test_discarding_a_partial_leaves_the_staged_file(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        write_partial(rig.area, KEY, b"again")
        rig.area.discard_partial(KEY)
        assert staged(rig.area, KEY) == CONTENT

    def test_a_killed_copy_leaves_at_most_a_partial(self, rig: AreaRig) -> None:
        rig.kill_a_copy(KEY)
        assert rig.area.staged_size(KEY) is None
        stage(rig.area, KEY)
        assert staged(rig.area, KEY) == CONTENT

    def test_releasing_removes_the_staged_file_and_may_be_repeated(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        rig.area.release(KEY)
        rig.area.release(KEY)
        assert rig.area.staged_size(KEY) is None

    def test_releasing_leaves_the_dataset_s_other_datablocks(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        stage(rig.area, key(datablock="2"), b"another")
        rig.area.release(KEY)
        assert staged(rig.area, key(datablock="2")) == b"another"

    def test_releasing_leaves_the_partial(self, rig: AreaRig) -> None:
        write_partial(rig.area, KEY)
        rig.area.release(KEY)
        assert rig.area.partial_size(KEY) == len(CONTENT)

    def test_an_open_staged_file_can_be_read_after_its_release(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        with rig.area.open_staged(KEY) as file:
            begin = os.pread(file.fileno(), 1000, 0)
            rig.area.release(KEY)
            assert begin + os.pread(file.fileno(), len(CONTENT), 1000) == CONTENT

    def test_what_was_released_can_be_staged_again(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        rig.area.release(KEY)
        stage(rig.area, KEY, b"again")
        assert staged(rig.area, KEY) == b"again"

    def test_commits_and_releases_of_one_dataset_do_not_disturb_each_other(self, rig: AreaRig) -> None:
        def come_and_go(name: DatablockKey) -> None:
            for _ in range(20):
                stage(rig.area, name, b"x")
                rig.area.release(name)

        with ThreadPoolExecutor(4) as threads:
            list(threads.map(come_and_go, [key(datablock=str(number)) for number in range(4)]))
        assert {rig.area.staged_size(key(datablock=str(number))) for number in range(4)} == {None}

    def test_every_key_has_a_file_of_its_own(self, rig: AreaRig) -> None:
        keys = [key(*names) for names in UNUSUAL]
        for number, name in enumerate(keys):
            stage(rig.area, name, b"%d" % number)
        assert [staged(rig.area, name) for name in keys] == [b"%d" % number for number in range(len(keys))]

    def test_writing_takes_free_space_and_releasing_gives_it_back(self, rig: AreaRig) -> None:
        before = rig.area.free_bytes()
        stage(rig.area, KEY, b"x" * 4 * MIB)
        between = rig.area.free_bytes()
        rig.area.release(KEY)
        assert before - between >= 3 * MIB
        assert rig.area.free_bytes() - between >= 3 * MIB

    def test_free_space_is_never_more_than_the_whole(self, rig: AreaRig) -> None:
        assert 0 < rig.area.free_bytes() <= rig.area.total_bytes()

    def test_what_can_never_fit_is_refused_at_the_start_and_leaves_nothing(self, rig: AreaRig) -> None:
        with pytest.raises(StagingWriteFailed, match="bytes are missing"), rig.area.open_partial(KEY, 2**60):
            pass
        assert rig.area.partial_size(KEY) is None


class InMemoryRig(AreaRig):
    """The fake lives in this process alone; a killed copy is one whose writer never comes back."""

    def kill_a_copy(self, name: DatablockKey) -> None:
        copy = self.area.open_partial(name, len(CONTENT))
        copy.__enter__().write(CONTENT[:1000])
        self.never_closed = copy


class TestInMemoryStagingArea(StagingAreaContract):
    @pytest.fixture
    def rig(self) -> AreaRig:
        return InMemoryRig(InMemoryStagingArea)


class TestDirectoryStaging(StagingAreaContract):
    @pytest.fixture
    def rig(self, tmp_path: Path) -> AreaRig:
        # With a capacity, since the free space of the file system also changes by what others do.
        root = tmp_path / "staging"
        settings = DirectoryStagingSettings(root=root, keep_free_bytes=0, capacity_bytes=64 * MIB)
        return AreaRig(partial(DirectoryStaging, settings))
