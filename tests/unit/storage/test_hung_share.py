"""A share whose file server does not answer: a FUSE mount that nobody serves, which takes root and /dev/fuse."""

from __future__ import annotations

import ctypes
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import ArchiveIdUnsafe, StoreTimedOut
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.posix_share import PosixShare, PosixShareSettings
from tests.contracts.test_long_term_store import recall_state, request_recall

A = ArchiveId("a.tar")
MNT_DETACH = 2


@pytest.fixture
def hung_root(tmp_path: Path) -> Iterator[Path]:
    try:
        server = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        pytest.skip(f"no FUSE here: {error}")
    libc = ctypes.CDLL(None, use_errno=True)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"hung", os.fsencode(tmp_path), b"fuse", 0, options) != 0:
        os.close(server)
        pytest.skip(f"no FUSE mount here: {os.strerror(ctypes.get_errno())}")
    yield tmp_path
    libc.umount2(os.fsencode(tmp_path), MNT_DETACH)
    os.close(server)  # ends the connection, and with it every call that hangs


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
