"""The run: faults in rounds, each judged when all its jobs had time to end; a fresh facility now and then."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.chaos.faults.deck import dealt, roomy_kinds, tight_kinds
from tests.chaos.findings import Finding
from tests.chaos.kind import Kind
from tests.chaos.leaks import leaks
from tests.chaos.oracle import judge
from tests.chaos.service import wait_until
from tests.chaos.tally import Tally
from tests.chaos.world import World, open_world

ROUND, QUICK_ROUND = (5, 10), (15, 20)
"""Fewest and most faults between two looks at everything."""
QUICK_RECOVERED = 0.15
ROUND_SECONDS = 120.0
"""How long the jobs of a round may take to end after its last fault was undone."""
LEAK_SECONDS = 20.0
"""How long what is cleaned up in the background may take."""
FACILITY_FAULTS = 250
"""Faults after which a fresh facility is made: ledger and engine keep all they ever saw, in memory here."""


@dataclass(frozen=True)
class Plan:
    """What to do.

    Attributes:
        faults: How many.
        seed: Decides kinds, instants, jobs and bytes.
        root: Folder for the facilities.
        violations: Rounds with violations after which the run is ended.
        only: Part of the name of the kinds to deal; all where empty.
        part: Which part of the kinds to deal, from 0, and how many parts there are: runs side by side share them out.
        quick: Whether to judge less often, and to let fewer kills recover before the next fault.
    """

    faults: int
    seed: int
    root: Path
    violations: int = 1
    only: str = ""
    part: tuple[int, int] = (0, 1)
    quick: bool = False


def run(plan: Plan) -> Tally:
    """Inject all faults; a facility in which something was found is kept."""
    rng, tally = Random(plan.seed), Tally()
    decks = decks_of(plan)
    dealers = [dealt(rng, deck) for deck in decks]
    failed = 0
    for facility, (tight, wanted) in enumerate(facilities(plan.faults, *map(len, decks)), 1):
        if failed >= plan.violations:
            break
        root = plan.root / f"facility-{facility}"
        kinds, until = dealers[tight], tally.faults + wanted
        with open_world(root, rng, tight=tight) as world:
            if plan.quick:
                world.recovered_kills = QUICK_RECOVERED
            found = _work(world, kinds, QUICK_ROUND if plan.quick else ROUND, until, tally)
            if found:
                failed += 1
                _keep(world)
        if not found:
            shutil.rmtree(root)
    return tally


def decks_of(plan: Plan) -> tuple[list[Kind], list[Kind]]:
    """Give the kinds that a run deals: those for facilities with room, and those for tight ones."""
    number, parts = plan.part
    roomy, tight = (
        [kind for kind in kinds if plan.only in kind.name][number::parts]
        for kinds in (roomy_kinds(), tight_kinds())
    )
    return roomy, tight


def facilities(faults: int, roomy: int, tight: int) -> Iterator[tuple[bool, int]]:
    """Give facilities, tight ones and others in turn, with the faults of each: as many as its sort has kinds.

    Args:
        faults: How many in all.
        roomy: Kinds for those with room.
        tight: Kinds for the tight ones.

    Raises:
        ValueError: There are no kinds at all.
    """
    if not roomy + tight:
        raise ValueError("no kind of fault has such a name")
    while faults:
        some = min(faults, FACILITY_FAULTS)
        share = math.ceil(some * tight / (roomy + tight))
        yield from ((sort, count) for sort, count in ((False, some - share), (True, share)) if count)
        faults -= some


def _work(
    world: World, kinds: Iterator[Kind], faults: tuple[int, int], until: int, tally: Tally
) -> list[Finding]:
    """Go on until so many faults were injected in all; gives what was found in the round in which something was."""
    while tally.faults < until:
        wanted = min(world.rng.randint(*faults), until - tally.faults)
        hits = _inject(world, kinds, wanted, tally)
        found = _settle(world, hits)
        tally.jobs += len(world.jobs)
        tally.findings += found
        _say(f"{tally.faults} faults, {tally.jobs} jobs, {len(tally.findings)} violations")
        for finding in found:
            _say(f"  {finding}")
        if found:
            return found
        world.forget_round()
    return []


def _inject(world: World, kinds: Iterator[Kind], count: int, tally: Tally) -> list[tuple[float, float]]:
    hits: list[tuple[float, float]] = []
    while count > 0:
        kind = next(kinds)
        why = kind.impossible(world)
        if why:
            tally.impossible[kind.name] = why
            continue
        began = time.monotonic()
        hit = kind.inject(world)
        ended = time.monotonic()
        world.archives.reads.count()
        _say(f"  {kind.name}: {ended - began:.1f} s" + _aside(hit.resumed, missed=hit.missed))
        if kind.rereads:
            hits.append((began, ended))
        under_way = world.unfinished()
        tally.add(kind.name, jobs=len(under_way), resumed=hit.resumed, missed=hit.missed)
        count -= 1
    return hits


def _settle(world: World, hits: list[tuple[float, float]]) -> list[Finding]:
    """Let everything end, and judge it."""
    if not world.undoing.all_over(60):
        raise RuntimeError("a fault was not undone")
    wait_until(lambda: _all_ended(world), ROUND_SECONDS, 0.1)
    wait_until(world.service.answers, 30)
    left: list[Finding] = []

    def clean() -> bool:
        left[:] = leaks(world)
        return not left

    wait_until(clean, LEAK_SECONDS, 0.25)
    return [*judge(world, hits), *left]


def _all_ended(world: World) -> bool:
    if not world.all_pushed() or world.unfinished():
        return False
    if world.book.rows("SELECT 1 FROM jobs WHERE state NOT LIKE 'finished%' LIMIT 1"):
        return False
    # SciCat shows the end before the last retry until it has heard of the next.
    return not world.book.rows("SELECT 1 FROM reports WHERE NOT parked LIMIT 1")


def _keep(world: World) -> None:
    """Copy what is on disks in memory, which vanish with the process."""
    for folder in (world.staging.root, world.data.root):
        shutil.copytree(folder, world.root / f"{folder.name}-kept", dirs_exist_ok=True)


def _aside(resumed: float | None, *, missed: bool) -> str:
    return ("" if resumed is None else f", resumed after {resumed:.1f} s") + (", missed" if missed else "")


def _say(line: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {line}\n")
    sys.stderr.flush()
