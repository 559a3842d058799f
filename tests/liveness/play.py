"""Plays the flows of a case step by step in a given order, and finds out whether they come to an end."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from enum import Enum, auto

PATIENCE = 60
"""Rounds, of an hour each, after which those that only wait are stuck: all pins have long lapsed by then."""
TOO_LONG = 20_000
"""Steps after which it is called stuck though something still moves: those that give back must not do so for ever."""


class Step(Enum):
    """What an actor's step came to."""

    DONE = auto()
    """It did something."""
    WAITS = auto()
    """It asked in vain; nothing has changed for the others."""


Actor = Generator[Step, None, None]


class Stuck(AssertionError):
    """Some wait for ever."""


@dataclass
class Stage:
    """The actors that are under way, by name, and how time passes for them.

    Args:
        an_hour_later: Lets an hour pass.
        look: Called after each step.
    """

    an_hour_later: Callable[[], None]
    look: Callable[[], None]
    actors: dict[str, Actor] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    steps: int = 0

    def enter(self, name: str, actor: Actor) -> None:
        """Begin to play an actor."""
        self.actors[name] = actor

    def play(self, choose: Callable[[int], int | None], cues: dict[int, list[Callable[[], None]]]) -> None:
        """Play all to their end: in the order chosen as long as one is, then in turn.

        Args:
            choose: Gives which of so many actors goes on; None: no more choices.
            cues: What happens before which step.

        Raises:
            Stuck: They do not come to an end.
        """
        idle = 0
        while self.actors or any(at >= self.steps for at in cues):
            for cue in cues.pop(self.steps, ()):
                cue()
            self.steps += 1
            if self.steps > TOO_LONG:
                raise Stuck(f"it goes on for ever: {self._tail()}")
            chosen = choose(len(self.actors)) if self.actors else None
            if chosen is not None:
                self._advance(sorted(self.actors)[chosen])
                continue
            moved = [self._advance(name) for name in sorted(self.actors) if name in self.actors]
            idle = 0 if any(moved) else idle + 1
            self.an_hour_later()
            if idle > PATIENCE and not cues:
                raise Stuck(f"{sorted(self.actors)} wait for ever: {self._tail()}")

    def _advance(self, name: str) -> bool:
        try:
            moved = next(self.actors[name]) is Step.DONE
        except StopIteration:
            del self.actors[name]
            moved = True
        if moved:
            self.log.append(name)
        self.look()
        return moved

    def _tail(self) -> str:
        return " ".join(self.log[-80:])
