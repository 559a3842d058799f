"""Replays made-up traces of a facility's recalls through an emulated tape library, with and without the recall planner.

    python bench/recall_planner.py [--json FILE] [--seeds 1,2,3] [--days 30] [--only NAME]

A row is one facility, asked for the same archives in different ways:

- ``planner``: the recall planner decides what the library is asked for, and when; the library serves what it is asked for
  tape by tape;
- ``by tape``: each archive is asked for when it is wanted; the library serves a mounted tape until nothing waits for it;
- ``first come``: each archive is asked for when it is wanted, and served in that order.

In all three, what is asked for again while it is on its way or in staging is not recalled again. ``stab`` and ``bound`` are
mounts that no schedule can do with less if each tape has to be mounted within the planner's ``mount_age``: see
``stand_ins/tape/optimum.py``; ``stab`` lets a mount serve one moment, ``bound`` for as long as the tape is read and lingers.
``bound+`` is the same if everybody may wait for as long as the one who waited longest for the planner.

Facilities, all with 60,000 archives of 8 GB in the median, on 12 TB tapes, for 30 days:

- ``usual``: 40,000 asks, 2 drives, 3 tapes of a kind written at the same time;
- ``4 drives``, ``1 drive``: the same with other numbers of drives;
- ``quiet``: 10,000 asks;
- ``in order``: no selections across the years, and each dataset on one tape: what first come, first served can do well;
- ``untold``: as ``usual``, but the planner is not told of tapes.

Exits with 1 if a promise is broken for ``usual``: mounts at most 1.1 times the lower of the optima, five times fewer than
first come, 99 of 100 waits under ``longest_wait``, one read for each archive. ``decide`` is processor time of one decision.
"""

import argparse
import json
import random
import sys
import time
import tracemalloc
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from scicat_retriever.recall_planner.planner import RecallPlanner
from scicat_retriever.recall_planner.requests import RecallPolicy, RecallRequest
from stand_ins.tape.optimum import fewest_mounts
from stand_ins.tape.replay import Replayed, Surroundings, reads, replay
from stand_ins.tape.shape import LibraryShape, Policy
from stand_ins.tape.traces import TraceShape, trace

HOUR = 3600.0
AROUND = Surroundings(look_seconds=60.0)
USUAL = TraceShape(asks=40_000)
FACILITIES = {
    "usual": (2, USUAL, True),
    "4 drives": (4, USUAL, True),
    "1 drive": (1, USUAL, True),
    "quiet": (2, replace(USUAL, asks=10_000), True),
    "in order": (2, replace(USUAL, selections=0.0, campaigns=0.7, scattered=False), True),
    "untold": (2, USUAL, False),
}
PROMISED = "usual"


@dataclass(frozen=True)
class Row:
    """One facility and seed; see the head of the file. Waits in hours."""

    facility: str
    seed: int
    asks: int
    recalls: int
    terabytes: float
    planner: int
    by_tape: int
    first_come: int
    stab: int
    bound: int
    bound_long: int
    p50_h: float
    p99_h: float
    max_h: float
    by_tape_p99_h: float
    first_come_p99_h: float
    reads_per_archive: float
    eta_median: float
    eta_p90: float
    texts_per_archive: float
    most_open: int
    decide_p50_ms: float
    decide_max_ms: float

    @property
    def broken(self) -> list[str]:
        """The promises that do not hold."""
        promises = {
            "mounts": self.planner <= 1.1 * min(self.stab, self.bound),
            "first come": self.first_come >= 5 * self.planner,
            "waits": self.p99_h <= RecallPolicy().longest_wait / HOUR,
            "reads": self.reads_per_archive == 1.0,
        }
        return [name for name, holds in promises.items() if not holds]


@dataclass(frozen=True)
class DecisionRow:
    """What one decision costs with so many archives waiting."""

    kind: str
    waiting: int
    decide_ms: float
    peak_mib: float


def of(ordered: list[float], share: float) -> float:
    """Give the value that so large a share does not exceed."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def measure(facility: str, seed: int, days: float) -> Row:
    """Replay one trace in all ways."""
    drives, shape, known_tapes = FACILITIES[facility]
    made = trace(seed, replace(shape, days=days, asks=round(shape.asks * days / shape.days)))
    library, policy = LibraryShape(drives=drives), RecallPolicy(drives=drives)
    planned = replay(made, library, policy, replace(AROUND, known_tapes=known_tapes))
    by_tape = replay(made, library, None, AROUND)
    first_come = replay(made, replace(library, policy=Policy.FIFO), None, AROUND)
    wanted = reads(made, AROUND)

    def bound(within: float) -> int:
        return fewest_mounts(
            wanted,
            within,
            mount_seconds=library.mount_seconds,
            bytes_per_second=library.bytes_per_second,
            linger=library.linger_seconds,
        )

    return Row(
        facility=facility,
        seed=seed,
        asks=len(made.asks),
        recalls=planned.recalls,
        terabytes=sum(read.bytes for read in wanted) / 1e12,
        planner=planned.mounts,
        by_tape=by_tape.mounts,
        first_come=first_come.mounts,
        stab=fewest_mounts(wanted, policy.mount_age),
        bound=bound(policy.mount_age),
        bound_long=bound(planned.waits[-1]),
        by_tape_p99_h=by_tape.wait(0.99) / HOUR,
        first_come_p99_h=first_come.wait(0.99) / HOUR,
        **_of_planner(planned),
    )


def _of_planner(planned: Replayed) -> dict[str, Any]:
    return {
        "p50_h": planned.wait(0.5) / HOUR,
        "p99_h": planned.wait(0.99) / HOUR,
        "max_h": planned.waits[-1] / HOUR,
        "reads_per_archive": planned.reads / planned.recalls,
        "eta_median": of(planned.eta_errors, 0.5),
        "eta_p90": of(planned.eta_errors, 0.9),
        "texts_per_archive": planned.texts / planned.recalls,
        "most_open": planned.most_open,
        "decide_p50_ms": 1000 * of(planned.decide_seconds, 0.5),
        "decide_max_ms": 1000 * planned.decide_seconds[-1],
    }


def decision(kind: str, waiting: int) -> DecisionRow:
    """Decide about many archives at once: on 200 tapes, on tapes unknown, or in a store without tapes."""
    pick = random.Random(1)
    requests = [
        RecallRequest(
            archive=f"a{number}",
            bytes=pick.randrange(10**9, 10**10),
            wanted_at=pick.random() * 1e5,
            group=f"g{pick.randrange(30)}",
            tape=f"T{pick.randrange(200)}" if kind == "tapes" else "",
            position=pick.randrange(10**12),
            order=(f"d{number // 3}", number % 3),
        )
        for number in range(waiting)
    ]
    policy = RecallPolicy(collect=kind != "no tapes")
    RecallPlanner(policy).decide(requests, 1e5)
    planner = RecallPlanner(policy)
    began = time.process_time()
    planner.decide(requests, 1e5)
    seconds = time.process_time() - began
    tracemalloc.start()
    RecallPlanner(policy).decide(requests, 1e5)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return DecisionRow(kind, waiting, 1000 * seconds, peak / 2**20)


def show(row: Row) -> None:
    """Print one facility."""
    print(
        f"{row.facility:<9} seed {row.seed}: {row.asks} asks, {row.recalls} recalls, {row.terabytes:.0f} TB\n"
        f"  mounts  planner {row.planner}, by tape {row.by_tape}, first come {row.first_come}"
        f" ({row.first_come / row.planner:.1f} x); stab {row.stab}, bound {row.bound}"
        f" ({row.planner / min(row.stab, row.bound):.2f} x), bound+ {row.bound_long}\n"
        f"  waits   p50 {row.p50_h:.1f} h, p99 {row.p99_h:.1f} h, longest {row.max_h:.1f} h;"
        f" p99 by tape {row.by_tape_p99_h:.1f} h, first come {row.first_come_p99_h:.1f} h\n"
        f"  reads per archive {row.reads_per_archive:.3f}; first outlook off by {row.eta_median:.0%} (median),"
        f" {row.eta_p90:.0%} (p90); {row.texts_per_archive:.1f} texts per archive\n"
        f"  decide  p50 {row.decide_p50_ms:.2f} ms, longest {row.decide_max_ms:.0f} ms, {row.most_open} open at most"
        + (f"\n  BROKEN: {', '.join(row.broken)}" if row.broken else ""),
        flush=True,
    )


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--seeds", default="1,2,3")
    parser.add_argument("--days", type=float, default=30.0)
    parser.add_argument("--only", choices=FACILITIES)
    arguments = parser.parse_args()
    rows = []
    for facility in [arguments.only] if arguments.only else FACILITIES:
        for seed in map(int, arguments.seeds.split(",")):
            rows.append(measure(facility, seed, arguments.days))
            show(rows[-1])
    decisions = [
        decision(kind, n) for kind in ("tapes", "unknown tapes", "no tapes") for n in (10_000, 50_000)
    ]
    for each in decisions:
        print(
            f"decide, {each.kind}, {each.waiting} waiting: {each.decide_ms:.0f} ms, {each.peak_mib:.0f} MiB on top"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([*map(asdict, rows), *map(asdict, decisions)], indent=1))
    return 1 if any(row.broken for row in rows if row.facility == PROMISED) else 0


if __name__ == "__main__":
    sys.exit(main())
