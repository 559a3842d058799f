"""What was observed of a store: times of mounts and reads, errors of forecasts, and groups' drive time."""

from __future__ import annotations

import math
from bisect import insort
from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from scicat_retriever.recall_planner.requests import RecallPolicy

FADING = 0.98
"""The weight of an observed read, relative to the read after it."""
LEAST_BYTES = 10**9
"""Bytes read, faded, below which the policy says more about the rate than the reads do."""
SHORTEST_JUDGED = 60.0
"""Seconds: the error of a forecast for a shorter wait is relative to this time."""


@dataclass(frozen=True, slots=True)
class EtaError:
    """The relative errors of forecasts, `|forecast - wait| / wait`, of archives that came lately.

    Attributes:
        median: Half of the errors are not larger.
        p90: Nine in ten of the errors are not larger.
        count: How many forecasts were judged.
    """

    median: float
    p90: float
    count: int


class ObservedRates:
    """The speeds of a store, learnt from what it delivered.

    Args:
        policy: Has the speeds that are assumed until the first deliveries.
    """

    def __init__(self, policy: RecallPolicy) -> None:
        self.mount_seconds = policy.mount_seconds
        """Seconds from asking for the first archive of a tape until the tape is read."""
        self.answer_seconds: float | None = None
        """Seconds from asking for an archive of unknown tape until it is online; None until one came."""
        self._seconds = LEAST_BYTES / policy.bytes_per_second
        self._bytes = float(LEAST_BYTES)

    @property
    def seconds_per_byte(self) -> float:
        """Seconds that a byte takes on a mounted tape, seeks included."""
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
    """The forecast of an archive."""

    @property
    def seconds(self) -> float | None:
        """Seconds from now until the archive is online; None where nothing is known."""
        ...


class Forecasts:
    """The first forecast of each archive, compared with what came.

    Args:
        judged: How many forecasts, the latest ones, the error is of.
    """

    def __init__(self, judged: int = 1000) -> None:
        self._expected: dict[str, tuple[float, float]] = {}
        self._errors: deque[float] = deque(maxlen=judged)

    @property
    def error(self) -> EtaError | None:
        """The error of the forecasts; None before the first was judged."""
        if not self._errors:
            return None
        ordered: list[float] = []
        for error in self._errors:
            insort(ordered, error)
        last = len(ordered) - 1
        return EtaError(ordered[round(0.5 * last)], ordered[round(0.9 * last)], len(ordered))

    def note(self, told: Mapping[str, Forecast], now: float) -> None:
        """Take the forecasts of all open archives, in seconds from `now`.

        The first forecast of an archive counts. Those of archives that are not open any more are forgotten in
        time.
        """
        expected = self._expected
        for archive, forecast in told.items():
            if archive not in expected and forecast.seconds is not None:
                expected[archive] = (now, forecast.seconds)
        if len(expected) > 2 * len(told) + 100:
            self._expected = {archive: made for archive, made in expected.items() if archive in told}

    def judge(self, archive: str, now: float) -> None:
        """Compare the forecast of an archive with the time at which it came, `now`."""
        made = self._expected.pop(archive, None)
        if made is not None:
            waited = now - made[0]
            self._errors.append(abs(made[1] - waited) / max(waited, SHORTEST_JUDGED))


@dataclass(slots=True)
class Shares:
    """The drive time that owner groups had; it counts less as time goes by.

    Attributes:
        weights: The groups' weights; 1 where none is given.
        half_life: Seconds after which drive time counts half.
        used: Seconds of drive time by group, divided by the group's weight, as of `at`.
        at: The moment to which `used` was faded, seconds.
    """

    weights: Mapping[str, float]
    half_life: float
    used: dict[str, float] = field(default_factory=dict)
    at: float = -math.inf

    def fade(self, now: float) -> None:
        """Fade the drive times to the moment `now`."""
        if now > self.at and self.used:
            kept = 0.5 ** ((now - self.at) / self.half_life)
            self.used = {group: used * kept for group, used in self.used.items() if used * kept > 1.0}
        self.at = max(now, self.at)

    def charge(self, group: str, seconds: float) -> None:
        """Add drive time to a group, divided by its weight."""
        self.used[group] = self.used.get(group, 0.0) + seconds / self.weights.get(group, 1.0)

    def least(self, groups: Collection[str]) -> float:
        """Give the smallest drive time among the groups, as in `used`; infinite for no group."""
        used = self.used
        if len(groups) == 1:
            return used.get(next(iter(groups)), 0.0)
        return min([used.get(group, 0.0) for group in groups], default=math.inf)

    def copy(self) -> Shares:
        """Give a copy, to foresee turns with."""
        return Shares(self.weights, self.half_life, dict(self.used), self.at)
