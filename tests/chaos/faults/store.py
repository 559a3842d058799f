"""Trouble with the long-term store: archives and the whole share away, unreadable, short, wrong; reads that hang."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.chaos.archives import Archives, flipped
from tests.chaos.held_reads import can_hold, held
from tests.chaos.kind import Hit, Kind
from tests.chaos.truth import Block, Truth
from tests.chaos.work import some_job
from tests.chaos.world import STALL_SECONDS, World

_FOR = (0.3, 2.5)


def kinds() -> Iterator[Kind]:
    """Give all of them."""
    yield Kind("archive away for a while", partial(_replaced, by=_by_nothing))
    yield Kind("archive unreadable for a while", partial(_replaced, by=_by_folder))
    yield Kind("archive short for a while", partial(_replaced, by=_by_half))
    yield Kind("archive away in mid-flight", partial(_replaced, by=_by_nothing, midway=True), rereads=True)
    yield Kind("archive wrong for a while", partial(_replaced, by=_by_wrong, midway=True), rereads=True)
    yield Kind("share away for a while", _share_away, rereads=True)
    yield Kind("reads fail for a while", partial(_reads, refuse=True), rereads=True, impossible=_no_fanotify)
    yield Kind("a read hangs", partial(_reads, refuse=False), rereads=True, impossible=_no_fanotify)


def _no_fanotify(_: World) -> str:
    return "" if can_hold() else "reads can be held by root alone (fanotify)"


def _replaced(world: World, by: Callable[[Archives, Block], None], *, midway: bool = False) -> Hit:
    """Have something else in an archive's place, from before its job or from a moment of it on, for a while."""
    world.undoing.begin("lts")
    dataset = world.dataset(world.rng.randint(1, 4))
    block = world.rng.choice(dataset.blocks)
    if by is _by_wrong:
        block.truth = Truth.EITHER
        block.codes = frozenset({"checksum_mismatch", "archive_size_differs"})
    job = None
    if midway:
        job = world.ask_for([dataset])
        time.sleep(world.rng.uniform(0.0, 0.3))
    back = world.archives.away(block.archive_id)
    by(world.archives, block)
    world.undoing.later("lts", world.rng.uniform(*_FOR), back)
    return Hit(job or world.ask_for([dataset]))


def _by_nothing(archives: Archives, block: Block) -> None:
    """Leave the place empty."""


def _by_folder(archives: Archives, block: Block) -> None:
    archives.path(block.archive_id).mkdir()


def _by_half(archives: Archives, block: Block) -> None:
    whole = archives.content(archives.aside(block.archive_id), block)
    _put(archives.path(block.archive_id), whole[: len(whole) // 2])


def _by_wrong(archives: Archives, block: Block) -> None:
    _put(archives.path(block.archive_id), flipped(archives.content(archives.aside(block.archive_id), block)))


def _put(path: Path, content: bytes) -> None:
    aside = path.with_suffix(".new")
    aside.write_bytes(content)
    aside.rename(path)


def _share_away(world: World) -> Hit:
    world.undoing.begin("lts")
    job = some_job(world)
    time.sleep(world.rng.uniform(0.0, 0.5))
    world.undoing.later("lts", world.rng.uniform(*_FOR), world.archives.whole_share_away())
    return Hit(job)


def _reads(world: World, *, refuse: bool) -> Hit:
    """Hold or refuse the reads of a dataset's archives: longer than a stalled read is waited for, or for a moment."""
    with world.undoing.trouble("lts"):
        dataset = world.dataset(world.rng.randint(1, 3))
        paths = [world.archives.path(block.archive_id) for block in dataset.blocks]
        with held(paths, refuse=refuse) as first:
            job = world.ask_for([dataset])
            hit = first.wait(8)
            seconds = (0.2, 1.5) if refuse else (0.5 * STALL_SECONDS, 1.6 * STALL_SECONDS)
            time.sleep(world.rng.uniform(*seconds))
    return Hit(job, missed=not hit)
