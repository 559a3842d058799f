"""What a store was seen to do: how long its mounts and reads take, how wrong the forecasts were, who had how much of it."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from scicat_retriever.recall_planner.requests import RecallPolicy

FADING = 0.98
"""What an observed read counts, compared with the one after it."""
LEAST_BYTES = 10**9
"""Below so many bytes seen (faded), what was read says less about the rate than the policy does."""
SHORTEST_JUDGED = 60.0
"""Seconds: of a shorter wait, the error of its forecast is measured as if it had been so long."""


@dataclass(frozen=True, slots=True)
class EtaError:
    """How wrong forecasts were: `|forecast - wait| / wait` of what came lately.

    Attributes:
        median: Of half of them it was less.
        p90: Of nine in ten it was less.
        count: How many forecasts this is of.
    """

    median: float
    p90: float
    count: int


class ObservedRates:
    """Speeds of a store, from what it delivered.

    Args:
        policy: What is thought of it until the first deliveries.
    """

    def __init__(self, policy: RecallPolicy) -> None:
        self.mount_seconds = policy.mount_seconds
        """From asking for the first archive of a tape to its reading."""
        self.answer_seconds: float | None = None
        """From asking for an archive to having it, where no tape is known; None until one was seen."""
        self._seconds = LEAST_BYTES / policy.bytes_per_second
        self._bytes = float(LEAST_BYTES)

    @property
    def seconds_per_byte(self) -> float:
        """What a byte takes on a mounted tape, with the seeks."""
        return self._seconds / self._bytes

    def saw_mount(self, seconds: float, size: int) -> None:
        """Learn from the first archive of a mount: seconds since it was asked for, and its bytes."""
        if size <= 0:
            return  # how large it was is not known
        mount = max(0.0, seconds - size * self.seconds_per_byte)
        self.mount_seconds += 0.1 * (mount - self.mount_seconds)

    def saw_read(self, seconds: float, size: int) -> None:
        """Learn from the next archive of a mount: seconds since the one before, and its bytes."""
        if size <= 0:
            return
        self._seconds = FADING * self._seconds + seconds
        self._bytes = FADING * self._bytes + size

    def saw_answer(self, seconds: float) -> None:
        """Learn from an archive of unknown tape: seconds since it was asked for."""
        if self.answer_seconds is None:
            self.answer_seconds = seconds
        self.answer_seconds += 0.1 * (seconds - self.answer_seconds)


class Forecast(Protocol):
    """What was told of an archive."""

    @property
    def seconds(self) -> float | None:
        """From now until it is online; None where nothing is known."""
        ...


class Forecasts:
    """Remembers when each archive was first expected, and compares.

    Args:
        judged: The error is that of so many, the latest.
    """

    def __init__(self, judged: int = 1000) -> None:
        self._expected: dict[str, tuple[float, float]] = {}
        self._errors: deque[float] = deque(maxlen=judged)

    @property
    def error(self) -> EtaError | None:
        """How wrong they were; None before the first was judged."""
        if not self._errors:
            return None
        ordered: list[float] = []
        for error in self._errors:
            insort(ordered, error)
        last = len(ordered) - 1
        return EtaError(ordered[round(0.5 * last)], ordered[round(0.9 * last)], len(ordered))

    def note(self, told: Mapping[str, Forecast], now: float) -> None:
        """Take forecasts, in seconds from now, of all that is open: the first of each counts, the rest are forgotten."""
        expected = self._expected
        for archive, forecast in told.items():
            if archive not in expected and forecast.seconds is not None:
                expected[archive] = (now, forecast.seconds)
        if len(expected) > 2 * len(told) + 100:
            self._expected = {archive: made for archive, made in expected.items() if archive in told}

    def judge(self, archive: str, now: float) -> None:
        """Compare with what came."""
        made = self._expected.pop(archive, None)
        if made is not None:
            waited = now - made[0]
            self._errors.append(abs(made[1] - waited) / max(waited, SHORTEST_JUDGED))


@dataclass(slots=True)
class Shares:
    """The drive time that owner groups had, which counts less with time.

    Attributes:
        weights: The groups' weights; 1 where none is given.
        half_life: Seconds after which it counts half.
        used: Seconds by group, as of `at`.
        at: The time.
    """

    weights: Mapping[str, float]
    half_life: float
    used: dict[str, float] = field(default_factory=dict)
    at: float = -math.inf

    def fade(self, now: float) -> None:
        """Let it be `now`."""
        if now > self.at and self.used:
            kept = 0.5 ** ((now - self.at) / self.half_life)
            self.used = {group: used * kept for group, used in self.used.items() if used * kept > 1.0}
        self.at = max(now, self.at)

    def charge(self, group: str, seconds: float) -> None:
        """Count drive time of a group."""
        self.used[group] = self.used.get(group, 0.0) + seconds / self.weights.get(group, 1.0)

    def least(self, groups: Collection[str]) -> float:
        """Give what the group had that had least for its weight."""
        used = self.used
        if len(groups) == 1:
            return used.get(next(iter(groups)), 0.0)
        return min([used.get(group, 0.0) for group in groups], default=math.inf)

    def copy(self) -> Shares:
        """Give another one to reckon with."""
        return Shares(self.weights, self.half_life, dict(self.used), self.at)
