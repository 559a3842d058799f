"""Trouble with the machine: a worker that stands still, disks that are full or read-only, a clock that moves."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from scicat_retriever.processes.engine_database import ENGINE_DATABASE
from tests.chaos.disks import can_mount
from tests.chaos.kind import Hit, Kind
from tests.chaos.service import wait_until
from tests.chaos.work import good_job, some_job
from tests.chaos.world import World


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("worker stands still (SIGSTOP)", _suspend_worker, rereads=True)
    yield Kind("staging disk full", _staging_full, rereads=True, impossible=_no_mounts)
    yield Kind("staging disk almost full", _staging_almost_full, rereads=True, impossible=_no_mounts)
    yield Kind("ledger's disk full", _data_full, rereads=True, impossible=_no_mounts)
    yield Kind("ledger's disk read-only", _data_read_only, rereads=True, impossible=_no_mounts)
    yield Kind("engine's database lost", _engine_lost, rereads=True)
    yield Kind("engine's database half made", _engine_half_made, rereads=True)
    yield Kind("clock two minutes ahead", lambda world: _clock(world, 120), impossible=_no_compiler)
    yield Kind("clock two minutes back", lambda world: _clock(world, -120), impossible=_no_compiler)


def _no_mounts(_: World) -> str:
    return "" if can_mount() else "no disk can be mounted"


def _no_compiler(world: World) -> str:
    return "" if world.clock.can_move else "there is no C compiler"


def _engine_lost(world: World) -> Hit:
    """Throw the engine's database away: what flows there were, only the ledger knows then."""
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 1.0))
    with world.service.parts_dead_and_not_restarted():
        _throw_away(world)
    return Hit(job)


def _engine_half_made(world: World) -> Hit:
    """Leave of the engine's database what an engine leaves that ended while it made its tables."""
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 1.0))
    with world.service.parts_dead_and_not_restarted():
        database = _throw_away(world)
        with closing(sqlite3.connect(database)) as made:
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("CREATE TABLE namespaces (id TEXT PRIMARY KEY)")
    return Hit(job)


def _throw_away(world: World) -> Path:
    database = world.data.root / ENGINE_DATABASE
    for file in world.data.root.glob(f"{ENGINE_DATABASE}*"):
        file.unlink()
    return database


def _suspend_worker(world: World) -> Hit:
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 1.0))
    with world.undoing.trouble("worker"), world.service.suspended("worker"):
        time.sleep(world.rng.uniform(0.5, 6.5))  # the engine takes a worker for dead after 5 seconds
    return Hit(job)


def _staging_full(world: World) -> Hit:
    world.undoing.begin("staging")
    early = world.rng.random() < 0.5
    job = some_job(world) if early else None
    world.staging.fill()
    world.undoing.later("staging", world.rng.uniform(0.5, 3.0), world.staging.free)
    return Hit(job or some_job(world))


def _staging_almost_full(world: World) -> Hit:
    """Leave room for some datablocks, so that the disk is full in the middle of others."""
    world.undoing.begin("staging")
    world.staging.fill(leave=world.rng.randrange(100_000, 3_000_000))
    world.undoing.later("staging", world.rng.uniform(0.5, 3.0), world.staging.free)
    return Hit(some_job(world))


def _data_full(world: World) -> Hit:
    world.undoing.begin("data")
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 0.5))
    world.data.fill()
    world.undoing.later("data", world.rng.uniform(0.5, 3.0), world.data.free)
    return Hit(job)


def _data_read_only(world: World) -> Hit:
    """Have the parts die and find their disk read-only when they are started again, as after an I/O error."""
    job = good_job(world, large=True)
    with world.undoing.trouble("data"):
        with world.book.let_go(), world.service.parts_dead_and_not_restarted():
            done = wait_until(lambda: world.data.read_only(on=True), 5)
        try:
            time.sleep(world.rng.uniform(1.0, 4.0))
        finally:
            wait_until(lambda: world.data.read_only(on=False), 20)
    return Hit(job, missed=not done)


def _clock(world: World, seconds: int) -> Hit:
    world.undoing.begin("clock")
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 0.5))
    world.clock.move(seconds)
    world.undoing.later("clock", world.rng.uniform(0.5, 4.0), lambda: world.clock.move(0))
    return Hit(job)
