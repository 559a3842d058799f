"""Watches the ledger from outside: its book of transitions, read every few milliseconds."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INTERVAL = 0.004
KEPT = 20_000


@dataclass(frozen=True)
class Entry:
    """A transition, and the monotonic second at which it was seen."""

    number: int
    kind: str
    job_id: str
    pid: str
    new: str
    seen: float


class Book:
    """Reads along in a thread of its own.

    Args:
        ledger: The SQLite file, which need not be there yet.
    """

    def __init__(self, ledger: Path) -> None:
        self._ledger = ledger
        self._entries: list[Entry] = []
        self._changed = threading.Condition()
        self._stop = threading.Event()
        self._pause = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._thread = threading.Thread(target=self._read_along, name="book", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        self._stop.set()
        self._thread.join()

    @contextmanager
    def let_go(self) -> Iterator[None]:
        """Keep the ledger's file closed while the context lasts: an open one keeps its disk from being remounted."""
        with self._pause:
            self._disconnect()
            yield

    def mark(self) -> int:
        """Give the number of the last entry seen."""
        with self._changed:
            return self._entries[-1].number if self._entries else 0

    def wait_for(self, wanted: Callable[[Entry], bool], mark: int, seconds: float) -> Entry | None:
        """Wait for an entry after `mark`; None where none came in time."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                found = self._find(wanted, mark)
                rest = end - time.monotonic()
                if found is not None or rest <= 0:
                    return found
                self._changed.wait(rest)

    def last(self, wanted: Callable[[Entry], bool]) -> Entry | None:
        """Give the last entry that is wanted, of those that are remembered."""
        with self._changed:
            return next((entry for entry in reversed(self._entries) if wanted(entry)), None)

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the ledger."""
        with closing(self._open()) as connection:
            return connection.execute(query, values).fetchall()

    def _find(self, wanted: Callable[[Entry], bool], mark: int) -> Entry | None:
        found = None
        for entry in reversed(self._entries):
            if entry.number <= mark:
                break
            if wanted(entry):
                found = entry
        return found

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self._ledger}?mode=ro", uri=True, check_same_thread=False, timeout=5)

    def _read_along(self) -> None:
        while not self._stop.wait(INTERVAL):
            with self._pause:
                try:
                    self._read()
                except sqlite3.Error:  # not there yet, or its disk is full or read-only
                    self._stop.wait(0.05)
        self._disconnect()

    def _read(self) -> None:
        if self._connection is None:
            self._connection = self._open()
        after = self._entries[-1].number if self._entries else 0
        found = self._connection.execute(
            "SELECT number, kind, coalesce(job_id, ''), coalesce(pid, ''), new FROM transitions "
            "WHERE number > ? ORDER BY number",
            (after,),
        ).fetchall()
        if not found:
            return
        now = time.monotonic()
        with self._changed:
            self._entries += [
                Entry(number, kind, job, pid, new, now) for number, kind, job, pid, new in found
            ]
            del self._entries[:-KEPT]
            self._changed.notify_all()

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
