"""How much the files of a staging area take, without counting all of them each time."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

BLOCK = 512
RECOUNT_SECONDS = 60.0
"""A full count is made at most so often."""


class UsedSpace:
    """The bytes that the files below a folder take: counted at most once a minute, and carried forward in between.

    What other processes add or remove in between is seen by the next count. Nothing is counted until first asked.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._lock = threading.Lock()
        self._bytes = 0
        self._counted_at: float | None = None

    def bytes(self) -> int:
        """Give the bytes taken, never negative."""
        with self._lock:
            if self._counted_at is None or time.monotonic() - self._counted_at > RECOUNT_SECONDS:
                self._bytes = sum(_taken(str(self._root)))
                self._counted_at = time.monotonic()
            return max(0, self._bytes)

    def change(self, by: int) -> None:
        """Carry forward that a file was made (positive) or removed (negative)."""
        with self._lock:
            self._bytes += by


def taken_by(found: os.stat_result) -> int:
    """Give what a file takes: its size, or the blocks set aside for it where they are more."""
    return max(found.st_size, found.st_blocks * BLOCK)


def _taken(folder: str) -> Iterator[int]:
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    yield from _taken(entry.path)
                else:
                    yield taken_by(entry.stat(follow_symlinks=False))
    except FileNotFoundError:  # removed while it was counted
        return
