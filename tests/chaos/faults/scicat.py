"""Trouble with SciCat: gone, slow, failing before or after it stored, talking rubbish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.chaos import wire
from tests.chaos.kind import Hit, Kind
from tests.chaos.work import some_job
from tests.chaos.world import REQUEST_SECONDS, World

_FOR = (0.3, 3.0)


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("SciCat refuses connections", _refuse)
    yield Kind("SciCat drops connections", partial(_armed, arm=_drop_before))
    yield Kind("SciCat drops connections after storing", partial(_armed, arm=_drop_after))
    yield Kind("SciCat answers 500 before storing", partial(_armed, arm=_fail_before))
    yield Kind("SciCat answers 500 after storing", partial(_armed, arm=_fail_after))
    yield Kind("SciCat answers 503 to everything", partial(_armed, arm=_unavailable))
    yield Kind("SciCat answers 403 for a moment", partial(_armed, arm=_forbidden))
    yield Kind("SciCat is slow", partial(_delayed, seconds=0.7))
    yield Kind("SciCat answers too late", partial(_delayed, seconds=REQUEST_SECONDS + 0.5))
    yield Kind("SciCat forgets our login", _expire)
    for name, how in (
        ("a proxy's page", wire.as_page),
        ("garbage", wire.as_garbage),
        ("half an answer", wire.as_half),
        ("a torn answer", wire.as_torn),
    ):
        yield Kind(f"SciCat gives {name}", partial(_spoiled, how=how))


def _refuse(world: World) -> Hit:
    world.undoing.begin("line")
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 0.8))
    world.line.down()
    world.undoing.later("line", world.rng.uniform(*_FOR), world.line.up)
    return Hit(job)


def _armed(world: World, arm: Callable[[World, float], None]) -> Hit:
    seconds = world.rng.uniform(*_FOR)
    world.undoing.begin("scicat")
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 0.5))
    arm(world, seconds)
    world.undoing.later("scicat", seconds, world.scicat.faults.clear)
    return Hit(job)


def _drop_before(world: World, seconds: float) -> None:
    for method in ("GET", "PATCH"):
        world.scicat.faults.drop(for_seconds=seconds, method=method)


def _drop_after(world: World, seconds: float) -> None:
    world.scicat.faults.drop(for_seconds=seconds, method="PATCH", when="after")


def _fail_before(world: World, seconds: float) -> None:
    world.scicat.faults.fail(500, for_seconds=seconds, method="PATCH")


def _fail_after(world: World, seconds: float) -> None:
    world.scicat.faults.fail(500, for_seconds=seconds, method="PATCH", when="after")


def _unavailable(world: World, seconds: float) -> None:
    for method, path in (("GET", ""), ("PATCH", ""), ("POST", "login")):
        world.scicat.faults.fail(503, for_seconds=seconds, method=method, path_contains=path)


def _forbidden(world: World, seconds: float) -> None:
    world.scicat.faults.fail(403, for_seconds=seconds, method="PATCH")


def _delayed(world: World, seconds: float) -> Hit:
    world.undoing.begin("scicat")
    job = some_job(world)
    for method in ("GET", "PATCH"):
        world.scicat.faults.delay(seconds, method=method)
    world.undoing.later("scicat", world.rng.uniform(*_FOR), world.scicat.faults.clear)
    return Hit(job)


def _expire(world: World) -> Hit:
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 0.5))
    world.scicat.expire_tokens()
    return Hit(job)


def _spoiled(world: World, how: Callable[[wire.Answer], wire.Answer]) -> Hit:
    world.undoing.begin("wire")
    job = some_job(world)
    seconds = world.rng.uniform(*_FOR)
    world.wire.spoil(how, seconds)
    world.undoing.later("wire", seconds, lambda: None)
    return Hit(job)
