"""The POSIX share on a real HSM: files without blocks that the kernel fills when somebody reads them.

Made of fanotify's pre-content events (fanotify(7), FAN_PRE_ACCESS): Linux 6.14 or newer, root, and ext4, XFS or Btrfs.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from tests.contracts.test_long_term_store import read_all, recall_state, request_recall, wait_for

A = ArchiveId("a.tar")
CONTENT = os.urandom(300_000)

FAN_CLOEXEC, FAN_CLASS_PRE_CONTENT = 0x1, 0x8
FAN_MARK_ADD, FAN_PRE_ACCESS, FAN_EVENT_ON_CHILD = 0x1, 0x100000, 0x8000000
FAN_ALLOW, FAN_DENY = 0x1, 0x2
AT_FDCWD = -100
EVENT = struct.Struct("=IBBHQii")
"""struct fanotify_event_metadata of linux/fanotify.h."""
RANGE = struct.Struct("=BBHIQQ")
"""struct fanotify_event_info_range, which follows it: what is to be read, as offset and count."""


class Hsm:
    """Holds every read of a stub below `root` until `deliver` or `fail`; other reads go through.

    Attributes:
        offsets: Where in their stubs the held reads began.
    """

    def __init__(self, root: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self.root = root
        self._stubs: dict[str, bytes] = {}
        self._held: dict[str, list[int]] = {}
        self.offsets: list[int] = []
        self._lock = threading.Lock()
        self._group = libc.fanotify_init(FAN_CLOEXEC | FAN_CLASS_PRE_CONTENT, os.O_RDWR)
        mask = ctypes.c_uint64(FAN_PRE_ACCESS | FAN_EVENT_ON_CHILD)
        if self._group < 0 or libc.fanotify_mark(self._group, FAN_MARK_ADD, mask, AT_FDCWD, bytes(root)) != 0:
            pytest.skip(f"no pre-content events here: {os.strerror(ctypes.get_errno())}")
        threading.Thread(target=self._serve, daemon=True).start()

    def migrate(self, name: str, content: bytes) -> None:
        """Put a file on tape: its size stays, its blocks go."""
        (self.root / name).touch()
        os.truncate(self.root / name, len(content))
        self._stubs[name] = content

    def held(self, name: str) -> int:
        """How many reads of a file are blocked."""
        with self._lock:
            return len(self._held.get(name, []))

    def deliver(self, name: str) -> None:
        """Bring the file's bytes; blocked reads go on."""
        with self._lock:
            held, content = self._held.pop(name), self._stubs.pop(name)
            os.pwrite(held[0], content, 0)
            for event in held:
                self._answer(event, FAN_ALLOW)

    def fail(self, name: str) -> None:
        """Let the blocked reads fail, as for a broken tape."""
        with self._lock:
            for event in self._held.pop(name):
                self._answer(event, FAN_DENY | errno.EIO << 24)

    def close(self) -> None:
        """Let everything through, and end."""
        with self._lock:
            for event in [event for events in self._held.values() for event in events]:
                self._answer(event, FAN_ALLOW)
        os.close(self._group)

    def _serve(self) -> None:
        while True:
            try:
                events = os.read(self._group, 4096)
            except OSError:
                return
            while events:
                length, *_, descriptor, _ = EVENT.unpack_from(events)
                offset = RANGE.unpack_from(events, EVENT.size)[-2]
                events = events[length:]
                name = Path(f"/proc/self/fd/{descriptor}").readlink().name
                with self._lock:
                    if name in self._stubs:
                        self.offsets.append(offset)
                        self._held.setdefault(name, []).append(descriptor)
                    else:
                        self._answer(descriptor, FAN_ALLOW)

    def _answer(self, event: int, answer: int) -> None:
        os.write(self._group, struct.pack("=iI", event, answer))
        os.close(event)


@pytest.fixture
def hsm() -> Iterator[Hsm]:
    if os.geteuid() != 0:
        pytest.skip("fanotify's pre-content events take root")
    with tempfile.TemporaryDirectory() as folder:
        made = Hsm(Path(folder))
        yield made
        made.close()


def locality(store: PosixShare) -> Locality:
    return recall_state(store, A).locality


def test_a_recall_blocks_nobody_and_ends_when_the_tape_delivers(hsm: Hsm) -> None:
    hsm.migrate(A, CONTENT)
    store = PosixShare(PosixShareSettings(root=hsm.root))
    assert locality(store) is Locality.OFFLINE
    request_recall(store, A)
    wait_for(lambda: hsm.held(A) == 1)
    assert locality(store) is Locality.RECALLING
    hsm.deliver(A)
    wait_for(lambda: locality(store) is Locality.ONLINE)
    assert read_all(store, A) == CONTENT


def test_asking_for_the_state_alone_recalls_nothing(hsm: Hsm) -> None:
    hsm.migrate(A, CONTENT)
    store = PosixShare(PosixShareSettings(root=hsm.root))
    for _ in range(10):
        assert locality(store) is Locality.OFFLINE
    assert hsm.held(A) == 0


def test_a_recall_asked_for_many_times_reads_once(hsm: Hsm) -> None:
    hsm.migrate(A, CONTENT)
    store = PosixShare(PosixShareSettings(root=hsm.root))
    for _ in range(20):
        request_recall(store, A)
    wait_for(lambda: hsm.held(A) >= 1)
    assert hsm.held(A) == 1


def test_a_recall_reads_the_end_since_some_hsms_keep_the_beginning_on_disk(hsm: Hsm) -> None:
    hsm.migrate(A, CONTENT)
    request_recall(PosixShare(PosixShareSettings(root=hsm.root)), A)
    wait_for(lambda: hsm.held(A) == 1)
    assert hsm.offsets[0] >= len(CONTENT) - os.sysconf("SC_PAGESIZE")


def test_no_more_recalls_block_at_once_than_allowed_and_all_are_served(hsm: Hsm) -> None:
    names = [f"{number}.tar" for number in range(6)]
    store = PosixShare(PosixShareSettings(root=hsm.root, recall_requests=2))
    for name in names:
        hsm.migrate(name, CONTENT)
        request_recall(store, ArchiveId(name))
    for name in names:
        wait_for(lambda name=name: hsm.held(name) == 1)  # type: ignore[misc]
        assert sum(map(hsm.held, names)) <= 2
        hsm.deliver(name)
    wait_for(lambda: all(recall_state(store, ArchiveId(n)).locality is Locality.ONLINE for n in names))


def test_a_broken_tape_is_told_and_the_recall_can_be_asked_for_again(hsm: Hsm) -> None:
    hsm.migrate(A, CONTENT)
    store = PosixShare(PosixShareSettings(root=hsm.root))
    request_recall(store, A)
    wait_for(lambda: hsm.held(A) == 1)
    hsm.fail(A)
    wait_for(lambda: locality(store) is Locality.OFFLINE)
    assert "Input/output error" in recall_state(store, A).reason
    request_recall(store, A)
    wait_for(lambda: hsm.held(A) == 1)
    assert "Input/output error" in recall_state(store, A).reason
    hsm.deliver(A)
    wait_for(lambda: locality(store) is Locality.ONLINE)


def test_reading_a_stub_waits_for_its_bytes_and_never_gives_zeros(hsm: Hsm) -> None:
    hsm.migrate(A, CONTENT)
    store = PosixShare(PosixShareSettings(root=hsm.root))
    with ThreadPoolExecutor(1) as reader:
        copy = reader.submit(read_all, store, A)
        wait_for(lambda: hsm.held(A) == 1)
        hsm.deliver(A)
        assert copy.result(30) == CONTENT


@pytest.mark.parametrize("offline_by_blocks", [True, False])
def test_a_recall_under_way_is_seen_without_looking_at_blocks(hsm: Hsm, offline_by_blocks: bool) -> None:
    hsm.migrate(A, CONTENT)
    store = PosixShare(PosixShareSettings(root=hsm.root, offline_by_blocks=offline_by_blocks))
    request_recall(store, A)
    wait_for(lambda: hsm.held(A) == 1)
    assert locality(store) is Locality.RECALLING
    hsm.deliver(A)
    wait_for(lambda: locality(store) is Locality.ONLINE)
