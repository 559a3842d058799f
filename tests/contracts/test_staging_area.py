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

import pytest

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.ports.staging_area import Partial, StagingArea
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


def write_partial(area: StagingArea, name: DatablockKey, content: bytes = CONTENT) -> str:
    """Write a whole partial file by its descriptor, as a copy does; gives its token."""
    with area.open_partial(name, len(content)) as partial:
        written = 0
        while written < len(content):
            written += os.pwrite(partial.file.fileno(), content[written:], written)
    return partial.token


def stage(area: StagingArea, name: DatablockKey, content: bytes = CONTENT) -> str:
    """Write and commit; gives the token."""
    token = write_partial(area, name, content)
    area.commit(name, token)
    return token


def staged(area: StagingArea, name: DatablockKey, token: str) -> bytes:
    """Read a staged file."""
    with area.open_staged(name, token) as file:
        return file.read()


def write_and_wait(make_area: Callable[[], StagingArea], name: DatablockKey, begun: Connection) -> None:
    """Write a part of a partial file, say so, and go no further: what a copy does until it is killed."""
    with make_area().open_partial(name, len(CONTENT)) as partial:
        partial.file.write(CONTENT[:1000])
        begun.send_bytes(partial.token.encode())
        signal.pause()


class AreaRig:
    """A staging area under test.

    Args:
        make_area: Makes the area over the same storage, also in another process, so it can be pickled.
    """

    def __init__(self, make_area: Callable[[], StagingArea]) -> None:
        self.make_area = make_area
        self.area = make_area()

    def kill_a_copy(self, name: DatablockKey) -> str:
        """Have another process begin to write a partial file, and kill it in the middle (SIGKILL); gives the token."""
        context = multiprocessing.get_context("spawn")
        begun, says_begun = context.Pipe(duplex=False)
        process = context.Process(target=write_and_wait, args=(self.make_area, name, says_begun))
        process.start()
        assert begun.poll(60)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        return begun.recv_bytes().decode()


class StagingAreaContract:
    """The promises of `StagingArea`."""

    def test_committed_bytes_are_staged_with_their_size(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY)
        assert (rig.area.staged_size(KEY, token), staged(rig.area, KEY, token)) == (len(CONTENT), CONTENT)

    def test_a_partial_is_not_visible_as_staged(self, rig: AreaRig) -> None:
        token = write_partial(rig.area, KEY)
        assert rig.area.partial_size(KEY, token) == len(CONTENT)
        assert rig.area.staged_size(KEY, token) is None
        with pytest.raises(StagedFileMissing), rig.area.open_staged(KEY, token):
            pass

    def test_a_partial_being_written_shows_what_is_written_not_what_is_set_aside(self, rig: AreaRig) -> None:
        with rig.area.open_partial(KEY, 5 * MIB) as opened:
            assert rig.area.partial_size(KEY, opened.token) == 0
            opened.file.write(b"1234")
            assert rig.area.partial_size(KEY, opened.token) == 4

    def test_nothing_is_there_at_first(self, rig: AreaRig) -> None:
        assert (rig.area.partial_size(KEY, "token"), rig.area.staged_size(KEY, "token")) == (None, None)

    def test_committing_leaves_no_partial(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY)
        assert rig.area.partial_size(KEY, token) is None

    def test_committing_twice_is_committing_once(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY)
        rig.area.commit(KEY, token)
        assert staged(rig.area, KEY, token) == CONTENT

    def test_committing_from_many_threads_at_once_is_committing_once(self, rig: AreaRig) -> None:
        token = write_partial(rig.area, KEY)
        with ThreadPoolExecutor(8) as threads:
            list(threads.map(rig.area.commit, [KEY] * 8, [token] * 8))
        assert staged(rig.area, KEY, token) == CONTENT

    def test_committing_nothing_is_an_error(self, rig: AreaRig) -> None:
        token = stage(rig.area, key(datablock="another"))
        with pytest.raises(StagedFileMissing):
            rig.area.commit(KEY, token)

    def test_committing_what_is_still_being_written_is_refused(self, rig: AreaRig) -> None:
        with rig.area.open_partial(KEY, 100) as opened:
            opened.file.write(b"half")
            with pytest.raises(StagingWriteFailed):
                rig.area.commit(KEY, opened.token)
        assert rig.area.staged_size(KEY, opened.token) is None

    def test_a_staged_file_is_replaced_by_the_next_commit(self, rig: AreaRig) -> None:
        old = stage(rig.area, KEY, b"old")
        new = stage(rig.area, KEY, b"newer")
        assert rig.area.staged_size(KEY, old) is None
        assert staged(rig.area, KEY, new) == b"newer"

    def test_a_staged_file_is_there_until_the_next_commit(self, rig: AreaRig) -> None:
        old = stage(rig.area, KEY, b"old")
        write_partial(rig.area, KEY, b"newer")
        assert staged(rig.area, KEY, old) == b"old"

    def test_a_staged_file_is_never_taken_for_one_of_another_token(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        later = write_partial(rig.area, KEY)
        rig.area.discard_partial(KEY)
        assert rig.area.staged_size(KEY, later) is None
        with pytest.raises(StagedFileMissing):
            rig.area.commit(KEY, later)
        with pytest.raises(StagedFileMissing), rig.area.open_staged(KEY, later):
            pass

    def test_a_reader_sees_all_the_bytes_of_a_file_or_that_it_is_gone(self, rig: AreaRig) -> None:
        contents = dict[str, bytes]()
        wrong = list[str]()
        read_once, stop = threading.Event(), threading.Event()

        def read() -> None:
            while not stop.is_set():
                for token, content in list(contents.items())[-2:]:
                    with suppress(StagedFileMissing):
                        if staged(rig.area, KEY, token) != content:
                            wrong.append(token)
                        read_once.set()

        with ThreadPoolExecutor(2) as threads:
            readers = [threads.submit(read) for _ in range(2)]
            for number in range(30):
                content = bytes([number]) * (100_000 + number)
                token = write_partial(rig.area, KEY, content)
                contents[token] = content
                rig.area.commit(KEY, token)
            assert read_once.wait(30)
            stop.set()
        assert [reader.result() for reader in readers] == [None, None]
        assert wrong == []

    def test_a_partial_shorter_than_announced_is_committed_as_it_is(self, rig: AreaRig) -> None:
        with rig.area.open_partial(KEY, 5 * MIB) as opened:
            opened.file.write(b"short")
        rig.area.commit(KEY, opened.token)
        assert staged(rig.area, KEY, opened.token) == b"short"

    def test_an_empty_file_can_be_staged(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY, b"")
        assert rig.area.staged_size(KEY, token) == 0

    def test_a_new_partial_is_empty_and_the_only_one(self, rig: AreaRig) -> None:
        old = write_partial(rig.area, KEY)
        with rig.area.open_partial(KEY, 10) as opened:
            assert opened.token != old
            assert (rig.area.partial_size(KEY, opened.token), rig.area.partial_size(KEY, old)) == (0, None)

    def test_a_writer_whose_partial_was_removed_changes_no_other_one(self, rig: AreaRig) -> None:
        with ExitStack() as earlier:
            stale = earlier.enter_context(rig.area.open_partial(KEY, 100))
            token = write_partial(rig.area, KEY, b"the later one wins")
            stale.file.write(b"x" * 100)
        assert rig.area.partial_size(KEY, stale.token) is None
        with pytest.raises(StagedFileMissing):
            rig.area.commit(KEY, stale.token)
        rig.area.commit(KEY, token)
        assert staged(rig.area, KEY, token) == b"the later one wins"

    def test_attempts_that_begin_at_once_never_share_a_file(self, rig: AreaRig) -> None:
        def attempt(number: int) -> bool:
            content = b"%d" % number * 1000
            token = write_partial(rig.area, KEY, content)
            with suppress(StagedFileMissing):
                rig.area.commit(KEY, token)
                return staged(rig.area, KEY, token) == content
            return True

        with ThreadPoolExecutor(4) as threads:
            assert all(threads.map(attempt, range(40)))

    def test_a_failed_copy_leaves_a_partial_that_can_be_discarded(self, rig: AreaRig) -> None:
        tokens = list[str]()

        def fail(opened: Partial) -> None:
            tokens.append(opened.token)
            opened.file.write(b"half")
            raise ConnectionError

        with pytest.raises(ConnectionError), rig.area.open_partial(KEY, 100) as opened:
            fail(opened)
        assert rig.area.partial_size(KEY, tokens[0]) == 4
        rig.area.discard_partial(KEY)
        rig.area.discard_partial(KEY)
        assert rig.area.partial_size(KEY, tokens[0]) is None

    def test_discarding_partials_leaves_those_of_other_datablocks(self, rig: AreaRig) -> None:
        token = write_partial(rig.area, key(datablock="2"))
        rig.area.discard_partial(KEY)
        assert rig.area.partial_size(key(datablock="2"), token) == len(CONTENT)

    def test_discarding_a_partial_leaves_the_staged_file(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY)
        write_partial(rig.area, KEY, b"again")
        rig.area.discard_partial(KEY)
        assert staged(rig.area, KEY, token) == CONTENT

    def test_a_killed_copy_leaves_at_most_a_partial(self, rig: AreaRig) -> None:
        killed = rig.kill_a_copy(KEY)
        assert rig.area.staged_size(KEY, killed) is None
        token = stage(rig.area, KEY)
        assert rig.area.partial_size(KEY, killed) is None
        assert staged(rig.area, KEY, token) == CONTENT

    def test_releasing_removes_the_staged_file_and_may_be_repeated(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY)
        rig.area.release(KEY)
        rig.area.release(KEY)
        assert rig.area.staged_size(KEY, token) is None

    def test_releasing_leaves_the_dataset_s_other_datablocks(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        other = stage(rig.area, key(datablock="2"), b"another")
        rig.area.release(KEY)
        assert staged(rig.area, key(datablock="2"), other) == b"another"

    def test_releasing_leaves_the_partial(self, rig: AreaRig) -> None:
        token = write_partial(rig.area, KEY)
        rig.area.release(KEY)
        assert rig.area.partial_size(KEY, token) == len(CONTENT)

    def test_an_open_staged_file_can_be_read_after_its_release(self, rig: AreaRig) -> None:
        token = stage(rig.area, KEY)
        with rig.area.open_staged(KEY, token) as file:
            begin = os.pread(file.fileno(), 1000, 0)
            rig.area.release(KEY)
            assert begin + os.pread(file.fileno(), len(CONTENT), 1000) == CONTENT

    def test_what_was_released_can_be_staged_again(self, rig: AreaRig) -> None:
        stage(rig.area, KEY)
        rig.area.release(KEY)
        token = stage(rig.area, KEY, b"again")
        assert staged(rig.area, KEY, token) == b"again"

    def test_commits_and_releases_of_one_dataset_do_not_disturb_each_other(self, rig: AreaRig) -> None:
        def come_and_go(name: DatablockKey) -> int | None:
            for _ in range(19):
                stage(rig.area, name, b"x")
                rig.area.release(name)
            token = stage(rig.area, name, b"x")
            rig.area.release(name)
            return rig.area.staged_size(name, token)

        with ThreadPoolExecutor(4) as threads:
            left = threads.map(come_and_go, [key(datablock=str(number)) for number in range(4)])
            assert list(left) == [None] * 4

    def test_every_key_has_a_file_of_its_own(self, rig: AreaRig) -> None:
        keys = [key(*names) for names in UNUSUAL]
        tokens = [stage(rig.area, name, b"%d" % number) for number, name in enumerate(keys)]
        contents = [staged(rig.area, name, token) for name, token in zip(keys, tokens, strict=True)]
        assert contents == [b"%d" % number for number in range(len(keys))]

    def test_writing_takes_free_space_and_releasing_gives_it_back(self, rig: AreaRig) -> None:
        before = rig.area.free_bytes()
        stage(rig.area, KEY, b"x" * 4 * MIB)
        between = rig.area.free_bytes()
        rig.area.release(KEY)
        assert before - between >= 3 * MIB
        assert rig.area.free_bytes() - between >= 3 * MIB

    def test_an_older_partial_gives_its_space_to_the_new_one(self, rig: AreaRig) -> None:
        before = rig.area.free_bytes()
        for _ in range(3):
            write_partial(rig.area, KEY, b"x" * 4 * MIB)
        assert before - rig.area.free_bytes() < 5 * MIB

    def test_free_space_is_never_more_than_the_whole(self, rig: AreaRig) -> None:
        assert 0 < rig.area.free_bytes() <= rig.area.total_bytes()

    def test_what_can_never_fit_is_refused_at_the_start_and_takes_no_space(self, rig: AreaRig) -> None:
        before = rig.area.free_bytes()
        with pytest.raises(StagingWriteFailed, match="bytes are missing"), rig.area.open_partial(KEY, 2**60):
            pass
        assert rig.area.free_bytes() == before


class InMemoryRig(AreaRig):
    """The fake lives in this process alone; a killed copy is one whose writer never comes back."""

    def kill_a_copy(self, name: DatablockKey) -> str:
        self.never_closed = self.area.open_partial(name, len(CONTENT))
        opened = self.never_closed.__enter__()
        opened.file.write(CONTENT[:1000])
        return opened.token


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
