"""Whose turn it is to write to a SQLite file, among the threads and processes of one machine.

A process that waits for SQLite's own lock looks again only now and then, up to 100 ms late; and a process
that writes without a pause may keep the others out for a second. Here processes take turns by two locks of
the system (flock(2)) on files beside the database: the turn, and the place of the next in line. A process
that has had the turn must get in line for another one.

The system gives a lock back when its process dies, however that happens. The locks decide the order alone;
SQLite itself still sees to it that there is one writer at a time. So a program that does not know of these
locks does no harm, nor does a file system that has no such locks.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

LOOK_SECONDS = 0.001
"""Seconds between two tries for a lock that another process holds: flock(2) has no limit of time."""


class TurnNotGiven(Exception):
    """Others held the turn for too long."""


class WritersTurn:
    """The turn to write to one database file, for all threads of this process.

    Args:
        database: The file. The locks are files of the same name with `-turn` and `-next` added.
    """

    def __init__(self, database: Path) -> None:
        self._turn = database.with_name(f"{database.name}-turn")
        self._next = database.with_name(f"{database.name}-next")
        self._here = threading.Lock()

    @contextmanager
    def taken(self, patience: float) -> Iterator[None]:
        """Hold the turn for the length of the block; where the locks cannot be had, go without.

        Args:
            patience: Seconds to wait for it at the most.

        Raises:
            TurnNotGiven: It was not given in time.
        """
        end = time.monotonic() + patience
        # The threads of a process queue up before its place in the line of all processes.
        if not self._here.acquire(timeout=patience):
            raise TurnNotGiven
        with ExitStack() as held:
            held.callback(self._here.release)
            self._lock_out_others(held, end)
            yield

    def _lock_out_others(self, held: ExitStack, end: float) -> None:
        try:
            with _opened(self._next) as place, ExitStack() as got:
                turn = got.enter_context(_opened(self._turn))
                _lock(place, end)
                _lock(turn, end)
                held.push(got.pop_all())
        except OSError:
            return  # what is wrong with its folder SQLite says itself


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    # Each opening has a lock of its own, which closing gives back. It is not written to, so it may be on a
    # disk that is full.
    file = os.open(path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield file
    finally:
        os.close(file)


def _lock(file: int, end: float) -> None:
    while True:
        try:
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > end:
                raise TurnNotGiven from None
            time.sleep(LOOK_SECONDS)
