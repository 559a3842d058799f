"""What every long-term store promises, run on each back end and on the fake.

A new back end joins with a subclass of `StoreRig`, which says how its tape is moved, and a subclass of
`LongTermStoreContract` whose `rig` fixture builds it. What a store declares not to do is not asked of it.
"""

from __future__ import annotations

import os
import re
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
    ArchiveLost,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    NOT_THERE,
    AskedArchive,
    Locality,
    LongTermStore,
    RecallState,
    TapePosition,
)
from scicat_retriever.storage.lts.posix.settings import PosixShareSettings
from scicat_retriever.storage.lts.posix.store import PosixShare
from tests.fakes.long_term_store import InMemoryLongTermStore

UNSAFE = ["", "..", "../x.tar", "a/../../x.tar", "/etc/passwd", "a\0b"]
UNUSUAL = ["a b.tar", "a%20b.tar", "ä/ö ü.tar", "-rf", "a//b.tar", "{archive_id}", "x" * 200]
A = ArchiveId("proposal/a.tar")
B = ArchiveId("proposal/b.tar")
CONTENT = bytes(range(256)) * 400


def wait_for(condition: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait until a condition holds, at most so long."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition did not come to hold in time"
        time.sleep(0.005)


def read_all(
    store: LongTermStore, archive_id: str, chunk: int = 1 << 16, start: int = 0, length: int | None = None
) -> bytes:
    """Read an archive, or a part of it, to its end."""
    buffer, content = memoryview(bytearray(chunk)), bytearray()
    with store.open(ArchiveId(archive_id), start, length) as source:
        count = -1
        while count:
            try:
                count = source.readinto(buffer)
            except BlockingIOError:
                continue
            content += buffer[:count]
    return bytes(content)


def request_recall(store: LongTermStore, archive_id: str) -> str:
    """Ask for one archive; gives how the store calls the request, and raises what it gives as an error."""
    answers = store.request_recalls([ArchiveId(archive_id)])
    assert list(answers) == [archive_id]
    if isinstance(answer := answers[ArchiveId(archive_id)], RecallError):
        raise answer
    return answer


def recall_state(store: LongTermStore, archive_id: str, request: str = "") -> RecallState:
    """Ask where one archive is, and raise what the store gives as an error."""
    answers = store.recall_states([AskedArchive(ArchiveId(archive_id), request)])
    assert list(answers) == [archive_id]
    if isinstance(answer := answers[ArchiveId(archive_id)], RecallError):
        raise answer
    return answer


METHODS: dict[str, Callable[[LongTermStore, ArchiveId], object]] = {
    "request_recalls": request_recall,
    "recall_states": recall_state,
    "open": read_all,
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

    def __init__(self) -> None:
        self._requests: dict[str, str] = {}

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

    def lose_for_good(self, archive_id: str) -> None:
        """Have the store lose an archive and know it."""
        pytest.skip("this store never says that it lost something")

    def fail_recall(self, archive_id: str, reason: str) -> None:
        """End the recall under way with a failure."""
        pytest.skip("no recall of this store can be made to fail here")

    def place(self, archive_id: str, tape: str, position: int) -> None:
        """Put an archive on a tape."""
        pytest.skip("this store knows no tapes")

    def request(self, *archive_ids: str) -> None:
        """Ask for recalls, no more at once than the store takes, and remember how it calls the requests."""
        batch = self.store.capabilities.batch
        for first in range(0, len(archive_ids), batch):
            asked = [ArchiveId(each) for each in archive_ids[first : first + batch]]
            for archive_id, answer in self.store.request_recalls(asked).items():
                assert isinstance(answer, str), answer
                self._requests[archive_id] = answer

    def wanted(self, archive_id: str) -> AskedArchive:
        """Give an archive with the name of its request."""
        return AskedArchive(ArchiveId(archive_id), self._requests.get(archive_id, ""))

    def state(self, archive_id: str) -> RecallState:
        """Give the store's word on an archive."""
        wanted = self.wanted(archive_id)
        return recall_state(self.store, wanted.archive_id, wanted.request)

    def locality(self, archive_id: str) -> Locality | type[RecallError]:
        """Where the store says that the archive is; where it has none, the kind of its error."""
        try:
            return self.state(archive_id).locality
        except NOT_THERE as error:
            return type(error)

    def becomes(self, archive_id: str, locality: Locality) -> RecallState:
        """Wait until the store says that an archive is there, and give its word."""
        wait_for(lambda: self.locality(archive_id) is locality)
        return self.state(archive_id)


class LongTermStoreContract:
    """The promises of `LongTermStore`."""

    def test_an_archive_on_disk_is_online_with_its_size_if_any_is_said(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        assert rig.becomes(A, Locality.ONLINE).size in {len(CONTENT), None}

    def test_what_was_never_archived_is_missing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        with pytest.raises(DatablockMissing, match=f"^the long-term store has no {re.escape(B)}: ."):
            rig.state(B)

    def test_opening_what_was_never_archived_says_so(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        with pytest.raises(DatablockMissing), rig.store.open(B):
            pass

    @pytest.mark.parametrize("chunk", [1000, 1 << 20])
    def test_reading_gives_every_byte_in_order(self, rig: StoreRig, chunk: int) -> None:
        rig.put(A, CONTENT)
        assert read_all(rig.store, A, chunk) == CONTENT

    def test_two_readers_do_not_disturb_each_other(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        buffer = memoryview(bytearray(1000))
        with rig.store.open(A) as source:
            first = source.readinto(buffer)
            assert read_all(rig.store, A) == CONTENT
            assert bytes(buffer[: source.readinto(buffer)])[:100] == CONTENT[first : first + 100]

    def test_a_reader_may_stop_before_the_end(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT * 100)
        buffer = memoryview(bytearray(100))
        with rig.store.open(A) as source:
            assert bytes(buffer[: source.readinto(buffer)]) == CONTENT[:100]
        assert read_all(rig.store, A) == CONTENT * 100

    @pytest.mark.parametrize(
        ("start", "length"), [(0, 1), (0, None), (1000, 5000), (100_000, None), (102_399, 1)]
    )
    def test_a_range_gives_just_its_bytes(self, rig: StoreRig, start: int, length: int | None) -> None:
        if not rig.store.capabilities.ranges:
            pytest.skip("this store reads from the beginning only")
        rig.put(A, CONTENT)
        expected = CONTENT[start:] if length is None else CONTENT[start : start + length]
        assert read_all(rig.store, A, 777, start, length) == expected

    def test_an_empty_archive_is_online_and_empty(self, rig: StoreRig) -> None:
        rig.put(A, b"")
        rig.becomes(A, Locality.ONLINE)
        assert read_all(rig.store, A) == b""

    def test_an_archive_on_tape_is_offline(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.becomes(A, Locality.OFFLINE)

    def test_a_requested_recall_goes_on_until_the_tape_delivers(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.request(A)
        assert rig.becomes(A, Locality.RECALLING).reason != ""
        rig.deliver(A)
        rig.becomes(A, Locality.ONLINE)
        assert read_all(rig.store, A) == CONTENT

    def test_a_recall_whose_request_nobody_remembers_is_not_said_to_be_online(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.request(A)
        rig.becomes(A, Locality.RECALLING)
        assert recall_state(rig.store, A).locality in {Locality.OFFLINE, Locality.RECALLING}

    def test_a_recall_may_be_requested_again(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        for _ in range(3):
            rig.request(A)
        rig.becomes(A, Locality.RECALLING)
        rig.deliver(A)
        rig.becomes(A, Locality.ONLINE)
        rig.request(A)
        rig.becomes(A, Locality.ONLINE)

    def test_a_recall_that_failed_is_offline_with_the_store_s_words_and_may_be_requested_again(
        self, rig: StoreRig
    ) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.request(A)
        rig.becomes(A, Locality.RECALLING)
        rig.fail_recall(A, "the drive is dirty")
        assert "the drive is dirty" in rig.becomes(A, Locality.OFFLINE).reason
        rig.request(A)
        rig.becomes(A, Locality.RECALLING)

    def test_many_requests_return_though_no_tape_delivers(self, rig: StoreRig) -> None:
        names = [f"{number}.tar" for number in range(50)]
        for name in names:
            rig.put(name, CONTENT, on_tape=True)
        begun = time.monotonic()
        rig.request(*names)
        assert time.monotonic() - begun < 60
        for name in names:
            rig.becomes(name, Locality.RECALLING)

    def test_requesting_what_is_online_changes_nothing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.request(A)
        rig.becomes(A, Locality.ONLINE)

    def test_requesting_what_is_missing_is_no_error_and_it_stays_missing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.request(B)
        assert rig.locality(B) is DatablockMissing

    def test_an_archive_that_appears_late_is_found(self, rig: StoreRig) -> None:
        rig.put("other.tar", CONTENT)
        assert rig.locality(A) is DatablockMissing
        rig.put(A, CONTENT)
        rig.becomes(A, Locality.ONLINE)

    def test_what_the_store_knows_to_be_lost_is_lost(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.lose_for_good(A)
        wait_for(lambda: rig.locality(A) is ArchiveLost)
        with pytest.raises(
            ArchiveLost, match=f"^the long-term store lost {re.escape(A)}: (?!it says no more)."
        ):
            rig.state(A)

    def test_requesting_what_is_lost_is_no_error_and_it_stays_lost(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        rig.lose_for_good(A)
        wait_for(lambda: rig.locality(A) is ArchiveLost)
        rig.request(A)
        assert rig.locality(A) is ArchiveLost

    def test_in_a_batch_each_archive_has_an_answer_of_its_own(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.put("tape.tar", CONTENT, on_tape=True)
        rig.becomes(A, Locality.ONLINE)
        asked = [ArchiveId(each) for each in (A, "../x.tar", "tape.tar", B, A)]
        answers = rig.store.recall_states([AskedArchive(each) for each in asked])
        assert set(answers) == set(asked)
        assert {
            each: answer.locality if isinstance(answer, RecallState) else type(answer)
            for each, answer in answers.items()
        } == {
            A: Locality.ONLINE,
            "tape.tar": Locality.OFFLINE,
            B: DatablockMissing,
            "../x.tar": ArchiveIdUnsafe,
        }

    def test_in_a_batch_of_requests_what_is_refused_keeps_nobody_waiting(self, rig: StoreRig) -> None:
        rig.put("tape.tar", CONTENT, on_tape=True)
        asked = [ArchiveId(each) for each in ("../x.tar", "tape.tar", B)]
        answers = rig.store.request_recalls(asked)
        assert set(answers) == set(asked)
        assert isinstance(answers[ArchiveId("../x.tar")], ArchiveIdUnsafe)
        wanted = [AskedArchive(each, str(answers[each])) for each in asked[1:]]
        wait_for(
            lambda: recall_state(rig.store, "tape.tar", wanted[0].request).locality is Locality.RECALLING
        )

    def test_an_empty_batch_has_no_answers(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.store.let_go([])
        assert (rig.store.request_recalls([]), rig.store.recall_states([]), rig.store.tape_positions([])) == (
            {},
            {},
            {},
        )

    def test_places_are_known_of_what_lies_on_tape_and_the_rest_is_left_out(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT, on_tape=True)
        asked = [A, B, ArchiveId("../x.tar")]
        if not rig.store.capabilities.tape_positions:
            assert rig.store.tape_positions(asked) == {}
            return
        rig.place(A, "VB1234", 70)
        assert rig.store.tape_positions(asked) == {A: TapePosition("VB1234", 70)}

    @pytest.mark.parametrize("archive_id", UNSAFE)
    @pytest.mark.parametrize("method", METHODS)
    def test_an_archive_id_that_leads_outside_is_refused(
        self, rig: StoreRig, archive_id: str, method: str
    ) -> None:
        rig.put(A, CONTENT)
        with pytest.raises(ArchiveIdUnsafe):
            METHODS[method](rig.store, ArchiveId(archive_id))

    @pytest.mark.parametrize("archive_id", UNSAFE)
    def test_releasing_what_leads_outside_releases_the_others(self, rig: StoreRig, archive_id: str) -> None:
        rig.put(A, CONTENT)
        rig.store.let_go([AskedArchive(ArchiveId(archive_id)), AskedArchive(A)])
        assert read_all(rig.store, A) == CONTENT

    @pytest.mark.parametrize("archive_id", UNUSUAL)
    def test_an_unusual_archive_id_is_taken_literally(self, rig: StoreRig, archive_id: str) -> None:
        rig.put("a b.txt", b"another")
        rig.put(archive_id, CONTENT)
        rig.becomes(archive_id, Locality.ONLINE)
        assert read_all(rig.store, archive_id) == CONTENT

    def test_an_unusual_archive_id_on_tape_is_recalled(self, rig: StoreRig) -> None:
        for archive_id in UNUSUAL:
            rig.put(archive_id, CONTENT, on_tape=True)
        rig.request(*UNUSUAL)
        for archive_id in UNUSUAL:
            rig.becomes(archive_id, Locality.RECALLING)

    def test_names_that_differ_by_quoting_are_different_archives(self, rig: StoreRig) -> None:
        rig.put("a b.tar", b"space")
        rig.put("a%20b.tar", b"percent")
        assert (read_all(rig.store, "a b.tar"), read_all(rig.store, "a%20b.tar")) == (b"space", b"percent")

    def test_an_archive_that_may_not_be_read_is_said_to_be_unreadable(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.forbid(A)
        with pytest.raises(DatablockUnreadable):
            rig.state(A)
        with pytest.raises(DatablockUnreadable):
            read_all(rig.store, A)

    def test_a_store_that_is_away_is_unavailable_and_nothing_is_missing(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.go_away()
        with pytest.raises(StoreUnavailable):
            rig.store.recall_states([AskedArchive(A), AskedArchive(B)])
        with pytest.raises(StoreUnavailable):
            rig.store.request_recalls([A, B])
        with pytest.raises(StoreUnavailable):
            read_all(rig.store, A)

    def test_releasing_twice_leaves_the_archive_in_the_store(self, rig: StoreRig) -> None:
        rig.put(A, CONTENT)
        rig.store.let_go([rig.wanted(A)])
        rig.store.let_go([rig.wanted(A)])
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
        super().__init__()
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

    def lose_for_good(self, archive_id: str) -> None:
        self.tape.lose_for_good(archive_id)

    def fail_recall(self, archive_id: str, reason: str) -> None:
        self.tape.fail_recall(archive_id, reason)

    def place(self, archive_id: str, tape: str, position: int) -> None:
        self.tape.place(archive_id, tape, position)


class PosixRig(StoreRig):
    """A folder whose archives on tape are sparse stubs, as an HSM leaves them."""

    def __init__(self, root: Path) -> None:
        super().__init__()
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
