"""All kinds of faults, dealt so that each comes once before any comes again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from tests.chaos.faults import control, delivery, kills, machine, scicat, store, tape, tight
from tests.chaos.kind import Kind


def all_kinds() -> list[Kind]:
    """Give every kind."""
    return roomy_kinds() + tight_kinds()


def roomy_kinds() -> list[Kind]:
    """Give those for a facility whose staging holds all that is asked for."""
    modules = (kills, machine, scicat, store, tape, delivery, control)
    return [kind for module in modules for kind in module.kinds()]


def tight_kinds() -> list[Kind]:
    """Give those for a facility whose staging holds little."""
    return list(tight.kinds())


def dealt(rng: Random, kinds: Sequence[Kind]) -> Iterator[Kind]:
    """Deal kinds without end; none where there are none."""
    while kinds:
        deck = list(kinds)
        rng.shuffle(deck)
        yield from deck
