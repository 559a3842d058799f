"""What is wrong at the moment, and is put right in the background after a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Undoing:
    """One trouble at a time of each sort; several sorts at once.

    Attributes:
        errors: What could not be put right.
    """

    def __init__(self) -> None:
        self._lock = threading.Condition()
        self._under_way: set[str] = set()
        self._quiet_since = time.monotonic()
        self.errors: list[Exception] = []

    def begin(self, sort: str) -> None:
        """Wait until no other trouble of this sort is under way, and mark it as under way."""
        with self._lock:
            self._lock.wait_for(lambda: sort not in self._under_way, 120)
            self._under_way.add(sort)

    def end(self, sort: str) -> None:
        """Mark it as put right."""
        with self._lock:
            self._under_way.discard(sort)
            self._quiet_since = time.monotonic()
            self._lock.notify_all()

    @contextmanager
    def trouble(self, sort: str) -> Iterator[None]:
        """Have trouble while the context lasts."""
        self.begin(sort)
        try:
            yield
        finally:
            self.end(sort)

    def later(self, sort: str, seconds: float, undo: Callable[[], object]) -> None:
        """Put a trouble that was begun right after some seconds."""

        def run() -> None:
            time.sleep(seconds)
            try:
                undo()
            except Exception as error:  # noqa: BLE001 - told where it is waited for
                self.errors.append(error)
            finally:
                self.end(sort)

        threading.Thread(target=run, name=f"undo {sort}", daemon=True).start()

    def quiet_since(self, moment: float) -> bool:
        """Whether there was no trouble since a monotonic second."""
        with self._lock:
            return not self._under_way and self._quiet_since < moment

    def all_over(self, seconds: float) -> bool:
        """Wait until all is put right; says whether it was in time.

        Raises:
            ExceptionGroup: Something could not be put right.
        """
        with self._lock:
            over = self._lock.wait_for(lambda: not self._under_way, seconds)
        if self.errors:
            raise ExceptionGroup("a fault could not be undone", self.errors)
        return over
