"""Looks for orders of steps in which somebody waits for ever: at random by a seed, or in all orders of the first steps."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

from scicat_retriever.ledger.database.upgrade import upgrade
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from tests.fakes.ledger import InMemoryLedger
from tests.liveness.cases import Case, random_case
from tests.liveness.world import Clock, World

LONGEST_DISORDER = 150
"""Steps in random order; after them all take turns."""
Open = Callable[[Clock], AbstractContextManager[Ledger]]
"""Gives an empty ledger that goes by a clock."""


@contextmanager
def in_memory(clock: Clock) -> Iterator[Ledger]:
    """The ledger in memory: it is held to the same answers, and many times as fast."""
    yield InMemoryLedger(clock)


class SqliteFiles:
    """Empty ledgers in files.

    Args:
        folder: Where they are made, one after the other.
    """

    def __init__(self, folder: Path) -> None:
        self._template, self._file = folder / "template.db", folder / "ledger.db"
        upgrade(f"sqlite:///{self._template}")

    @contextmanager
    def __call__(self, clock: Clock) -> Iterator[Ledger]:
        shutil.copy(self._template, self._file)
        with closing(SqlLedger.at(f"sqlite:///{self._file}", clock)) as ledger:
            yield ledger


def play_random(seed: int, open_ledger: Open = in_memory) -> list[str]:
    """Play a random case in a random order; gives who did something, in that order.

    Raises:
        AssertionError: Somebody waits for ever, or another promise is broken.
    """
    chance = random.Random(f"order {seed}")
    left = chance.randint(0, LONGEST_DISORDER)

    def choose(count: int) -> int | None:
        nonlocal left
        left -= 1
        return chance.randrange(count) if left >= 0 else None

    return _play(random_case(seed), choose, open_ledger)


def play_all(case: Case, depth: int, open_ledger: Open = in_memory) -> int:
    """Play a case in all orders of the first so many steps; gives how many there are.

    Raises:
        AssertionError: As of `play_random`, in one of them.
    """
    orders: list[tuple[int, ...]] = [()]
    played = 0
    while orders:
        order = orders.pop()
        counts: list[int] = []

        def choose(count: int, order: tuple[int, ...] = order, counts: list[int] = counts) -> int | None:
            counts.append(count)
            at = len(counts) - 1
            if at >= depth:
                return None
            return order[at] if at < len(order) else 0

        _play(case, choose, open_ledger)
        played += 1
        for at in range(len(order), min(depth, len(counts))):
            stem = order + (0,) * (at - len(order))
            orders += [(*stem, other) for other in range(1, counts[at])]
    return played


def _play(case: Case, choose: Callable[[int], int | None], open_ledger: Open) -> list[str]:
    clock = Clock()
    with open_ledger(clock) as ledger:
        world = World(case, ledger, clock)
        world.play(choose)
        return world.stage.log
