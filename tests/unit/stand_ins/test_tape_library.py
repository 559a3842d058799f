"""The tape library: times, counts, and what it does in trouble."""

import io
import math
from pathlib import Path
from typing import Any

import pytest

from stand_ins.tape.backend import Locality, Recall, TapeFile
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.shape import Activity, Happening, LibraryShape, Policy, TapeEvent

SHAPE = LibraryShape(
    drives=1,
    mount_seconds=100,
    unmount_seconds=50,
    seek_seconds=10,
    seek_seconds_per_byte=0.001,
    bytes_per_second=10,
    linger_seconds=30,
)
TWO_DRIVES = LibraryShape(
    drives=2, mount_seconds=100, unmount_seconds=50, seek_seconds=0, linger_seconds=math.inf
)


def file(library: TapeLibrary, name: str) -> TapeFile:
    found = library.file(name)
    assert found is not None
    return found


def run_out(library: TapeLibrary) -> None:
    while (time := library.next_event()) is not None:
        library.advance(time)


def read_order(log: list[TapeEvent]) -> list[str]:
    return [event.subject for event in log if event.what is Happening.STARTED]


def test_a_recall_takes_the_mount_the_seek_and_the_reading() -> None:
    library = TapeLibrary(SHAPE)
    library.store("first", 1000, tape="T1")
    library.store("second", 500, tape="T1")
    library.recall(["second"], lifetime=1000)
    library.advance(100)
    assert file(library, "second").recall is Recall.STARTED
    library.advance(160.9)
    assert file(library, "second").locality is Locality.TAPE
    library.advance(161)
    second = file(library, "second")
    assert (second.locality, second.recall) == (Locality.DISK_AND_TAPE, Recall.COMPLETED)
    assert (second.position, second.started_at, second.finished_at) == (1000, 100, 161)
    assert library.counts().seek_bytes == 1000


def test_files_in_a_row_are_read_without_a_seek_between() -> None:
    library = TapeLibrary(SHAPE)
    for name in ("a", "b", "c"):
        library.store(name, 100, tape="T1")
    library.recall(["a", "b", "c"], lifetime=1000)
    library.advance(130)
    counts = library.counts()
    assert (counts.mounts, counts.reads, counts.read_bytes, counts.seeks) == (1, 3, 300, 0)


def test_by_tape_the_mounted_tape_is_served_first() -> None:
    log: list[TapeEvent] = []
    library = TapeLibrary(SHAPE, on_event=log.append)
    for name in ("a1", "b1", "a2", "b2"):
        library.store(name, 100, tape=name[0])
    library.recall(["a1", "b1", "a2", "b2"], lifetime=1000)
    run_out(library)
    assert read_order(log) == ["a1", "a2", "b1", "b2"]
    assert library.counts().mounts == 2


def test_first_come_changes_tapes_with_each_file() -> None:
    log: list[TapeEvent] = []
    library = TapeLibrary(LibraryShape(drives=1, policy=Policy.FIFO), on_event=log.append)
    for name in ("a1", "b1", "a2", "b2"):
        library.store(name, 100, tape=name[0])
    library.recall(["a1", "b1", "a2", "b2"], lifetime=1000)
    run_out(library)
    assert read_order(log) == ["a1", "b1", "a2", "b2"]
    assert library.counts().mounts == 4


def test_a_library_sorts_nothing_by_position() -> None:
    log: list[TapeEvent] = []
    library = TapeLibrary(SHAPE, on_event=log.append)
    for name in ("a", "b", "c"):
        library.store(name, 100, tape="T1")
    library.recall(["c", "a", "b"], lifetime=1000)
    run_out(library)
    assert read_order(log) == ["c", "a", "b"]


def test_two_drives_read_two_tapes_at_once() -> None:
    library = TapeLibrary(TWO_DRIVES)
    library.store("a", 400, tape="A")
    library.store("b", 400, tape="B")
    library.recall(["a", "b"], lifetime=1000)
    library.advance(101)
    assert file(library, "a").recall is file(library, "b").recall is Recall.COMPLETED


def test_what_is_on_its_way_is_joined_and_the_longer_lifetime_holds() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.recall(["a"], lifetime=10)
    library.recall(["a", "a"], lifetime=500)
    library.advance(110)
    assert file(library, "a").disk_until == 610
    run_out(library)
    assert library.reads("a") == 1


def test_a_recalled_file_leaves_the_disk_at_the_end_of_its_lifetime() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.recall(["a"], lifetime=60)
    library.advance(169)
    assert file(library, "a").locality is Locality.DISK_AND_TAPE
    library.advance(170)
    assert file(library, "a").locality is Locality.TAPE
    assert file(library, "a").recall is Recall.COMPLETED


def test_asking_again_extends_the_lifetime_without_a_read() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.recall(["a"], lifetime=60)
    library.advance(150)
    library.recall(["a"], lifetime=60)
    library.advance(209)
    assert file(library, "a").locality is Locality.DISK_AND_TAPE
    library.advance(210)
    assert file(library, "a").locality is Locality.TAPE
    assert library.reads("a") == 1


def test_a_released_file_leaves_the_disk_and_is_read_anew_when_asked_for() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.recall(["a"], lifetime=1000)
    library.advance(110)
    library.release(["a"])
    assert file(library, "a").locality is Locality.TAPE
    library.recall(["a"], lifetime=5000)
    library.advance(1200)
    assert file(library, "a").locality is Locality.DISK_AND_TAPE, "the first stay's end is not the second's"
    assert library.reads("a") == 2


def test_a_file_on_disk_only_stays_there() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", b"abc")
    library.recall(["a"], lifetime=1)
    library.release(["a"])
    library.advance(100)
    assert (file(library, "a").locality, file(library, "a").recall) == (Locality.DISK, Recall.COMPLETED)


def test_an_idle_drive_keeps_its_tape_for_a_while() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.store("b", 100, tape="T1")
    library.recall(["a"], lifetime=1000)
    library.advance(139)
    library.recall(["b"], lifetime=1000)
    library.advance(149)
    assert file(library, "b").recall is Recall.COMPLETED
    assert library.counts().mounts == 1
    run_out(library)
    assert library.counts().unmounts == 1


def test_a_recall_that_is_not_begun_can_be_taken_back() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.store("b", 100, tape="T1")
    library.recall(["a", "b"], lifetime=1000)
    library.advance(105)
    library.cancel(["a", "b"])
    run_out(library)
    assert (file(library, "a").recall, file(library, "b").recall) == (Recall.COMPLETED, Recall.CANCELLED)
    assert (library.reads("a"), library.reads("b")) == (1, 0)


def test_a_failed_read_can_be_asked_for_again() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.fail("a", times=1, error="media error")
    library.recall(["a"], lifetime=1000)
    library.advance(110)
    assert (file(library, "a").recall, file(library, "a").error) == (Recall.FAILED, "media error")
    assert file(library, "a").locality is Locality.TAPE
    library.recall(["a"], lifetime=1000)
    library.advance(140)
    assert (file(library, "a").recall, file(library, "a").error) == (Recall.COMPLETED, "")
    assert library.counts().failures == 1


@pytest.mark.parametrize("lost_at", [0, 50, 105])
def test_the_recall_of_a_lost_file_fails(lost_at: float) -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.advance(0)
    library.recall(["a"], lifetime=1000)
    library.advance(lost_at)
    library.lose("a")
    run_out(library)
    assert (file(library, "a").locality, file(library, "a").recall) == (Locality.LOST, Recall.FAILED)
    library.recall(["a"], lifetime=1000)
    assert file(library, "a").recall is Recall.FAILED


def test_what_a_breaking_drive_was_reading_is_read_by_another_one() -> None:
    log: list[TapeEvent] = []
    library = TapeLibrary(TWO_DRIVES, on_event=log.append)
    library.store("a", 10**12, tape="A")
    library.recall(["a"], lifetime=10_000)
    library.advance(150)
    library.break_drive(0)
    assert file(library, "a").recall is Recall.SUBMITTED
    library.advance(249)
    assert file(library, "a").recall is Recall.SUBMITTED
    run_out(library)
    assert file(library, "a").recall is Recall.COMPLETED
    assert [event.drive for event in log if event.what is Happening.READ] == [1]
    assert library.reads("a") == 1


def test_a_mended_drive_works_again() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="A")
    library.break_drive(0)
    library.recall(["a"], lifetime=1000)
    library.advance(500)
    assert file(library, "a").recall is Recall.SUBMITTED
    library.mend_drive(0)
    library.advance(610)
    assert file(library, "a").recall is Recall.COMPLETED


def test_recalls_from_a_disabled_tape_wait_until_it_is_enabled() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="A")
    library.store("b", 100, tape="B")
    library.disable_tape("A")
    library.recall(["a", "b"], lifetime=10_000)
    library.advance(500)
    assert (file(library, "a").locality, file(library, "a").recall) == (
        Locality.UNAVAILABLE,
        Recall.SUBMITTED,
    )
    assert file(library, "b").recall is Recall.COMPLETED
    library.enable_tape("A")
    library.advance(610)
    assert file(library, "a").locality is Locality.DISK_AND_TAPE


def test_a_mount_can_take_longer_once() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="A")
    library.delay_mount("A", 1000)
    library.recall(["a"], lifetime=1000)
    library.advance(1109)
    assert file(library, "a").recall is Recall.STARTED
    library.advance(1110)
    assert file(library, "a").recall is Recall.COMPLETED


def test_a_drive_waits_for_room_on_disk() -> None:
    library = TapeLibrary(LibraryShape(drives=1, mount_seconds=10, bytes_per_second=10, buffer_bytes=150))
    library.store("a", 100, tape="T1")
    library.store("b", 100, tape="T1")
    library.recall(["a", "b"], lifetime=math.inf)
    library.advance(1000)
    assert file(library, "b").recall is Recall.SUBMITTED
    assert library.drives()[0].activity is Activity.STALLED
    library.release(["a"])
    library.advance(1010)
    assert file(library, "b").recall is Recall.COMPLETED
    assert library.disk_used() == 100


def test_a_file_larger_than_the_disk_is_refused() -> None:
    library = TapeLibrary(LibraryShape(buffer_bytes=99))
    library.store("a", 100, tape="T1")
    library.recall(["a"], lifetime=1)
    assert (file(library, "a").recall, file(library, "a").error) == (
        Recall.FAILED,
        "the file is larger than the disk",
    )


def test_a_removed_file_is_known_no_longer() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", 100, tape="T1")
    library.recall(["a"], lifetime=1000)
    library.advance(105)
    library.remove("a")
    run_out(library)
    assert library.file("a") is None
    assert library.disk_used() == 0


def test_unknown_names_are_passed_over() -> None:
    library = TapeLibrary(SHAPE)
    library.recall(["a"], lifetime=1)
    library.cancel(["a"])
    library.release(["a"])
    assert library.file("a") is None
    assert library.next_event() is None


def test_what_is_on_disk_can_be_opened_and_the_rest_cannot(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"of a file")
    library = TapeLibrary(SHAPE)
    library.store("a", b"abc", tape="T1")
    library.store("b", tmp_path / "b", tape="T1")
    library.store("size", 5, tape="T1")
    with pytest.raises(BlockingIOError):
        library.open("a")
    with pytest.raises(FileNotFoundError):
        library.open("c")
    library.recall(["a", "b", "size"], lifetime=1000)
    library.advance(105)
    with library.open("a") as a, library.open("b") as b:
        assert (a.read(), b.read()) == (b"abc", b"of a file")
    with pytest.raises(OSError, match="only its size"):
        library.open("size")
    library.lose("a")
    with pytest.raises(OSError, match="lost"):
        library.open("a")


def test_every_query_first_lets_happen_what_is_due() -> None:
    time = io.StringIO("0\n110\n")
    library = TapeLibrary(SHAPE, clock=lambda: float(time.readline() or 110))
    library.store("a", 100, tape="T1", disk_lifetime=0)
    assert library.now() == 110
    library.recall(["a"], lifetime=1)
    assert library.next_event() == 210


def test_drives_say_what_they_do() -> None:
    library = TapeLibrary(TWO_DRIVES)
    library.store("a", 10**12, tape="A")
    library.recall(["a"], lifetime=1)
    library.advance(150)
    busy, free = library.drives()
    assert (busy.activity, busy.tape, busy.file) == (Activity.READING, "A", "a")
    assert (free.activity, free.tape, free.file) == (Activity.EMPTY, "", "")
    assert (busy.seconds[Activity.MOUNTING], busy.seconds[Activity.READING]) == (100, 50)


def test_a_name_is_given_once() -> None:
    library = TapeLibrary(SHAPE)
    library.store("b", 1, tape="T1")
    library.store("a", 1)
    with pytest.raises(ValueError, match="'b'"):
        library.store("b", 2)
    assert library.names() == ["a", "b"]


def test_a_file_may_be_on_disk_for_a_while_from_the_beginning() -> None:
    library = TapeLibrary(SHAPE)
    library.store("a", b"abc", tape="T1", disk_lifetime=10)
    with library.open("a") as content:
        assert content.read() == b"abc"
    library.advance(10)
    assert file(library, "a").locality is Locality.TAPE


@pytest.mark.parametrize("wrong", [{"drives": 0}, {"bytes_per_second": 0}, {"mount_seconds": -1}])
def test_a_library_that_cannot_be_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="a drive that reads"):
        LibraryShape(**wrong)
