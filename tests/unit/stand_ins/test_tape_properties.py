"""What holds for a tape library whatever is asked of it, and whatever breaks."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stand_ins.tape.backend import Recall
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.shape import Activity, Happening, LibraryShape, Policy, TapeEvent

FILES = 12
TAPES = 4


@dataclass
class Run:
    library: TapeLibrary
    log: list[TapeEvent]
    asked: list[str]
    """Names at the times at which a new recall began to wait."""


Step = Callable[[Run], None]


def recall(numbers: list[int], lifetime: float) -> Step:
    def step(run: Run) -> None:
        names = [f"f{number}" for number in numbers]
        for name in names:
            file = run.library.file(name)
            assert file is not None
            if file.recall not in (Recall.SUBMITTED, Recall.STARTED) and file.disk_until is None:
                run.asked.append(name)
            run.library.recall([name], lifetime)

    return step


def go_on(seconds: float) -> Step:
    return lambda run: run.library.advance(run.library.now() + seconds)


names = st.integers(0, FILES - 1).map("f{}".format)
drives = st.integers(0, 1)
labels = st.integers(0, TAPES - 1).map("T{}".format)
calm = st.one_of(
    st.builds(
        recall, st.lists(st.integers(0, FILES - 1), min_size=1, max_size=8), st.sampled_from([5.0, 1000.0])
    ),
    st.integers(0, 300).map(go_on),
    names.map(lambda name: lambda run: run.library.release([name])),
)
trouble = st.one_of(
    names.map(lambda name: lambda run: run.library.cancel([name])),
    names.map(lambda name: lambda run: run.library.fail(name)),
    names.map(lambda name: lambda run: run.library.lose(name)),
    labels.map(lambda label: lambda run: run.library.delay_mount(label, 77)),
    drives.map(lambda number: lambda run: run.library.break_drive(number)),
    drives.map(lambda number: lambda run: run.library.mend_drive(number)),
    labels.map(lambda label: lambda run: run.library.disable_tape(label)),
    labels.map(lambda label: lambda run: run.library.enable_tape(label)),
)
shapes = st.builds(
    LibraryShape,
    drives=st.just(2),
    mount_seconds=st.sampled_from([0.0, 20.0]),
    unmount_seconds=st.sampled_from([0.0, 10.0]),
    seek_seconds=st.just(1.0),
    seek_seconds_per_byte=st.just(0.01),
    bytes_per_second=st.just(100.0),
    linger_seconds=st.sampled_from([0.0, 15.0, float("inf")]),
    buffer_bytes=st.sampled_from([None, 1500]),
    policy=st.sampled_from(Policy),
)


def play(shape: LibraryShape, steps: list[Step]) -> Run:
    log: list[TapeEvent] = []
    run = Run(TapeLibrary(shape, on_event=log.append), log, [])
    for number in range(FILES):
        run.library.store(f"f{number}", 100 * (1 + number % 5), tape=f"T{number % TAPES}")
    for step in steps:
        step(run)
    return run


def play_to_the_end(shape: LibraryShape, steps: list[Step]) -> Run:
    """Mend all, and let all that waits end."""
    run = play(shape, steps)
    for number in range(shape.drives):
        run.library.mend_drive(number)
    for number in range(TAPES):
        run.library.enable_tape(f"T{number}")
    while (time := run.library.next_event()) is not None:
        run.library.advance(time)
    return run


@given(shapes, st.lists(calm))
def test_every_recall_is_read_once_however_many_join(shape: LibraryShape, steps: list[Step]) -> None:
    run = play_to_the_end(shape, steps)
    read = Counter(event.subject for event in run.log if event.what is Happening.READ)
    assert read == Counter(run.asked)
    assert all(run.library.reads(name) == count for name, count in read.items())


@given(shapes, st.lists(st.one_of(calm, trouble)))
def test_every_recall_ends_whatever_breaks(shape: LibraryShape, steps: list[Step]) -> None:
    run = play_to_the_end(shape, steps)
    for number in range(FILES):
        file = run.library.file(f"f{number}")
        assert file is not None
        assert file.recall in (None, Recall.COMPLETED, Recall.FAILED, Recall.CANCELLED)
        assert (file.recall is None) == (file.finished_at is None)
    counts = run.library.counts()
    assert counts.waiting == 0
    assert counts.reads == sum(run.library.reads(f"f{number}") for number in range(FILES))


@given(shapes, st.lists(st.one_of(calm, trouble)))
def test_a_tape_is_in_one_drive_and_a_drive_has_one_tape(shape: LibraryShape, steps: list[Step]) -> None:
    inside: dict[int, str] = {}
    for event in play_to_the_end(shape, steps).log:
        if event.what is Happening.MOUNTING:
            assert event.drive not in inside
            assert event.subject not in inside.values()
            inside[event.drive] = event.subject
        elif event.what in (Happening.MOUNTED, Happening.STARTED):
            assert event.drive in inside
        elif event.what is Happening.UNMOUNTED:
            assert inside.pop(event.drive) == event.subject
        elif event.what is Happening.BROKEN:
            inside.pop(event.drive, None)


@given(shapes, st.lists(st.one_of(calm, trouble)))
def test_the_time_of_every_drive_adds_up(shape: LibraryShape, steps: list[Step]) -> None:
    library = play(shape, steps).library
    for drive in library.drives():
        assert sum(drive.seconds.values()) == pytest.approx(library.now())


@given(shapes, st.lists(calm))
def test_drives_read_and_mount_as_long_as_their_work_takes(shape: LibraryShape, steps: list[Step]) -> None:
    run = play_to_the_end(shape, steps)
    counts, spent = run.library.counts(), Counter[Activity]()
    for drive in run.library.drives():
        spent.update(drive.seconds)
    assert spent[Activity.READING] == pytest.approx(counts.read_bytes / shape.bytes_per_second)
    assert spent[Activity.MOUNTING] == pytest.approx(counts.mounts * shape.mount_seconds)
    assert spent[Activity.UNMOUNTING] == pytest.approx(counts.unmounts * shape.unmount_seconds)
    assert spent[Activity.SEEKING] == pytest.approx(
        counts.seeks * shape.seek_seconds + counts.seek_bytes * shape.seek_seconds_per_byte
    )


@given(shapes, st.lists(st.one_of(calm, trouble)))
def test_the_disk_never_holds_more_than_it_has_room_for(shape: LibraryShape, steps: list[Step]) -> None:
    run = play(shape, [])
    for step in steps:
        step(run)
        used = run.library.disk_used()
        assert used >= 0
        assert shape.buffer_bytes is None or used <= shape.buffer_bytes


@given(shapes, st.lists(st.one_of(calm, trouble)))
def test_the_same_steps_end_the_same_way(shape: LibraryShape, steps: list[Step]) -> None:
    assert play_to_the_end(shape, steps).log == play_to_the_end(shape, steps).log


@given(shapes, st.lists(st.one_of(calm, trouble)), st.integers(1, 50))
def test_how_often_it_is_looked_at_changes_nothing(
    shape: LibraryShape, steps: list[Step], stride: int
) -> None:
    end = 5000.0
    once, often = play(shape, steps), play(shape, steps)
    once.library.advance(end)
    while often.library.now() < end:
        often.library.advance(min(end, often.library.now() + stride))
    assert once.log == often.log
    assert once.library.drives() == often.library.drives()
