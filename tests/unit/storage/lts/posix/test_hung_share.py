"""A share whose file server does not answer: a FUSE mount that nobody serves, which takes root and /dev/fuse."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import ArchiveIdUnsafe, StoreTimedOut
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from tests.contracts.test_long_term_store import recall_state, request_recall

A = ArchiveId("a.tar")
MNT_DETACH = 2


@contextmanager
def hung_mount(folder: Path) -> Iterator[None]:
    """Mount a file system on a folder that answers nothing."""
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"hung", os.fsencode(folder), b"fuse", 0, options) != 0:
        os.close(server)
        pytest.skip(f"no FUSE mount here: {os.strerror(ctypes.get_errno())}")
    try:
        yield
    finally:
        libc.umount2(os.fsencode(folder), MNT_DETACH)
        os.close(server)  # ends the connection, and with it every call that hangs


@pytest.fixture
def hung_root(tmp_path: Path) -> Iterator[Path]:
    with hung_mount(tmp_path):
        yield tmp_path


@pytest.fixture
def part_hung(tmp_path: Path) -> Iterator[Path]:
    """A share one of whose disks hangs, the folder `dead`; all other files answer."""
    (tmp_path / "dead").mkdir()
    (tmp_path / A).write_bytes(b"content")
    with hung_mount(tmp_path / "dead"):
        yield tmp_path


def test_a_share_that_hangs_is_unavailable_in_time_and_takes_few_threads(hung_root: Path) -> None:
    settings = PosixShareSettings(root=hung_root, answer_timeout=0.2, answer_threads=3)
    store, threads, begun = PosixShare(settings), threading.active_count(), time.monotonic()
    for number in range(50):
        with pytest.raises(StoreTimedOut, match="hangs"):
            recall_state(store, ArchiveId(f"{number}.tar"))
    assert threading.active_count() <= threads + 3
    assert time.monotonic() - begun < 10


def test_a_recall_on_a_share_that_hangs_is_refused_in_time(hung_root: Path) -> None:
    store = PosixShare(PosixShareSettings(root=hung_root, answer_timeout=0.2))
    with pytest.raises(StoreTimedOut, match="hangs"):
        request_recall(store, A)


def test_an_unsafe_archive_id_is_named_even_while_the_share_hangs(hung_root: Path) -> None:
    store = PosixShare(PosixShareSettings(root=hung_root, answer_timeout=0.2))
    with pytest.raises(ArchiveIdUnsafe):
        recall_state(store, ArchiveId("../a.tar"))


DEAD = ArchiveId("dead/x.tar")


def test_a_file_that_hangs_takes_one_thread_and_keeps_no_other_from_an_answer(part_hung: Path) -> None:
    store = PosixShare(PosixShareSettings(root=part_hung, answer_timeout=2, answer_threads=3))
    for _ in range(10):
        answers = store.recall_states([AskedArchive(DEAD), AskedArchive(A)])
        assert answers[A] == RecallState(Locality.ONLINE, 7)
        assert isinstance(answers[DEAD], StoreTimedOut)
        assert isinstance(store.recall_states([AskedArchive(DEAD)])[DEAD], StoreTimedOut)
        assert isinstance(store.request_recalls([DEAD])[DEAD], StoreTimedOut)
    assert recall_state(store, A).locality is Locality.ONLINE


def test_a_file_that_hangs_while_nothing_else_is_asked_about_is_the_share_s_trouble(part_hung: Path) -> None:
    store = PosixShare(PosixShareSettings(root=part_hung, answer_timeout=2))
    with pytest.raises(StoreTimedOut, match="hangs"):
        store.recall_states([AskedArchive(DEAD)])
    assert recall_state(store, A).locality is Locality.ONLINE
    assert isinstance(store.recall_states([AskedArchive(DEAD)])[DEAD], StoreTimedOut)


def test_files_that_hang_on_all_threads_are_the_share_s_trouble(part_hung: Path) -> None:
    store = PosixShare(PosixShareSettings(root=part_hung, answer_timeout=2, answer_threads=2))
    for name in (DEAD, ArchiveId("dead/y.tar")):
        assert isinstance(store.recall_states([AskedArchive(A), AskedArchive(name)])[name], StoreTimedOut)
    with pytest.raises(StoreTimedOut, match="hangs"):
        store.recall_states([AskedArchive(A)])
