"""What a tape library keeps book of: files, tapes, drives, and the room on disk."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from pathlib import Path

from stand_ins.tape.backend import Locality, Recall, TapeFile
from stand_ins.tape.shape import Activity, DriveReport


@dataclass(slots=True, eq=False)
class HeldFile:
    """A file.

    Attributes:
        name: Its name.
        size: Bytes.
        content: Its bytes, where they are, or None where only its size is of interest.
        tape: Its tape; None where it is on disk only.
        position: Where it begins on it.
        ticket: Its place among the recalls: smaller is older. 0 where none waits or is served.
        recall: How far the last recall is.
        error: Why it failed.
        started_at: When a drive turned to it.
        finished_at: When its recall ended.
        reads: How often it was read to its end.
        lifetime: How long it is wanted on disk once it is there, seconds.
        on_disk: Whether it is on disk.
        until: How long it stays there.
        stay: Counts its stays on disk, so that the end of an earlier one is known as such.
        failures: How many of the next reads will fail.
        failure: How they will.
        lost: Whether its bytes are gone for good.
    """

    name: str
    size: int
    content: bytes | Path | None
    tape: Tape | None
    position: int
    ticket: int = 0
    recall: Recall | None = None
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    reads: int = 0
    lifetime: float = 0.0
    on_disk: bool = False
    until: float = 0.0
    stay: int = 0
    failures: int = 0
    failure: str = ""
    lost: bool = False

    @property
    def locality(self) -> Locality:
        """Where it is."""
        if self.lost:
            return Locality.LOST
        if self.tape is None:
            return Locality.DISK
        if self.on_disk:
            return Locality.DISK_AND_TAPE
        return Locality.TAPE if self.tape.enabled else Locality.UNAVAILABLE

    def report(self) -> TapeFile:
        """Give what the outside may know."""
        return TapeFile(
            name=self.name,
            size=self.size,
            tape=self.tape.label if self.tape else "",
            position=self.position,
            locality=self.locality,
            recall=self.recall,
            error=self.error,
            started_at=self.started_at,
            finished_at=self.finished_at,
            disk_until=self.until if self.on_disk and self.tape else None,
        )


@dataclass(slots=True, eq=False)
class Tape:
    """A tape.

    Attributes:
        label: Its label.
        end: Where the next file is written, bytes.
        enabled: Whether it may be mounted and read.
        drive: The drive that it is in, or on its way into or out of.
        mount_delay: Seconds by which its next mount takes longer.
        waiting: The recalls of its files by ticket, with some that were taken back.
    """

    label: str
    end: int = 0
    enabled: bool = True
    drive: Drive | None = None
    mount_delay: float = 0.0
    waiting: list[tuple[int, HeldFile]] = field(default_factory=list)

    def add(self, file: HeldFile) -> None:
        """Let a recall wait, at the place of its ticket."""
        heapq.heappush(self.waiting, (file.ticket, file))

    def head(self) -> int | None:
        """Give the ticket of the oldest recall that waits; None where none does."""
        while self.waiting and self.waiting[0][1].ticket != self.waiting[0][0]:
            heapq.heappop(self.waiting)
        return self.waiting[0][0] if self.waiting else None

    def take(self) -> HeldFile | None:
        """Take the oldest recall out."""
        return None if self.head() is None else heapq.heappop(self.waiting)[1]


@dataclass(slots=True, eq=False)
class Drive:
    """A drive.

    Attributes:
        number: From 0.
        activity: What it does.
        since: Since when.
        turn: Counts what it was set to do, so that the end of what was broken off is known as such.
        tape: The tape in it, or on its way into or out of it.
        next_tape: The tape that comes when this one is out.
        file: What it seeks or reads.
        head: Where its head is, bytes from the tape's beginning.
        seconds: What it spent with each activity that has ended.
    """

    number: int
    since: float
    activity: Activity = Activity.EMPTY
    turn: int = 0
    tape: Tape | None = None
    next_tape: Tape | None = None
    file: HeldFile | None = None
    head: int = 0
    seconds: dict[Activity, float] = field(default_factory=lambda: dict.fromkeys(Activity, 0.0))

    @property
    def waits(self) -> bool:
        """Whether files of the tape in it wait, and may be read."""
        return self.tape is not None and self.tape.enabled and self.tape.head() is not None

    def report(self, now: float) -> DriveReport:
        """Give what the outside may know."""
        seconds = dict(self.seconds)
        seconds[self.activity] += now - self.since
        tape = self.tape or self.next_tape
        return DriveReport(
            self.number,
            self.activity,
            tape.label if tape else "",
            self.file.name if self.file else "",
            seconds,
        )


@dataclass(slots=True)
class Room:
    """The room on disk.

    Attributes:
        capacity: Bytes; None has no bound.
        used: Bytes of what is there and of what is being read.
    """

    capacity: int | None
    used: int = 0

    def reserve(self, size: int) -> bool:
        """Take room; False where there is not enough."""
        if self.capacity is not None and self.used + size > self.capacity:
            return False
        self.used += size
        return True

    def give_back(self, size: int) -> None:
        """Give room back."""
        self.used -= size
