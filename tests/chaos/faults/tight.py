"""Little staging: chosen files of two datasets at once, and jobs for all of them that join; with kills, cancels, retries."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from tests.chaos.archives import Home
from tests.chaos.faults.control import ended_in_ledger
from tests.chaos.kind import Hit, Kind
from tests.chaos.truth import Job
from tests.chaos.wishes import cancel, retry
from tests.chaos.work import some_files
from tests.chaos.world import World

_BLOCKS, _BYTES = 4, 6_000_000
"""Staging holds four of these and a half: all of one dataset, or a part of each of two."""


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("tight staging: kill worker", partial(_killed, victim="worker"), rereads=True)
    yield Kind("tight staging: kill all", partial(_killed, victim="all", sized=True), rereads=True)
    yield Kind("tight staging: job cancelled, and kill worker", _cancelled, rereads=True)
    yield Kind("tight staging: job cancelled and retried, and kill worker", _retried, rereads=True)


def _crowd(world: World, *, sized: bool = False) -> list[Job]:
    """Choose files of two datasets at once, and have each joined by a job for all of it, which needs more space.

    Args:
        world: Where.
        sized: Whether SciCat knows the sizes. If not, they take space as they come, one by one, while they hold what came
            before: then neither can go on unless one gives way.
    """
    homes = (Home.SHARE, Home.STUB, Home.TAPE) if sized else (Home.TAPE,)  # which gives them one by one
    datasets = [
        world.dataset(_BLOCKS, home=world.rng.choice(homes), size=_BYTES, sized=sized) for _ in range(2)
    ]
    jobs = [world.ask_for([each], {each.pid: some_files(world, each)}) for each in datasets]
    time.sleep(world.rng.uniform(0.0, 0.6))
    return jobs + [world.ask_for([each]) for each in datasets]


def _killed(world: World, victim: str, *, sized: bool = False) -> Hit:
    jobs = _crowd(world, sized=sized)
    time.sleep(world.rng.uniform(0.0, 1.5))
    world.service.kill(victim)
    return Hit(jobs[0])


def _cancelled(world: World) -> Hit:
    job = world.rng.choice(_crowd(world))
    time.sleep(world.rng.uniform(0.0, 1.5))
    taken = cancel(world, job)
    world.service.kill("worker")
    return Hit(job, missed=not taken)


def _retried(world: World) -> Hit:
    job = world.rng.choice(_crowd(world))
    time.sleep(world.rng.uniform(0.0, 1.0))
    taken = cancel(world, job) and ended_in_ledger(world, job) and retry(world, job)
    time.sleep(world.rng.uniform(0.0, 0.6))
    world.service.kill("worker")
    return Hit(job, missed=not taken)
