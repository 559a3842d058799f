"""What the servers of `testing` that speak a tape system's protocol ask of the tape library behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import BinaryIO, Protocol


class Locality(StrEnum):
    """Where a file is, in the words of the WLCG Tape REST API."""

    DISK = "DISK"
    TAPE = "TAPE"
    DISK_AND_TAPE = "DISK_AND_TAPE"
    LOST = "LOST"
    NONE = "NONE"
    UNAVAILABLE = "UNAVAILABLE"


class Recall(StrEnum):
    """How far the last recall of a file is."""

    SUBMITTED = "SUBMITTED"
    STARTED = "STARTED"
    CANCELLED = "CANCELLED"
    FAILED = "FAILED"
    COMPLETED = "COMPLETED"


@dataclass(frozen=True, slots=True)
class TapeFile:
    """A file as the library has it now.

    Attributes:
        name: Its name, a relative path.
        size: Bytes.
        tape: Label of its tape; empty where it was never written to one.
        position: Its place on the tape, counted in bytes from the tape's beginning.
        locality: Where it is.
        recall: How far its last recall is; None where there was none.
        error: Why that failed; empty where it did not.
        started_at: When the reading began, seconds of the library's clock; None before.
        finished_at: When it ended; None before.
        disk_until: How long its copy stays on disk, where it is on tape, too, and the library knows.
    """

    name: str
    size: int
    tape: str
    position: int
    locality: Locality
    recall: Recall | None = None
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    disk_until: float | None = None


class TapeBackend(Protocol):
    """A tape library with a disk buffer before it. May be called from any thread."""

    def now(self) -> float:
        """Give the library's time, seconds; it may run faster than ours."""
        ...

    def file(self, name: str) -> TapeFile | None:
        """Give a file, or None where there is no such one."""
        ...

    def recall(self, names: Sequence[str], lifetime: float) -> None:
        """Ask that files be brought to disk, and kept there for `lifetime` seconds of the library's clock. Idempotent.

        Unknown names are passed over. What is on its way is joined; what is there has its time extended.
        """
        ...

    def cancel(self, names: Sequence[str]) -> None:
        """Take back recalls that are not begun."""
        ...

    def release(self, names: Sequence[str]) -> None:
        """Let files that are on tape, too, be removed from disk."""
        ...

    def open(self, name: str) -> BinaryIO:
        """Open a file that is on disk.

        Raises:
            FileNotFoundError: There is no such file.
            BlockingIOError: It is on tape only.
            OSError: It cannot be read.
        """
        ...


class ListedTapeBackend(TapeBackend, Protocol):
    """A tape library that says what it holds."""

    def names(self) -> Sequence[str]:
        """Give the names of all files, sorted."""
        ...
