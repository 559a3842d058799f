"""Trouble with the tape system: gone, talking rubbish, forgetful; tapes and drives that fail; files that leave its disk."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from tests.chaos import wire
from tests.chaos.archives import Home
from tests.chaos.kind import Hit, Kind
from tests.chaos.service import wait_until
from tests.chaos.truth import Job
from tests.chaos.work import good_job
from tests.chaos.world import World

_FOR = (0.3, 3.0)
_ONLINE_SECONDS = 20.0


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("tape system refuses connections", _refuse, rereads=True)
    for name, how in (
        ("answers 503", wire.as_unavailable),
        ("gives a proxy's page", wire.as_page),
        ("gives garbage", wire.as_garbage),
        ("gives half an answer", wire.as_half),
        ("gives a torn answer", wire.as_torn),
    ):
        yield Kind(f"tape system {name}", partial(_spoiled, how=how), rereads=True)
    yield Kind("an archive's bytes from tape are torn off", _torn_off, rereads=True)
    yield Kind("tape system forgets its requests", _forgets)
    yield Kind("tape cannot be read at first", _read_fails)
    yield Kind("tape is out for a while", _tape_out)
    yield Kind("tape drive breaks", _drive_breaks)
    yield Kind("archives leave the tape system's disk too soon", _evicted, rereads=True)
    yield Kind("a second worker comes and is killed", _second_worker, rereads=True)


def _under_way(world: World) -> Job:
    job = good_job(world, home=Home.TAPE)
    time.sleep(world.rng.uniform(0.0, 2.0))
    return job


def _refuse(world: World) -> Hit:
    world.undoing.begin("tape")
    job = _under_way(world)
    line = world.archives.tapes.line
    line.down()
    world.undoing.later("tape", world.rng.uniform(*_FOR), line.up)
    return Hit(job)


def _spoiled(world: World, how: Callable[[wire.Answer], wire.Answer]) -> Hit:
    """Spoil what the API says; the archives' own bytes have checksums, and to spoil them would make them wrong."""
    return _with_spoilt_answers(world, how, lambda heard: "/api/v1/" in heard.path)


def _torn_off(world: World) -> Hit:
    """Break off the first reading of each archive in a while."""
    torn: set[str] = set()

    def first_reading(heard: wire.Heard) -> bool:
        is_first = heard.method == "GET" and heard.path.endswith(".tar") and heard.path not in torn
        if is_first:
            torn.add(heard.path)
        return is_first

    return _with_spoilt_answers(world, wire.as_torn, first_reading)


def _with_spoilt_answers(
    world: World, how: Callable[[wire.Answer], wire.Answer], matches: Callable[[wire.Heard], bool]
) -> Hit:
    world.undoing.begin("tape")
    job = _under_way(world)
    seconds = world.rng.uniform(*_FOR)
    world.archives.tapes.wire.spoil(how, seconds, matches)
    world.undoing.later("tape", seconds, lambda: None)
    return Hit(job)


def _forgets(world: World) -> Hit:
    job = _under_way(world)
    world.archives.tapes.server.requests.forget_all()
    return Hit(job)


def _read_fails(world: World) -> Hit:
    dataset = world.dataset(world.rng.randint(1, 3), home=Home.TAPE)
    for block in dataset.blocks:
        world.archives.tapes.library.fail(block.archive_id, world.rng.randint(1, 2))
    return Hit(world.ask_for([dataset]))


def _tape_out(world: World) -> Hit:
    world.undoing.begin("tape")
    library, label = world.archives.tapes.library, world.archives.tapes.some_tape()
    job = _under_way(world)
    library.disable_tape(label)
    world.undoing.later("tape", world.rng.uniform(*_FOR), lambda: library.enable_tape(label))
    return Hit(job)


def _drive_breaks(world: World) -> Hit:
    world.undoing.begin("tape")
    library = world.archives.tapes.library
    job = _under_way(world)
    library.break_drive(0)
    world.undoing.later("tape", world.rng.uniform(*_FOR), lambda: library.mend_drive(0))
    return Hit(job)


def _evicted(world: World) -> Hit:
    """Take archives off the disk once one of them was seen there: before the copy, or in the middle of it."""
    job = good_job(world, home=Home.TAPE, large=True)
    online = (
        "SELECT 1 FROM datablocks JOIN job_datasets USING (pid) LEFT JOIN recalls USING (pid) "
        "WHERE job_id = ? AND (phase = 'online' OR datablocks.state = 'copying')"
    )
    seen = wait_until(lambda: bool(world.book.rows(online, job.id)), _ONLINE_SECONDS)
    names = [block.archive_id for dataset in job.datasets for block in dataset.blocks]
    world.archives.tapes.library.release(names)
    return Hit(job, missed=not seen)


def _second_worker(world: World) -> Hit:
    """Run another worker beside the service's own; the recalls that it leads, the other must take over."""
    environment = {
        **os.environ,
        **world.service.folder.environment,
        "RETRIEVER_CONFIG": str(world.service.folder.root / "retriever.toml"),
        "RETRIEVER_ENGINE__ADDRESS": f"127.0.0.1:{world.engine_port}",
    }
    with world.service.folder.log.open("ab") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "scicat_retriever", "worker"],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        job = good_job(world, home=Home.TAPE)
        time.sleep(world.rng.uniform(2.0, 6.0))  # it takes two seconds to be up
    finally:
        worker.kill()
        worker.wait()
    return Hit(job)
