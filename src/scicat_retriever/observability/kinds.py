"""A limit to the rate of log lines of one kind: whatever clients do, the log does not fill the disk."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from structlog.typing import EventDict, WrappedLogger

MOST, SECONDS = 20, 10.0
"""Most lines of a kind that are written, and the seconds within which they are counted."""
_MOST_KINDS = 1000
_KIND_LENGTH = 80
_LIMITED = {"warning", "error", "critical", "exception"}
_NUMBERS = re.compile(r"\d+")


@dataclass(slots=True)
class _Window:
    began: float
    lines: int = 0


class KindLimit(logging.Filter):
    """Lets `MOST` lines of a kind through within `SECONDS` seconds.

    The last of these lines says that further ones are left out. The first line after that time says how many
    were. A kind is a level and a text without its numbers. Only warnings and errors are limited: lines that
    tell who asked for what are written whole. This is a processor of structlog, and a filter for the lines of
    other libraries.

    Args:
        clock: Gives the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._windows: dict[tuple[str, str], _Window] = {}
        self._lock = threading.Lock()

    def __call__(self, _: WrappedLogger, level: str, event: EventDict) -> EventDict:
        """Pass a line of structlog on.

        Raises:
            DropEvent: The line is left out.
        """
        if level in _LIMITED:
            left_out = self._left_out(level, str(event.get("event", "")))
            if left_out is None:
                raise structlog.DropEvent
            if left_out:
                event["left_out"] = left_out
        return event

    def filter(self, record: logging.LogRecord) -> bool:
        """Say whether a line of another library is let through."""
        level = record.levelname.lower()
        return level not in _LIMITED or self._left_out(level, f"{record.name}: {record.msg}") is not None

    def _left_out(self, level: str, text: str) -> str | None:
        """Count a line; give the words on lines that are left out, or None where this line is left out."""
        kind = (level, _NUMBERS.sub("0", text[:_KIND_LENGTH]))
        with self._lock:
            now = self._clock()
            window = self._windows.get(kind)
            said = ""
            if window is None or now - window.began >= SECONDS:
                missed = 0 if window is None else max(0, window.lines - MOST)
                said = f"{missed} lines like this before" if missed else ""
                self._windows.pop(kind, None)
                if len(self._windows) >= _MOST_KINDS:
                    del self._windows[next(iter(self._windows))]
                window = self._windows[kind] = _Window(now)
            window.lines += 1
            if window.lines > MOST:
                return None
            return f"further lines like this, for {SECONDS:.0f} s" if window.lines == MOST else said
