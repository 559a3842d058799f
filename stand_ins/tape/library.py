"""A tape library in virtual time: the same recalls at the same times always end the same way."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import BinaryIO

from stand_ins.tape.agenda import Agenda
from stand_ins.tape.backend import Recall, TapeFile
from stand_ins.tape.holdings import HeldFile, Room, Tape
from stand_ins.tape.robot import Robot
from stand_ins.tape.shape import (
    DriveReport,
    Happening,
    LibraryCounts,
    LibraryShape,
    TapeEvent,
)


class TapeLibrary:
    """A first-come tape library with a disk buffer before it; fulfils `TapeBackend`. May be used from any thread.

    It sorts nothing: recalls are served in the order in which they were asked for, as far as `Policy` says. Every method
    first lets happen what was due until now.

    Args:
        shape: Its size and speed.
        clock: Gives its time, seconds, from 0: `sped_up(60)` for a demo. None has only `advance` move time on.
        on_event: Told what happens, in the order in which it does; a list's `append` keeps a log. It is called while things
            happen: it should be quick, and must not ask the library.
    """

    def __init__(
        self,
        shape: LibraryShape | None = None,
        *,
        clock: Callable[[], float] | None = None,
        on_event: Callable[[TapeEvent], None] | None = None,
    ) -> None:
        self.shape = shape or LibraryShape()
        self._clock = clock
        self._lock = threading.RLock()
        self._agenda = Agenda()
        self._files: dict[str, HeldFile] = {}
        self._tapes: dict[str, Tape] = {}
        self._tickets = 0
        self._failures = 0
        self._room = Room(self.shape.buffer_bytes)
        self._robot = Robot(self.shape, self._tapes, self._agenda, self._room, self._end_read, on_event)

    # Time

    def now(self) -> float:
        """Give its time, seconds."""
        with self._lock:
            self._catch_up()
            return self._agenda.now

    def advance(self, to: float) -> None:
        """Let happen what is due up to a time of its clock and at it. It is at least that time afterwards."""
        with self._lock:
            self._agenda.run(to)

    def next_event(self) -> float | None:
        """Say when something may happen next; None where nothing will unless somebody asks for it."""
        with self._lock:
            self._catch_up()
            return self._agenda.next_time()

    # What it holds

    def store(
        self,
        name: str,
        content: bytes | Path | int,
        *,
        tape: str = "",
        position: int | None = None,
        disk_lifetime: float = 0.0,
    ) -> None:
        """Take a file in, at once.

        Args:
            name: Its name.
            content: Its bytes, the file that has them, or only how many they are; such a one cannot be opened.
            tape: The tape that it is on, which is made where there is none; empty for a file on disk only.
            position: Where it begins, bytes; by default behind the others on that tape.
            disk_lifetime: How many seconds it stays on disk, too. A file on disk only stays for ever.

        Raises:
            ValueError: There is such a file.
        """
        with self._lock:
            self._catch_up()
            if name in self._files:
                raise ValueError(f"there is a file {name!r}")
            size = _size(content)
            kept = None if isinstance(content, int) else content
            if not tape:
                self._files[name] = HeldFile(name, size, kept, None, 0, on_disk=True)
                return
            held = self._tapes.setdefault(tape, Tape(tape))
            start = held.end if position is None else position
            held.end = max(held.end, start + size)
            file = self._files[name] = HeldFile(name, size, kept, held, start)
            if disk_lifetime > 0 and self._room.reserve(size):
                self._keep(file, self._agenda.now + disk_lifetime)

    def remove(self, name: str) -> None:
        """Delete a file everywhere; what reads it just now reads in vain."""
        with self._lock:
            self._catch_up()
            file = self._files.pop(name, None)
            if file is not None:
                self._robot.withdraw(file)
                self._take_off_disk(file)
                self._robot.serve()

    def names(self) -> list[str]:
        """Give the names of all files, sorted."""
        with self._lock:
            return sorted(self._files)

    def file(self, name: str) -> TapeFile | None:
        """Give a file, or None where there is no such one."""
        with self._lock:
            self._catch_up()
            file = self._files.get(name)
            return None if file is None else file.report()

    def open(self, name: str) -> BinaryIO:
        """Open a file that is on disk.

        Raises:
            FileNotFoundError: There is no such file.
            BlockingIOError: It is on tape only.
            OSError: It is lost, or the library has no bytes of it.
        """
        with self._lock:
            self._catch_up()
            file = self._files.get(name)
            if file is None:
                raise FileNotFoundError(f"there is no file {name!r}")
            if file.lost:
                raise OSError(f"{name!r} is lost")
            if not file.on_disk:
                raise BlockingIOError(f"{name!r} is on tape")
            content = file.content
        if content is None:
            raise OSError(f"of {name!r} only its size is known")
        return io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")

    # Recalls

    def recall(self, names: Sequence[str], lifetime: float) -> None:
        """Ask that files be brought to disk, in this order, and kept there for `lifetime` seconds. Idempotent.

        Unknown names are passed over. What is on its way is joined; what is there has its time extended.
        """
        with self._lock:
            self._catch_up()
            for name in names:
                file = self._files.get(name)
                if file is not None:
                    self._recall(file, lifetime)
            self._robot.serve()

    def cancel(self, names: Sequence[str]) -> None:
        """Take back recalls that are not begun."""
        with self._lock:
            self._catch_up()
            for name in names:
                file = self._files.get(name)
                if file is not None and file.recall is Recall.SUBMITTED:
                    self._robot.withdraw(file)
                    self._finish(file, Recall.CANCELLED)
            self._robot.serve()

    def release(self, names: Sequence[str]) -> None:
        """Remove files that are on tape, too, from disk."""
        with self._lock:
            self._catch_up()
            for name in names:
                file = self._files.get(name)
                if file is not None and file.tape is not None:
                    self._take_off_disk(file)
            self._robot.serve()

    # Trouble

    def fail(self, name: str, times: int = 1, error: str = "the tape cannot be read") -> None:
        """Let the next reads of a file fail, after the time that they take."""
        with self._lock:
            self._catch_up()
            self._files[name].failures, self._files[name].failure = times, error

    def lose(self, name: str) -> None:
        """Lose a file for good, on disk, too. A recall of it fails, at its end where it is being read."""
        with self._lock:
            self._catch_up()
            file = self._files[name]
            file.lost = True
            if file.recall is Recall.SUBMITTED:
                self._robot.withdraw(file)
                self._fail(file, "the file is lost", -1)
            self._take_off_disk(file)
            self._robot.serve()

    def break_drive(self, number: int) -> None:
        """Break a drive; what it was reading waits again, at its old place, and its tape is taken out by hand."""
        with self._lock:
            self._catch_up()
            self._robot.break_drive(number)

    def mend_drive(self, number: int) -> None:
        """Let a broken drive work again."""
        with self._lock:
            self._catch_up()
            self._robot.mend_drive(number)

    def disable_tape(self, label: str) -> None:
        """Let nothing more be read from a tape: its files are UNAVAILABLE, their recalls wait. A read that runs, ends."""
        with self._lock:
            self._catch_up()
            self._tapes[label].enabled = False
            self._robot.serve()

    def enable_tape(self, label: str) -> None:
        """Let a tape be read again."""
        with self._lock:
            self._catch_up()
            self._tapes[label].enabled = True
            self._robot.offer(self._tapes[label])
            self._robot.serve()

    def delay_mount(self, label: str, seconds: float) -> None:
        """Let the next mount of a tape take so much longer."""
        with self._lock:
            self._catch_up()
            self._tapes[label].mount_delay = seconds

    # What it did

    def counts(self) -> LibraryCounts:
        """Say what it did since its beginning."""
        with self._lock:
            self._catch_up()
            tally = self._robot.tally
            return LibraryCounts(
                mounts=tally.mounts,
                unmounts=tally.unmounts,
                seeks=tally.seeks,
                seek_bytes=tally.seek_bytes,
                reads=tally.reads,
                read_bytes=tally.read_bytes,
                failures=self._failures,
                waiting=tally.waiting,
            )

    def reads(self, name: str) -> int:
        """Say how often a file was read from tape, failed reads counted too."""
        with self._lock:
            self._catch_up()
            return self._files[name].reads

    def drives(self) -> list[DriveReport]:
        """Say what each drive does, and what it spent its time with."""
        with self._lock:
            self._catch_up()
            return self._robot.reports()

    def disk_used(self) -> int:
        """Give the bytes of recalled files on disk, with those being read."""
        with self._lock:
            self._catch_up()
            return self._room.used

    def _catch_up(self) -> None:
        if self._clock is not None:
            self._agenda.run(self._clock())

    def _recall(self, file: HeldFile, lifetime: float) -> None:
        now = self._agenda.now
        if file.ticket:
            file.lifetime = max(file.lifetime, lifetime)
            return
        file.error, file.started_at, file.finished_at = "", None, None
        if file.lost:
            self._fail(file, "the file is lost", -1)
        elif file.tape is None or file.on_disk:
            file.until = max(file.until, now + lifetime)
            self._finish(file, Recall.COMPLETED)
        elif self._room.capacity is not None and file.size > self._room.capacity:
            self._fail(file, "the file is larger than the disk", -1)
        else:
            self._tickets += 1
            file.ticket, file.recall, file.lifetime = self._tickets, Recall.SUBMITTED, lifetime
            self._robot.submit(file, file.tape)

    def _finish(self, file: HeldFile, end: Recall) -> None:
        file.recall, file.finished_at = end, self._agenda.now

    def _fail(self, file: HeldFile, error: str, drive: int) -> None:
        file.error = error
        self._finish(file, Recall.FAILED)
        self._robot.tell(drive, Happening.FAILED, file.name)

    def _end_read(self, file: HeldFile, drive: int) -> None:
        """Take what a drive has read; its room was reserved by the robot."""
        if self._files.get(file.name) is file and not file.lost and not file.failures:
            self._keep(file, self._agenda.now + file.lifetime)
            self._finish(file, Recall.COMPLETED)
            self._robot.tell(drive, Happening.READ, file.name)
            return
        self._room.give_back(file.size)
        self._failures += 1
        if file.failures:
            file.failures -= 1
        self._fail(file, "the file is lost" if file.lost else file.failure or "the file was removed", drive)

    def _keep(self, file: HeldFile, until: float) -> None:
        file.on_disk, file.until = True, until
        file.stay += 1
        self._agenda.at(until, partial(self._expire, file, file.stay))

    def _expire(self, file: HeldFile, stay: int) -> None:
        if not file.on_disk or file.stay != stay:
            return
        if file.until > self._agenda.now:
            self._agenda.at(file.until, partial(self._expire, file, stay))
            return
        self._take_off_disk(file)
        self._robot.serve()

    def _take_off_disk(self, file: HeldFile) -> None:
        if file.on_disk and file.tape is not None:
            file.on_disk = False
            self._room.give_back(file.size)
            self._robot.tell(-1, Happening.REMOVED, file.name)


def _size(content: bytes | Path | int) -> int:
    if isinstance(content, int):
        return content
    return len(content) if isinstance(content, bytes) else content.stat().st_size
