"""Counts how often archives are opened for reading: inotify(7) watches on the files themselves, not on their names.

A file that stands in its place for a while (a stub, a spoiled copy) is another inode and is not counted. Opening with
`O_PATH`, which looks and does not read, makes no event.
"""

from __future__ import annotations

import ctypes
import os
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.chaos.truth import Block

_EVENT = struct.Struct("=iIII")
_IN_ACCESS, _IN_CLOSE_NOWRITE, _IN_OPEN, _IN_Q_OVERFLOW, _IN_IGNORED = 0x1, 0x10, 0x20, 0x4000, 0x8000
_WATCHED = _IN_OPEN | _IN_ACCESS | _IN_CLOSE_NOWRITE
"""Only openings are counted. The others keep two of them apart, which the kernel would merge if nothing lay between."""


class Reads:
    """Adds the openings of watched archives to their datablocks."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._queue = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._queue < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1")
        self._blocks: dict[int, Block] = {}
        self._lock = threading.Lock()

    def watch(self, archive: Path, block: Block) -> None:
        """Count from now on."""
        watch = self._libc.inotify_add_watch(self._queue, bytes(archive), _WATCHED)
        if watch < 0:
            raise OSError(ctypes.get_errno(), f"inotify_add_watch: {archive}")
        with self._lock:
            self._blocks[watch] = block

    def count(self) -> None:
        """Take in what happened; an archive that was removed is forgotten."""
        with self._lock:
            for watch, mask in self._events():
                if mask & _IN_Q_OVERFLOW:
                    raise RuntimeError("more was read than could be counted")
                if mask & _IN_IGNORED:
                    self._blocks.pop(watch, None)
                elif mask & _IN_OPEN and watch in self._blocks:
                    self._blocks[watch].reads += 1

    def close(self) -> None:
        """End all watches."""
        os.close(self._queue)

    def _events(self) -> Iterator[tuple[int, int]]:
        while True:
            try:
                data = os.read(self._queue, 65536)
            except BlockingIOError:
                return
            while data:
                watch, mask, _, length = _EVENT.unpack_from(data)
                data = data[_EVENT.size + length :]
                yield watch, mask
