"""Pauses between repetitions: they grow with each, up to a ceiling.

The one rule for all that is tried or asked again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from scicat_retriever.domain.policy import Seconds, choice


@dataclass(frozen=True)
class Backoff:
    """How what failed is tried again, in seconds."""

    backoff_initial: Seconds = choice(1.0, "Pause before the first repetition.")
    backoff_maximum: Seconds = choice(300.0, "Longest pause between repetitions.")


@dataclass(frozen=True)
class Polling:
    """How it is asked again whether a wait is over, in seconds."""

    poll_initial: Seconds = choice(1.0, "Pause before asking again for a recall or for space.")
    poll_maximum: Seconds = choice(120.0, "Longest pause between such questions.")


def growing(before: int, initial: float, maximum: float, factor: float = 2.0) -> float:
    """Give a pause, in seconds.

    Args:
        before: How many pauses there were before this one.
        initial: The first pause, seconds.
        maximum: The longest pause, seconds.
        factor: By how much each pause is longer than the one before.
    """
    return min(maximum, initial * factor ** min(before, 40))


def pause_before(attempt: int, initial: float, maximum: float) -> timedelta:
    """Give the pause after the `attempt`-th failure (from 1): doubling, with a ceiling, and 20 % of jitter.

    Args:
        attempt: How many attempts failed.
        initial: The first pause, seconds.
        maximum: The longest pause, seconds, before the jitter.
    """
    seconds = growing(attempt - 1, initial, maximum)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, keeps no secret


class GrowingPauses:
    """Pauses that double, and begin anew after a try that went well for longer than `maximum`.

    Args:
        initial: The first pause, seconds.
        maximum: The longest pause, seconds.
        clock: Gives seconds that only grow.
    """

    def __init__(self, initial: float, maximum: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._initial = initial
        self._maximum = maximum
        self._clock = clock
        self._before = 0
        self._since = clock()

    def began(self) -> None:
        """Note that a try begins."""
        self._since = self._clock()

    def next(self) -> float:
        """Give the pause before the next try."""
        if self._clock() - self._since > self._maximum:
            self._before = 0
        pause = growing(self._before, self._initial, self._maximum)
        self._before += 1
        return pause
