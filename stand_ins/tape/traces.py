"""Traces of what a facility's users want back from tape: made up, in the shapes that facilities see, the same for each seed."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

HOUR = 3600.0
DAY = 24 * HOUR
SMALLEST, LARGEST = 50 * 10**6, 200 * 10**9


@dataclass(frozen=True, slots=True)
class TraceShape:
    """What a facility holds, and how its users ask for it.

    Attributes:
        days: How long it is watched; it begins on a Monday at midnight.
        asks: About how many archives are asked for in that time.
        archives: How many there are.
        groups: How many owner groups.
        families: How many kinds of tapes; a group's archives go to one of them, which it shares with others.
        open_tapes: So many tapes of a family are written at the same time.
        scattered: Whether each archive goes to whichever of these is free, as where several drives write at once; if not,
            all archives of a dataset go to one of them, and a dataset's neighbour to another.
        tape_bytes: What fits on a tape.
        median_bytes: Half of the archives are smaller.
        campaigns: The part of the asks that comes from campaigns: one user wants hundreds or thousands of archives of
            datasets that were measured one after the other, within minutes.
        selections: The part that comes from users who want hundreds or thousands of archives of datasets that they selected
            from all that their group ever measured, in an order that has nothing to do with the tapes: one kind of sample,
            or all that a new algorithm is to be tried on.
        hot: The part that comes from datasets that many users want within days. The rest are single datasets.
        campaign_archives: The least and the most archives of a campaign or a selection; small ones are more frequent.
    """

    days: float = 30.0
    asks: int = 22_000
    archives: int = 60_000
    groups: int = 24
    families: int = 4
    open_tapes: int = 3
    scattered: bool = True
    tape_bytes: int = 12 * 10**12
    median_bytes: int = 8 * 10**9
    campaigns: float = 0.5
    selections: float = 0.2
    hot: float = 0.1
    campaign_archives: tuple[int, int] = (200, 3000)


@dataclass(frozen=True, slots=True)
class TapedArchive:
    """An archive on its tape.

    Attributes:
        name: Its name.
        dataset: Its dataset's number; datasets are numbered as they were measured.
        place: Its place in the dataset.
        group: Its owner group.
        bytes: Its size.
        tape: Label of its tape.
        position: Where it begins there, bytes.
    """

    name: str
    dataset: int
    place: int
    group: str
    bytes: int
    tape: str
    position: int


@dataclass(frozen=True, slots=True)
class Ask:
    """An archive is asked for.

    Attributes:
        at: When, seconds from the trace's beginning.
        archive: It.
        group: Who asks: the archive's group, or another one.
        priority: The larger is the more urgent.
    """

    at: float
    archive: TapedArchive
    group: str
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Trace:
    """What is on tape, and what is asked for, in the order of time."""

    archives: tuple[TapedArchive, ...]
    asks: tuple[Ask, ...]


Dataset = tuple[TapedArchive, ...]


def trace(seed: int, shape: TraceShape | None = None) -> Trace:
    """Make a trace; the same for the same seed and shape."""
    return _Maker(seed, shape or TraceShape()).make()


class _Maker:
    def __init__(self, seed: int, shape: TraceShape) -> None:
        self._random = random.Random(seed)
        self._shape = shape

    def make(self) -> Trace:
        datasets = list(self._datasets())
        shape = self._shape
        asks: list[Ask] = []
        parts = (shape.campaigns, self._campaign), (shape.selections, self._selection), (shape.hot, self._hot)
        for part, some in parts:
            self._ask(datasets, asks, len(asks) + shape.asks * part, some)
        self._ask(datasets, asks, shape.asks, self._single)
        end = shape.days * DAY
        asks = sorted((ask for ask in asks if ask.at < end), key=lambda ask: (ask.at, ask.archive.name))
        return Trace(tuple(archive for dataset in datasets for archive in dataset), tuple(asks))

    def _ask(
        self,
        datasets: list[Dataset],
        asks: list[Ask],
        wanted: float,
        some: Callable[[list[Dataset]], Iterator[Ask]],
    ) -> None:
        while len(asks) < wanted:
            asks.extend(some(datasets))

    def _datasets(self) -> Iterator[Dataset]:
        """Write datasets to tape as they are measured: a beamtime of one group after another, some at the same time."""
        shape, pick = self._shape, self._random
        tapes = _Tapes(shape)
        running: list[list[int]] = []
        number = made = 0
        while made < shape.archives:
            while len(running) < shape.families:
                running.append([pick.randrange(shape.groups), pick.randint(50, 400)])
            beamtime = pick.choice(running)
            beamtime[1] -= 1
            if not beamtime[1]:
                running.remove(beamtime)
            blocks = min(int(pick.expovariate(1 / 3)) + 1, shape.archives - made)
            yield tuple(self._block(number, place, beamtime[0], tapes) for place in range(blocks))
            number, made = number + 1, made + blocks

    def _block(self, dataset: int, place: int, group: int, tapes: _Tapes) -> TapedArchive:
        size = int(self._random.lognormvariate(math.log(self._shape.median_bytes), 1.0))
        size = min(max(size, SMALLEST), LARGEST)
        writer = self._random.randrange(self._shape.open_tapes) if self._shape.scattered else dataset
        tape, position = tapes.write(group % self._shape.families, writer, size)
        return TapedArchive(
            f"{dataset:06}/{place:04}.tar", dataset, place, f"p{group:02}", size, tape, position
        )

    def _campaign(self, datasets: list[Dataset]) -> Iterator[Ask]:
        """One user wants what its group measured in one stretch."""
        number = self._random.randrange(len(datasets))
        group = datasets[number][0].group
        yield from self._many(each for each in datasets[number:] if each[0].group == group)

    def _selection(self, datasets: list[Dataset]) -> Iterator[Ask]:
        """One user wants datasets from all times of its group, in another order."""
        group = self._random.choice(datasets)[0].group
        own = [each for each in datasets if each[0].group == group]
        yield from self._many(self._random.sample(own, len(own)))

    def _many(self, datasets: Iterable[Dataset]) -> Iterator[Ask]:
        """Ask for some of these, one dataset after the other, seconds apart."""
        least, most = self._shape.campaign_archives
        wanted = math.exp(self._random.uniform(math.log(least), math.log(most)))
        at, pause = self._moment(), self._random.uniform(1.0, 10.0)
        for dataset in datasets:
            if wanted <= 0:
                return
            wanted -= len(dataset)
            at += self._random.expovariate(1 / pause)
            yield from (Ask(at, archive, archive.group) for archive in dataset)

    def _single(self, datasets: list[Dataset]) -> Iterator[Ask]:
        """Somebody wants one dataset; the younger, the more likely, as Zipf has it. A few are urgent."""
        rank = int(len(datasets) ** self._random.random()) - 1
        dataset = datasets[len(datasets) - 1 - rank]
        group = dataset[0].group if self._random.random() < 0.8 else self._group()
        at, priority = self._moment(), 1 if self._random.random() < 0.05 else 0
        yield from (Ask(at, archive, group, priority) for archive in dataset)

    def _hot(self, datasets: list[Dataset]) -> Iterator[Ask]:
        """Many users want one dataset within two days."""
        dataset = self._random.choice(datasets)
        start = self._moment()
        for _ in range(self._random.randint(20, 60)):
            at, group = start + self._random.expovariate(1 / (0.5 * DAY)), self._group()
            yield from (Ask(at, archive, group) for archive in dataset)

    def _group(self) -> str:
        return f"p{self._random.randrange(self._shape.groups):02}"

    def _moment(self) -> float:
        """Draw a time: by day rather than by night, on working days rather than at the weekend."""
        while True:
            at = self._random.uniform(0.0, self._shape.days * DAY)
            busy = 0.55 - 0.45 * math.cos(2 * math.pi * (at / DAY - 2 / 24))
            if at // DAY % 7 >= 5:
                busy *= 0.4
            if self._random.random() < busy:
                return at


class _Tapes:
    """The tapes that are being written."""

    def __init__(self, shape: TraceShape) -> None:
        self._shape = shape
        self._written: dict[tuple[int, int], tuple[str, int]] = {}
        self._labels = (f"VB{number:04}" for number in accumulate(iter(lambda: 1, 0)))

    def write(self, family: int, writer: int, size: int) -> tuple[str, int]:
        """Write an archive; gives its tape and where it begins there."""
        slot = (family, writer % self._shape.open_tapes)
        label, end = self._written.get(slot) or (next(self._labels), 0)
        if end + size > self._shape.tape_bytes:
            label, end = next(self._labels), 0
        self._written[slot] = (label, end + size)
        return label, end
