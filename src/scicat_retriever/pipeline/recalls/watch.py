"""What a recall desk remembers of the archives that it watches. To lose it costs a look or two."""

from __future__ import annotations

from dataclasses import dataclass, field

from scicat_retriever.domain.backoff import Polling, growing

TURN_SECONDS = 20.0
"""After which each part of a desk's turn leaves what is still to be done to the next one."""
LONGEST_RETRY = 600.0
"""The longest time, seconds, until an archive is asked for again whose recall failed."""


@dataclass(frozen=True, slots=True)
class DeskPace:
    """How often a store is asked, in seconds.

    Attributes:
        polling: The pauses between looks at an archive that was asked for, or is missing.
        turn: Between two turns of the desk, while recalls are open.
        look_waiting: Between two looks at an archive that is not asked for yet: others may have asked.
    """

    polling: Polling = field(default_factory=Polling)
    turn: float = 1.0
    look_waiting: float = 600.0

    @property
    def look_initial(self) -> float:
        """The pause before the first look."""
        return self.polling.poll_initial

    @property
    def look_maximum(self) -> float:
        """The longest pause between two looks."""
        return self.polling.poll_maximum

    def pause_after(self, troubles: int) -> float:
        """Give the seconds for which a store is left alone that failed just now."""
        return growing(troubles, self.look_initial, self.look_maximum)


@dataclass(slots=True)
class WatchedArchive:
    """One archive. Times are seconds since 1970, UTC.

    Attributes:
        looks: How often was looked at it since it was asked for.
        next_look: When it is looked at next.
        expected: When it is expected online, where that can be told.
        failures: How often its recall failed.
        not_before: Before which it is not asked for again.
        lookups: How often its tape was asked about in vain.
    """

    looks: int = 0
    next_look: float = 0.0
    expected: float | None = None
    failures: int = 0
    not_before: float = 0.0
    lookups: int = 0

    def looked(self, now: float, pace: DeskPace, *, patient: bool) -> None:
        """Note a look: each next one is later, but close to the moment when the archive is expected.

        Args:
            now: When it was.
            pace: The paces.
            patient: Whether it is only looked at in case others asked for it.
        """
        self.looks += 1
        pause = growing(self.looks - 1, pace.look_initial, pace.look_maximum, factor=1.5)
        if self.expected is not None:
            pause = min(pause, max(5 * pace.look_initial, 0.1 * abs(self.expected - now)))
        self.next_look = now + (pace.look_waiting if patient else pause)

    def asked(self, now: float, pace: DeskPace) -> None:
        """Note that it was asked for."""
        self.looks, self.next_look = 0, now + pace.look_initial

    def try_later(self, now: float, pace: DeskPace) -> None:
        """Have it asked for again after a while, longer with each failure."""
        self.failures += 1
        self.not_before = now + growing(self.failures, pace.look_initial, LONGEST_RETRY)
