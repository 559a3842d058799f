"""What operators do at a bad moment: a running job is cancelled, one that ended is retried; and something dies meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial

from tests.chaos.kind import Hit, Kind
from tests.chaos.service import wait_until
from tests.chaos.truth import Dataset, Job
from tests.chaos.wishes import cancel, retry
from tests.chaos.work import good_job, some_job
from tests.chaos.world import World

END_SECONDS = 20.0


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("job cancelled", _cancelled)
    yield Kind("one of two jobs for a dataset cancelled", _one_of_two_cancelled)
    for victim in ("worker", "api", "all"):
        yield Kind(f"job cancelled, and kill {victim}", partial(_cancelled, victim=victim), rereads=True)
    yield Kind("job cancelled and retried", _cancelled_and_retried)
    yield Kind(
        "job cancelled and retried, and kill worker",
        partial(_cancelled_and_retried, victim="worker"),
        rereads=True,
    )
    yield Kind("failed job retried", _retried)
    yield Kind("failed job retried, and kill worker", partial(_retried, victim="worker"), rereads=True)


def _cancelled(world: World, victim: str = "") -> Hit:
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 1.5))
    return Hit(job, missed=not _cancel(world, job, victim))


def _one_of_two_cancelled(world: World) -> Hit:
    """The other one must be carried out all the same."""
    first = good_job(world)
    second = world.ask_for(first.datasets)
    time.sleep(world.rng.uniform(0.0, 1.0))
    return Hit(second, missed=not cancel(world, world.rng.choice((first, second))))


def _cancelled_and_retried(world: World, victim: str = "") -> Hit:
    job = good_job(world, large=True)
    time.sleep(world.rng.uniform(0.0, 0.8))
    if not cancel(world, job) or not ended_in_ledger(world, job):
        return Hit(job, missed=True)
    return Hit(job, missed=not _retry(world, job, victim))


def _retried(world: World, victim: str = "") -> Hit:
    """Have a job fail by a wrong archive; mend that, and retry it as soon as the service knows that it failed."""
    dataset = world.dataset(world.rng.randint(1, 4), wrong="corrupt")
    dataset.shared, dataset.may_fail_for_a_while = False, True
    job = world.ask_for([dataset])
    if not ended_in_ledger(world, job):
        return Hit(job, missed=True)
    _mend(world, dataset)
    return Hit(job, missed=not _retry(world, job, victim))


def _mend(world: World, dataset: Dataset) -> None:
    with world.undoing.trouble("lts"):  # the share may be away
        for block in dataset.blocks:
            if block.codes:
                world.archives.mend(block)


def _cancel(world: World, job: Job, victim: str) -> bool:
    """Cancel a job, and kill something just before or just after."""
    if not victim:
        return cancel(world, job)
    if world.rng.random() < 0.5:
        world.service.kill(victim)
        return cancel(world, job)
    taken = cancel(world, job)
    time.sleep(world.rng.uniform(0.0, 0.3))
    world.service.kill(victim)
    return taken


def _retry(world: World, job: Job, victim: str) -> bool:
    taken = retry(world, job)
    if victim:
        time.sleep(world.rng.uniform(0.0, 0.6))
        world.service.kill(victim)
    return taken


def ended_in_ledger(world: World, job: Job) -> bool:
    """Wait until a job has ended for the service, whether SciCat was told or not; says whether it was in time."""
    ended = "SELECT 1 FROM jobs WHERE id = ? AND state LIKE 'finished%'"
    return wait_until(lambda: bool(world.book.rows(ended, job.id)), END_SECONDS)
