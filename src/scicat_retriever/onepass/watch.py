"""The watch over a running copy: tells progress, and ends a copy that is cancelled or stalled."""

import time
from collections.abc import Callable
from typing import Protocol

from scicat_retriever.onepass.errors import CopyCancelled, PartialStalled, SourceStalled

LOOK_SECONDS = 0.1
"""The shortest time between two looks, seconds."""

FLUSH_PATIENCE = 10
"""A flush may take this many times as long as a write: it writes all that the kernel still holds."""

_PROGRESS_SECONDS = 1.0


class Waits(Protocol):
    """A reader or a writer that may be stuck in the system.

    Attributes:
        offset: bytes read or written so far.
    """

    offset: int

    def waiting_seconds(self) -> float:
        """Seconds for which its present call has not returned; 0 while no call is under way."""


class Writes(Waits, Protocol):
    """A writer.

    Attributes:
        flushing: whether all is written and the file is being made durable.
    """

    flushing: bool


class CopyWatch:
    """The watch over one copy.

    Args:
        progress: gets the bytes hashed, about once a second.
        cancelled: says whether the copy shall end.
        stall_timeout: seconds that one read or one write may take.

    Attributes:
        hashed: bytes hashed so far; set by the thread that hashes.
    """

    def __init__(
        self, progress: Callable[[int], None], cancelled: Callable[[], bool], stall_timeout: float
    ) -> None:
        self.hashed = 0
        self.stall_timeout = stall_timeout
        self._progress = progress
        self._cancelled = cancelled
        self._looked = self._told = time.monotonic()

    def look(self, reader: Waits, writer: Writes) -> None:
        """Look, if the last time is long enough ago.

        Raises:
            CopyCancelled: the caller asked for it.
            SourceStalled: a read does not return.
            PartialStalled: a write, or the flush, does not return.
        """
        now = time.monotonic()
        if now - self._looked < LOOK_SECONDS:
            return
        self._looked = now
        if self._cancelled():
            raise CopyCancelled(self.hashed)
        if reader.waiting_seconds() > self.stall_timeout:
            raise SourceStalled(reader.offset, self.stall_timeout)
        waiting = writer.waiting_seconds()
        if waiting > self.stall_timeout * (FLUSH_PATIENCE if writer.flushing else 1):
            raise PartialStalled(writer.offset, waiting)
        if now - self._told >= _PROGRESS_SECONDS:
            self._told = now
            self._progress(self.hashed)
