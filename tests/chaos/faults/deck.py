"""All kinds of faults, dealt so that each comes once before any comes again."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from tests.chaos.faults import delivery, kills, machine, scicat, store, tape
from tests.chaos.kind import Kind


def all_kinds() -> list[Kind]:
    """Give every kind."""
    return [kind for module in (kills, machine, scicat, store, tape, delivery) for kind in module.kinds()]


def dealt(rng: Random) -> Iterator[Kind]:
    """Deal kinds without end."""
    while True:
        deck = all_kinds()
        rng.shuffle(deck)
        yield from deck
