"""What every long-term store promises, run on each back end and on the fake.

A new back end joins with a subclass of `StoreRig`, which says how its tape is moved, and a subclass of
`LongTermStoreContract` whose `rig` fixture builds it.
"""

from __future__ import annotations

import os
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    DatablockUnreadable,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, LongTermStore
from scicat_retriever.storage.lts.posix_share import PosixShare, PosixShareSettings
from tests.fakes.long_term_store import InMemoryLongTermStore

UNSAFE = ["", "..", "../x.tar", "a/../../x.tar", "/etc/passwd", "a\0b"]
UNUSUAL = ["a b.tar", "a%20b.tar", "ä/ö ü.tar", "-rf", "a//b.tar", "{archive_id}", "x" * 200]
A = ArchiveId("proposal/a.tar")
CONTENT = bytes(range(256)) * 400


def wait_for(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait until a condition holds, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come to hold in time"
        time.sleep(0.005)


def read_all(store: LongTermStore, archive_id: str, chunk: int = 1 << 16) -> bytes:
    """Read an archive to its end."""
    buffer, content = memoryview(bytearray(chunk)), bytearray()
    with store.open(ArchiveId(archive_id)) as source:
        while count := source.readinto(buffer):
            content += buffer[:count]
    return bytes(content)


METHODS: dict[str, Callable[[LongTermStore, ArchiveId], object]] = {
    "request_recall": lambda store, archive_id: store.request_recall(archive_id),
    "recall_state": lambda store, archive_id: store.recall_state(archive_id),
    "open": read_all,
    "release": lambda store, archive_id: store.release(archive_id),
}


@contextmanager
def as_ordinary_user(folder: Path) -> Iterator[None]:
    """Give up root's rights for a while, since root may read everything; `folder` then belongs to the other user."""
    if os.geteuid() != 0:
        yield
        return
    os.chown(folder, 65534, 65534)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


class StoreRig(ABC):
    """A store under test and the tape behind it."""

    store: LongTermStore

    @abstractmethod
    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        """Archive something."""

    @abstractmethod
    def deliver(self, archive_id: str) -> None:
        """Have the tape deliver a recalled archive."""

    @abstractmethod
    def forbid(self, archive_id: str) -> None:
        """Take away the right to read an archive."""

    @abstractmethod
    def go_away(self) -> None:
        """Unmount, switch off, disconnect."""

    def locality(self, archive_id: str) -> Locality:
        """Where the store says that the archive is."""
        return self.store.recall_state(ArchiveId(archive_id)).locality


class LongTermStoreContract:
    """The promises of `LongTermStore`."""

    def test_an_archive_on_disk_is_online_with_its_size(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        state = rig.store.recall_state(A)
        assert (state.locality, state.size) == (Locality.ONLINE, len(CONTENT))

    def test_what_was_never_archived_is_missing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        assert rig.locality("proposal/b.tar") is Locality.MISSING

    def test_opening_what_was_never_archived_says_so(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        with pytest.raises(DatablockMissing), rig.store.open(ArchiveId("proposal/b.tar")):
            pass

    @pytest.mark.parametrize("chunk", [1000, 1 << 20])
    def test_reading_gives_every_byte_in_order(self, rig: StoreRig, chunk: int) -> None:
        rig.put(A, CONTENT)
        assert read_all(rig.store, A, chunk) == CONTENT

    def test_two_readers_do_not_disturb_each_other(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        buffer = memoryview(bytearray(1000))
        with rig.store.open(A) as source:
            source.readinto(buffer)
            assert read_all(rig.store, A) == CONTENT
            assert bytes(buffer[: source.readinto(buffer)]) == CONTENT[1000:2000]

    def test_an_empty_archive_is_online_and_empty(self, rig: StoreRig) -> None:
        rig.put(A, b"")
        assert rig.locality(A) is Locality.ONLINE
        assert read_all(rig.store, A) == b""

    def test_an_archive_on_tape_is_offline(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        assert rig.locality(A) is Locality.OFFLINE

    def test_a_requested_recall_goes_on_until_the_tape_delivers(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.store.request_recall(A)
        state = rig.store.recall_state(A)
        assert (state.locality, state.reason != "") == (Locality.RECALLING, True)
        rig.deliver(A)
        wait_for(lambda: rig.locality(A) is Locality.ONLINE)
        assert read_all(rig.store, A) == CONTENT

    def test_a_recall_may_be_requested_again(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        for _ in range(3):
            rig.store.request_recall(A)
        assert rig.locality(A) is Locality.RECALLING
        rig.deliver(A)
        rig.store.request_recall(A)
        wait_for(lambda: rig.locality(A) is Locality.ONLINE)

    def test_many_requests_return_though_no_tape_delivers(self, rig: StoreRig) -> None:
        names = [f"{number}.tar" for number in range(50)]
        for name in names:
            rig.put(name, CONTENT, on_tape=True)
        begun = time.monotonic()
        for name in names:
            rig.store.request_recall(ArchiveId(name))
        assert time.monotonic() - begun < 10
        assert {rig.locality(name) for name in names} == {Locality.RECALLING}

    def test_requesting_what_is_online_changes_nothing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.store.request_recall(A)
        assert rig.locality(A) is Locality.ONLINE

    def test_requesting_what_is_missing_is_no_error_and_it_stays_missing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.store.request_recall(ArchiveId("b.tar"))
        assert rig.locality("b.tar") is Locality.MISSING

    def test_an_archive_that_appears_late_is_found(self, rig: StoreRig) -> None:
        rig.put("other.tar", CONTENT)
        assert rig.locality(A) is Locality.MISSING
        rig.put(A, CONTENT)
        assert rig.locality(A) is Locality.ONLINE

    @pytest.mark.parametrize("archive_id", UNSAFE)
    @pytest.mark.parametrize("method", METHODS)
    def test_an_archive_id_that_leads_outside_is_refused(
        self, rig: StoreRig, archive_id: str, method: str
    ) -> None:
        rig.put(A, CONTENT)
        with pytest.raises(ArchiveIdUnsafe):
            METHODS[method](rig.store, ArchiveId(archive_id))

    @pytest.mark.parametrize("archive_id", UNUSUAL)
    def test_an_unusual_archive_id_is_taken_literally(self, rig: StoreRig, archive_id: str) -> None:
        rig.put("a b.txt", b"another")
        rig.put(archive_id, CONTENT)
        assert read_all(rig.store, archive_id) == CONTENT

    def test_names_that_differ_by_quoting_are_different_archives(self, rig: StoreRig) -> None:
        rig.put("a b.tar", b"space")
        rig.put("a%20b.tar", b"percent")
        assert (read_all(rig.store, "a b.tar"), read_all(rig.store, "a%20b.tar")) == (b"space", b"percent")

    def test_an_archive_that_may_not_be_read_is_said_to_be_unreadable(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.forbid(A)
        with pytest.raises(DatablockUnreadable):
            rig.store.recall_state(A)
        with pytest.raises(DatablockUnreadable):
            read_all(rig.store, A)

    def test_a_store_that_is_away_is_unavailable_and_nothing_is_missing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.go_away()
        with pytest.raises(StoreUnavailable):
            rig.store.recall_state(A)
        with pytest.raises(StoreUnavailable):
            rig.store.request_recall(A)
        with pytest.raises(StoreUnavailable):
            read_all(rig.store, A)

    def test_releasing_twice_leaves_the_archive_in_the_store(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.store.release(A)
        rig.store.release(A)
        assert read_all(rig.store, A) == CONTENT

    def test_many_threads_may_ask_at_once(self, rig: StoreRig) -> None:
        names = [f"{number}.tar" for number in range(40)]
        for number, name in enumerate(names):
            rig.put(name, CONTENT, on_tape=number % 2 == 0)
        with ThreadPoolExecutor(16) as threads:
            seen = list(threads.map(rig.locality, names * 5))
        assert seen == [Locality.OFFLINE, Locality.ONLINE] * 100


class InMemoryRig(StoreRig):
    def __init__(self) -> None:
        self.tape = InMemoryLongTermStore()
        self.store = self.tape

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        self.tape.put(archive_id, content, on_tape=on_tape)

    def deliver(self, archive_id: str) -> None:
        self.tape.deliver(archive_id)

    def forbid(self, archive_id: str) -> None:
        self.tape.forbid(archive_id)

    def go_away(self) -> None:
        self.tape.go_away()


class PosixRig(StoreRig):
    """A folder whose archives on tape are sparse stubs, as an HSM leaves them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = PosixShare(PosixShareSettings(root=root))
        self._on_tape: dict[str, bytes] = {}

    def put(self, archive_id: str, content: bytes, *, on_tape: bool = False) -> None:
        path = self.root / archive_id
        path.parent.mkdir(parents=True, exist_ok=True)
        if on_tape:
            self._on_tape[archive_id] = content
            path.touch()
            os.truncate(path, len(content))
        else:
            path.write_bytes(content)

    def deliver(self, archive_id: str) -> None:
        with (self.root / archive_id).open("r+b") as file:
            file.write(self._on_tape.pop(archive_id))

    def forbid(self, archive_id: str) -> None:
        (self.root / archive_id).chmod(0)

    def go_away(self) -> None:
        self.root.rename(self.root.with_name("elsewhere"))


class TestInMemoryLongTermStore(LongTermStoreContract):
    @pytest.fixture
    def rig(self) -> StoreRig:
        return InMemoryRig()


class TestPosixShare(LongTermStoreContract):
    @pytest.fixture
    def rig(self) -> Iterator[StoreRig]:
        # Not tmp_path, which an ordinary user may not enter when root runs the tests.
        with tempfile.TemporaryDirectory() as folder, as_ordinary_user(Path(folder)):
            root = Path(folder) / "lts"
            root.mkdir()
            yield PosixRig(root)
