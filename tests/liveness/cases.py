"""Cases: datasets whose archives have sizes that nobody knows at first, and jobs that want them on a small staging area."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product

Chosen = tuple[int, ...]
"""Numbers of the datablocks that a job chose files of; none: it wants the whole dataset."""
Wish = dict[str, Chosen]
"""What a job wants, by dataset."""


@dataclass(frozen=True)
class Block:
    """An archive: what SciCat says of its size, what the store says, and what the other store's copy has.

    Attributes:
        packed: As catalogued.
        real: As the store has it.
        other: As the other store has it, where the first one's copy is no good; None: it is good.
    """

    packed: int
    real: int
    other: int | None = None


@dataclass(frozen=True)
class Case:
    """What is asked for, and of what.

    Attributes:
        total: Bytes of staging.
        datasets: The archives of each.
        declared: Bytes that SciCat declares of each dataset as a whole.
        jobs: What each wants, in the order in which they come.
        parallel: Datasets of a job that are retrieved at once.
        quota: Of the owner group of all jobs; None: none.
        events: What happens to whom beside, each at some time: see `world.EVENTS`.
    """

    total: int
    datasets: Mapping[str, tuple[Block, ...]]
    declared: dict[str, int]
    jobs: tuple[Wish, ...]
    parallel: int = 1
    quota: int | None = None
    events: tuple[tuple[int, str, int], ...] = field(default=())


def random_case(seed: int) -> Case:
    """Some jobs for some datasets, most of which share the datasets, the staging area, or both."""
    chance = random.Random(seed)
    names = "PQRS"[: chance.randint(1, 4)]
    datasets = {name: tuple(_block(chance) for _ in range(chance.randint(1, 3))) for name in names}
    declared = {name: _declared(chance, blocks) for name, blocks in datasets.items()}
    jobs = tuple(_wish(chance, datasets) for _ in range(chance.randint(2, 4)))
    largest = max(_real(wish, datasets) for wish in jobs)
    events = tuple(
        (chance.randrange(40), chance.choice(["cancel", "retry", "restart", "lose"]), chance.randrange(4))
        for _ in range(chance.randrange(4))
    )
    return Case(
        total=chance.choice([largest, largest, int(largest * 1.2), int(largest * 1.6), largest - 1]),
        datasets=datasets,
        declared=declared,
        jobs=jobs,
        parallel=chance.randint(1, 2),
        quota=None if chance.random() < 0.8 else 2 * largest,
        events=events,
    )


def small_cases() -> Iterator[Case]:
    """All cases of two jobs and two datasets of two archives, in each way of wanting more than was claimed."""
    wishes: list[Wish] = [
        {"P": (0,), "Q": ()},
        {"P": (), "Q": (1,)},
        {"P": (), "Q": ()},
        {"P": (1,)},
        {"Q": ()},
    ]
    grown = [(10, 10, 20), (10, 10, 10), (14, 10, 20), (14, 14, 20)]
    for jobs in product(wishes, repeat=2):
        for (of_p, of_q, declared), total in product(grown, [40, 48, 56]):
            blocks = {name: (Block(10, 10), Block(10, size)) for name, size in (("P", of_p), ("Q", of_q))}
            yield Case(total, blocks, dict.fromkeys("PQ", declared), jobs)


def _block(chance: random.Random) -> Block:
    packed = chance.randint(5, 30)
    real = packed if chance.random() < 0.7 else packed + chance.randint(1, 10)
    other = None if chance.random() < 0.9 else real + chance.randint(0, 10)
    return Block(packed, real, other)


def _declared(chance: random.Random, blocks: tuple[Block, ...]) -> int:
    packed = sum(block.packed for block in blocks)
    return packed if chance.random() < 0.6 else chance.randint(0, packed)


def _wish(chance: random.Random, datasets: dict[str, tuple[Block, ...]]) -> Wish:
    names = chance.sample(sorted(datasets), chance.randint(1, len(datasets)))
    return {name: _chosen(chance, len(datasets[name])) for name in names}


def _chosen(chance: random.Random, count: int) -> Chosen:
    if chance.random() < 0.5:
        return ()
    return tuple(sorted(chance.sample(range(count), chance.randint(1, count))))


def _real(wish: Wish, datasets: dict[str, tuple[Block, ...]]) -> int:
    return sum(
        max(block.real, block.other or 0)
        for name, chosen in wish.items()
        for number, block in enumerate(datasets[name])
        if not chosen or number in chosen
    )
