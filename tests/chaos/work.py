"""The stream of jobs: small ones, some with shared datasets, some that must fail."""

from __future__ import annotations

from tests.chaos.archives import LARGE, Home
from tests.chaos.truth import Dataset, Job, Truth
from tests.chaos.world import World

_WRONG = ("missing", "corrupt", "short", "checksum")
_HOMES = (Home.SHARE, Home.SHARE, Home.STUB, Home.TAPE)


def some_job(world: World) -> Job:
    """Ask for one to three datasets, of some of them for chosen files; one in ten jobs is delivered twice."""
    rng = world.rng
    datasets: list[Dataset] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        known = [dataset for dataset in _shared(world) if dataset not in datasets]
        if known and rng.random() < 0.25:
            datasets.append(rng.choice(known))
        else:
            wrong = rng.choice(_WRONG) if rng.random() < 0.12 else None
            home = Home.SHARE if wrong else rng.choice(_HOMES)
            datasets.append(world.dataset(rng.randint(1, 5), wrong=wrong, home=home))
    chosen = {
        each.pid: some_files(world, each) for each in datasets if rng.random() < 0.2 and _may_choose(each)
    }
    job = world.ask_for(datasets, chosen)
    if rng.random() < 0.1:
        world.deliver(job.id)
    return job


def _shared(world: World) -> list[Dataset]:
    return [dataset for dataset in world.datasets if dataset.shared][-6:]


def _may_choose(dataset: Dataset) -> bool:
    return dataset.truth is Truth.GOOD


def some_files(world: World, dataset: Dataset) -> frozenset[str]:
    """Choose one or two files of one datablock."""
    names = sorted(world.rng.choice(dataset.blocks).files)
    return frozenset(world.rng.sample(names, min(len(names), world.rng.randint(1, 2))))


def good_job(world: World, *, home: Home = Home.SHARE, large: bool = False) -> Job:
    """Ask for one dataset that can be retrieved, whose way through the service is watched."""
    size = LARGE if large else None
    return world.ask_for([world.dataset(world.rng.randint(1, 3), home=home, size=size)])
