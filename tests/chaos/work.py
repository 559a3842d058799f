"""The stream of jobs: small ones, some with shared datasets, some that must fail."""

from __future__ import annotations

from tests.chaos.archives import Home
from tests.chaos.truth import Dataset, Job
from tests.chaos.world import World

_WRONG = ("missing", "corrupt", "short", "checksum")
_HOMES = (Home.SHARE, Home.SHARE, Home.STUB, Home.TAPE)


def some_job(world: World) -> Job:
    """Ask for one to three datasets; one in ten jobs is delivered twice."""
    rng = world.rng
    datasets: list[Dataset] = []
    for _ in range(rng.choice((1, 1, 2, 3))):
        known = [dataset for dataset in world.datasets[-6:] if dataset not in datasets]
        if known and rng.random() < 0.25:
            datasets.append(rng.choice(known))
        else:
            wrong = rng.choice(_WRONG) if rng.random() < 0.12 else None
            home = Home.SHARE if wrong else rng.choice(_HOMES)
            datasets.append(world.dataset(rng.randint(1, 5), wrong=wrong, home=home))
    job = world.ask_for(datasets)
    if rng.random() < 0.1:
        world.deliver(job.id)
    return job


def good_job(world: World, *, home: Home = Home.SHARE, large: bool = False) -> Job:
    """Ask for one dataset that can be retrieved, whose way through the service is watched."""
    return world.ask_for([world.dataset(world.rng.randint(1, 3), home=home, large=large)])
