"""What a tape library is made of, how fast it is, and what it tells of itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple


class Policy(StrEnum):
    """Which of the recalls that wait a drive serves next."""

    FIFO = "fifo"
    """The oldest whose tape is not in another drive. The mounted tape stays only if the oldest is on it."""
    BY_TAPE = "by_tape"
    """The oldest on the mounted tape; where there is none, the oldest of all whose tape is not in another drive."""


@dataclass(frozen=True, slots=True)
class LibraryShape:
    """How large and how fast a library is. The default is about two LTO-9 drives.

    Attributes:
        drives: How many drives it has.
        mount_seconds: From the decision to the tape being ready at its beginning.
        unmount_seconds: Rewinding and taking the tape away.
        seek_seconds: What each seek takes at least, seconds.
        seek_seconds_per_byte: What it takes on top for each byte between the head and the file. A real tape runs to and fro
            in many tracks; here it is one line.
        bytes_per_second: Reading.
        linger_seconds: How long a drive without work keeps its tape; `math.inf` for as long as nothing else is asked for.
        buffer_bytes: The most bytes that recalled files take on disk; None has no bound. A drive waits for room.
        policy: Whom a drive serves next.
    """

    drives: int = 2
    mount_seconds: float = 60.0
    unmount_seconds: float = 40.0
    seek_seconds: float = 2.0
    seek_seconds_per_byte: float = 80.0 / 18e12
    bytes_per_second: float = 400e6
    linger_seconds: float = 60.0
    buffer_bytes: int | None = None
    policy: Policy = Policy.BY_TAPE

    def __post_init__(self) -> None:
        times = (self.mount_seconds, self.unmount_seconds, self.seek_seconds, self.seek_seconds_per_byte)
        if self.drives < 1 or self.bytes_per_second <= 0 or min(*times, self.linger_seconds) < 0:
            raise ValueError("a library needs a drive that reads, and times that are not negative")


class Activity(StrEnum):
    """What a drive spends its time with."""

    EMPTY = "empty"
    MOUNTING = "mounting"
    SEEKING = "seeking"
    READING = "reading"
    LINGERING = "lingering"
    """It keeps its tape, and has nothing to read."""
    STALLED = "stalled"
    """It has something to read, and the disk has no room."""
    UNMOUNTING = "unmounting"
    BROKEN = "broken"


class Happening(StrEnum):
    """What a library tells to those who listen."""

    MOUNTING = "mounting"
    MOUNTED = "mounted"
    STARTED = "started"
    """A drive turned to a file: it seeks, then reads."""
    READ = "read"
    FAILED = "failed"
    """It was read, and cannot be given."""
    UNMOUNTED = "unmounted"
    BROKEN = "broken"
    """A drive broke; what it was reading waits again, and its tape was taken out."""
    MENDED = "mended"
    REMOVED = "removed"
    """A file was removed from disk; it is still on its tape. Told with drive -1."""


class TapeEvent(NamedTuple):
    """Something that happened.

    Attributes:
        time: When, seconds of the library's clock.
        drive: In which drive, from 0; -1 for none.
        what: What happened.
        subject: The tape's label (mounts), or the file's name (the rest); empty where there is none.
    """

    time: float
    drive: int
    what: Happening
    subject: str


@dataclass(frozen=True, slots=True)
class LibraryCounts:
    """What a library did since its beginning.

    Attributes:
        mounts: Mounts that were ended.
        unmounts: Tapes brought back; not those that were taken out of a broken drive by hand.
        seeks: Reads before which the head had to move.
        seek_bytes: Bytes that it moved over for that.
        reads: Reads that were ended, failed ones too.
        read_bytes: Bytes of these.
        failures: Reads that failed.
        waiting: Recalls that wait now, without those that are being read.
    """

    mounts: int
    unmounts: int
    seeks: int
    seek_bytes: int
    reads: int
    read_bytes: int
    failures: int
    waiting: int


@dataclass(frozen=True, slots=True)
class DriveReport:
    """What a drive does now, and what it spent its time with.

    Attributes:
        number: From 0.
        activity: Now.
        tape: Label of the tape in it, or on its way into it; empty for none.
        file: The file that it seeks or reads; empty for none.
        seconds: Spent since the library's beginning, by activity. They add up to the library's time.
    """

    number: int
    activity: Activity
    tape: str
    file: str
    seconds: Mapping[Activity, float]


def sped_up(speed: float) -> Callable[[], float]:
    """Give a clock that begins at 0 now, and runs so many times faster than ours."""
    start = time.monotonic()
    return lambda: (time.monotonic() - start) * speed
