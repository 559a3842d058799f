"""Growing pauses between tries."""

from __future__ import annotations

import time
from collections.abc import Callable


class Backoff:
    """Pauses that double, and begin anew after a try that went well for longer than the longest of them.

    Args:
        initial: The first pause, seconds.
        maximum: The longest pause, seconds.
        clock: Gives seconds that only grow.
    """

    def __init__(self, initial: float, maximum: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._initial = initial
        self._maximum = maximum
        self._clock = clock
        self._next = initial
        self._since = clock()

    def began(self) -> None:
        """Note that a try begins."""
        self._since = self._clock()

    def next(self) -> float:
        """Give the pause before the next try."""
        if self._clock() - self._since > self._maximum:
            self._next = self._initial
        pause = min(self._next, self._maximum)
        self._next = pause * 2
        return pause
