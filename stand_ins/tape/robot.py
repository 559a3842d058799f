"""Drives, and the robot that brings them tapes: who is served when, and how long everything takes."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from stand_ins.tape.agenda import Agenda
from stand_ins.tape.backend import Recall
from stand_ins.tape.holdings import Drive, HeldFile, Room, Tape
from stand_ins.tape.shape import (
    Activity,
    DriveReport,
    Happening,
    LibraryShape,
    Policy,
    TapeEvent,
)


@dataclass(slots=True)
class Tally:
    """What was counted: see `LibraryCounts`."""

    mounts: int = 0
    unmounts: int = 0
    seeks: int = 0
    seek_bytes: int = 0
    reads: int = 0
    read_bytes: int = 0
    waiting: int = 0


class Robot:
    """Serves recalls. Each tape keeps its own queue, so that no choice walks through all that wait.

    Args:
        shape: Times and policy.
        tapes: The tapes by label; more may come.
        agenda: The clock, and what is to happen.
        room: The disk that is read to; what is read keeps its room until somebody gives it back.
        read: Called at the end of each read, with the drive's number.
        on_event: Told what happens.
    """

    def __init__(
        self,
        shape: LibraryShape,
        tapes: Mapping[str, Tape],
        agenda: Agenda,
        room: Room,
        read: Callable[[HeldFile, int], None],
        on_event: Callable[[TapeEvent], None] | None,
    ) -> None:
        self.tally = Tally()
        self._shape = shape
        self._tapes = tapes
        self._agenda = agenda
        self._room = room
        self._read = read
        self._on_event = on_event
        self._drives = [Drive(number, agenda.now) for number in range(shape.drives)]
        self._free = list(self._drives)
        self._stalled: list[Drive] = []
        self._shelf: list[tuple[int, str]] = []
        """Labels of tapes in no drive that have recalls, by the oldest ticket, with some that are true no longer."""

    def tell(self, drive: int, what: Happening, subject: str = "") -> None:
        """Tell those who listen."""
        if self._on_event is not None:
            self._on_event(TapeEvent(self._agenda.now, drive, what, subject))

    def reports(self) -> list[DriveReport]:
        """Say what each drive does."""
        return [drive.report(self._agenda.now) for drive in self._drives]

    def submit(self, file: HeldFile, tape: Tape) -> None:
        """Let a file with a ticket wait. `serve` is to be called after one or many."""
        tape.add(file)
        self.tally.waiting += 1
        self.offer(tape)

    def withdraw(self, file: HeldFile) -> None:
        """Let a file wait no longer. `serve` is to be called after one or many."""
        if file.recall is Recall.SUBMITTED:
            file.ticket = 0
            self.tally.waiting -= 1

    def offer(self, tape: Tape) -> None:
        """Have a tape thought of: its oldest recall changed, or it may be mounted again."""
        head = tape.head()
        if head is not None and tape.enabled and tape.drive is None:
            heapq.heappush(self._shelf, (head, tape.label))

    def serve(self) -> None:
        """Give drives without work what waits, and those without room another try."""
        stalled, self._stalled = self._stalled, []
        for drive in stalled:
            self._next_file(drive)
        while self._free:
            mounted = [drive for drive in self._free if drive.waits]
            own = min(mounted, key=_oldest, default=None)
            tape = self._oldest_on_shelf()
            if own is not None and (
                tape is None or self._shape.policy is Policy.BY_TAPE or _oldest(own) < (tape.head() or 0)
            ):
                self._free.remove(own)
                self._next_file(own)
            elif tape is not None:
                drive = min(self._free, key=lambda drive: (drive.tape is not None, drive.waits, drive.since))
                self._free.remove(drive)
                self._fetch(drive, tape)
            else:
                return

    def break_drive(self, number: int) -> None:
        """Break a drive: see `Happening.BROKEN`."""
        drive = self._drives[number]
        if drive.activity is Activity.BROKEN:
            return
        for waiting in (self._free, self._stalled):
            if drive in waiting:
                waiting.remove(drive)
        file, drive.file = drive.file, None
        if file is not None and file.tape is not None:
            self._room.give_back(file.size)
            file.recall, file.started_at = Recall.SUBMITTED, None
            self.submit(file, file.tape)
        self.tell(number, Happening.BROKEN)
        self._turn_to(drive, Activity.BROKEN)
        for tape in (drive.tape, drive.next_tape):
            if tape is not None:
                tape.drive = None
                self.offer(tape)
        drive.tape = drive.next_tape = None
        self.serve()

    def mend_drive(self, number: int) -> None:
        """Let a broken drive work again."""
        drive = self._drives[number]
        if drive.activity is Activity.BROKEN:
            self.tell(number, Happening.MENDED)
            self._empty(drive)

    def _oldest_on_shelf(self) -> Tape | None:
        while self._shelf:
            ticket, label = self._shelf[0]
            tape = self._tapes[label]
            if tape.drive is None and tape.enabled and tape.head() == ticket:
                return tape
            heapq.heappop(self._shelf)
            self.offer(tape)
        return None

    def _turn_to(self, drive: Drive, activity: Activity) -> None:
        now = self._agenda.now
        drive.seconds[drive.activity] += now - drive.since
        drive.activity, drive.since = activity, now
        drive.turn += 1

    def _then(self, drive: Drive, seconds: float, action: Callable[[Drive], None]) -> None:
        self._agenda.at(self._agenda.now + seconds, partial(_unless_turned, drive, drive.turn, action))

    def _fetch(self, drive: Drive, tape: Tape) -> None:
        tape.drive, drive.next_tape = drive, tape
        if drive.tape is None:
            self._mount(drive, tape)
        else:
            self._unmount(drive)

    def _mount(self, drive: Drive, tape: Tape) -> None:
        drive.tape, drive.next_tape = tape, None
        self._turn_to(drive, Activity.MOUNTING)
        self.tell(drive.number, Happening.MOUNTING, tape.label)
        delay, tape.mount_delay = tape.mount_delay, 0.0
        self._then(drive, self._shape.mount_seconds + delay, partial(self._mounted, tape=tape))

    def _mounted(self, drive: Drive, tape: Tape) -> None:
        drive.head = 0
        self.tally.mounts += 1
        self.tell(drive.number, Happening.MOUNTED, tape.label)
        self._next_file(drive)

    def _unmount(self, drive: Drive) -> None:
        self._turn_to(drive, Activity.UNMOUNTING)
        self._then(drive, self._shape.unmount_seconds, self._unmounted)

    def _unmounted(self, drive: Drive) -> None:
        tape, drive.tape = drive.tape, None
        if tape is not None:
            tape.drive = None
            self.tally.unmounts += 1
            self.tell(drive.number, Happening.UNMOUNTED, tape.label)
            self.offer(tape)
        if drive.next_tape is not None:
            self._mount(drive, drive.next_tape)
            self.serve()
        else:
            self._empty(drive)

    def _empty(self, drive: Drive) -> None:
        self._turn_to(drive, Activity.EMPTY)
        self._free.append(drive)
        self.serve()

    def _next_file(self, drive: Drive) -> None:
        file = drive.tape.take() if drive.tape is not None and drive.tape.enabled else None
        if file is None:
            self._linger(drive)
        elif not self._room.reserve(file.size):
            if file.tape is not None:
                file.tape.add(file)
            self._turn_to(drive, Activity.STALLED)
            self._stalled.append(drive)
        else:
            self._seek(drive, file)

    def _linger(self, drive: Drive) -> None:
        self._turn_to(drive, Activity.LINGERING)
        turn = drive.turn
        self._free.append(drive)
        self.serve()
        if drive.turn == turn:
            self._then(drive, self._shape.linger_seconds, self._lingered)

    def _lingered(self, drive: Drive) -> None:
        self._free.remove(drive)
        self._unmount(drive)

    def _seek(self, drive: Drive, file: HeldFile) -> None:
        drive.file = file
        self.tally.waiting -= 1
        file.recall, file.started_at = Recall.STARTED, self._agenda.now
        self.tell(drive.number, Happening.STARTED, file.name)
        distance = abs(file.position - drive.head)
        if not distance:
            self._begin_reading(drive, file)
            return
        self.tally.seeks += 1
        self.tally.seek_bytes += distance
        self._turn_to(drive, Activity.SEEKING)
        seconds = self._shape.seek_seconds + distance * self._shape.seek_seconds_per_byte
        self._then(drive, seconds, partial(self._begin_reading, file=file))

    def _begin_reading(self, drive: Drive, file: HeldFile) -> None:
        self._turn_to(drive, Activity.READING)
        self._then(drive, file.size / self._shape.bytes_per_second, partial(self._end_reading, file=file))

    def _end_reading(self, drive: Drive, file: HeldFile) -> None:
        drive.file, drive.head = None, file.position + file.size
        file.ticket = 0
        file.reads += 1
        self.tally.reads += 1
        self.tally.read_bytes += file.size
        self._read(file, drive.number)
        self._linger(drive)


def _oldest(drive: Drive) -> int:
    """Give the oldest ticket of a drive whose tape's files wait."""
    return (drive.tape.head() if drive.tape else None) or 0


def _unless_turned(drive: Drive, turn: int, action: Callable[[Drive], None]) -> None:
    if drive.turn == turn:
        action(drive)
