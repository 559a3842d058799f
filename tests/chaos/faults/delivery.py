"""Trouble with delivery: the same job again, one after the other and at once; a job while nobody listens."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.chaos.kind import Hit, Kind
from tests.chaos.work import some_job
from tests.chaos.world import World


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("job delivered twice", _twice)
    yield Kind("job delivered ten times at once", _at_once)
    yield Kind("job comes while the service is down", _while_down, rereads=True)


def _twice(world: World) -> Hit:
    job = some_job(world)
    world.deliver(job.id)
    return Hit(job)


def _at_once(world: World) -> Hit:
    job = some_job(world)
    with ThreadPoolExecutor(10) as pool:
        list(pool.map(world.deliver, [job.id] * 10))
    return Hit(job)


def _while_down(world: World) -> Hit:
    world.service.kill("all")
    return Hit(some_job(world))
