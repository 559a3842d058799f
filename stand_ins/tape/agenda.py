"""What is to happen, in the order of time."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable


class Agenda:
    """Runs what it was given when its time comes; of two at one time, what was given first.

    Attributes:
        now: The time, seconds.
    """

    def __init__(self, now: float = 0.0) -> None:
        self.now = now
        self._next = 0
        self._due: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Have something done at a time; what is to be done at `math.inf` is forgotten."""
        if time == math.inf:
            return
        self._next += 1
        heapq.heappush(self._due, (time, self._next, action))

    def run(self, until: float) -> None:
        """Do all that is due, and what comes of it, up to a time and with it; then it is that time."""
        while self._due and self._due[0][0] <= until:
            time, _, action = heapq.heappop(self._due)
            self.now = max(self.now, time)
            action()
        self.now = max(self.now, until)

    def next_time(self) -> float | None:
        """Say when the next is due; None where there is nothing to be done."""
        return self._due[0][0] if self._due else None
