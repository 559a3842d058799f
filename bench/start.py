"""Measures how long `retriever serve` takes until it is ready, and what processor time each of its parts needs for that.

    python bench/start.py [--json FILE] [--rounds 5] [--dir D]

Each round starts a fresh service, with its own engine, a folder for staging and a ledger in SQLite that it has to make; then
runs `retriever --help`, and, as the peer, a bare Python that imports the three largest libraries of the service. Shown is the
least of all rounds, of each column by itself: a start is mere processor time, which whatever else runs only makes longer.
``wall_seconds`` is from the start of the process until it says that it is ready, or until it has ended; ``cpu_seconds`` is
what it used of all processors until then; ``to_peer`` is its processor time as a multiple of the peer's.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.flow import parts
from stand_ins.running import RunningService, ServiceFolder

PEER = "import temporalio, fastapi, sqlalchemy"
NOBODY = "http://127.0.0.1:9"
"""A SciCat that is not there: a start needs none."""
WHOLE, BARE = "serve", "peer"


@dataclass(frozen=True)
class Spent:
    """Wall seconds, where the part has an end of its own, and processor seconds."""

    wall_seconds: float | None
    cpu_seconds: float


@dataclass(frozen=True)
class Row:
    """See the head of the file."""

    what: str
    wall_seconds: float | None
    cpu_seconds: float
    to_peer: float


def service_started(folder: Path) -> Iterator[tuple[str, Spent]]:
    """Start a service and stop it; gives what the whole and each part spent until it was ready."""
    began = time.perf_counter()
    with RunningService(ServiceFolder(folder, NOBODY)) as service:
        wall = time.perf_counter() - began
        used = {"supervisor": cpu_of(psutil.Process(service.process.pid))}
        used |= {name: cpu_of(part) for name, part in parts(service).items()}
    yield WHOLE, Spent(wall, sum(used.values()))
    yield from ((name, Spent(None, cpu)) for name, cpu in used.items())


def cpu_of(process: psutil.Process) -> float:
    """The processor seconds of a process."""
    times = process.cpu_times()
    return float(times.user + times.system)


def program_run(name: str, *arguments: str) -> tuple[str, Spent]:
    """Run Python with some arguments until it has ended; gives what it spent."""
    began, before = time.perf_counter(), of_children()
    subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL, check=True)
    return name, Spent(time.perf_counter() - began, of_children() - before)


def of_children() -> float:
    """The processor seconds of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def least(spent: Sequence[Spent]) -> Spent:
    """The least of each column."""
    walls = [each.wall_seconds for each in spent if each.wall_seconds is not None]
    return Spent(min(walls, default=None), min(each.cpu_seconds for each in spent))


def rows_of(spent: Mapping[str, Sequence[Spent]]) -> list[Row]:
    """The rows of what was spent in all rounds, by name."""
    peer = least(spent[BARE]).cpu_seconds
    return [
        Row(name, each.wall_seconds, each.cpu_seconds, each.cpu_seconds / peer)
        for name, each in ((name, least(rounds)) for name, rounds in spent.items())
    ]


def main() -> int:
    """Run; gives the exit code."""
    parser = argparse.ArgumentParser(description="Measures how long a start takes.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dir", type=Path, help="where the temporary folders are made")
    given = parser.parse_args()
    spent: dict[str, list[Spent]] = {}
    for _ in range(given.rounds):
        with tempfile.TemporaryDirectory(dir=given.dir, prefix="bench-start-") as folder:
            found = [
                *service_started(Path(folder)),
                program_run("--help", "-m", "scicat_retriever", "--help"),
                program_run(BARE, "-c", PEER),
            ]
        for name, each in found:
            spent.setdefault(name, []).append(each)
    rows = rows_of(spent)
    for row in rows:
        wall = "" if row.wall_seconds is None else f"{row.wall_seconds:.2f}"
        print(f"{row.what:12} {wall:>6} s wall {row.cpu_seconds:6.2f} s cpu {row.to_peer:6.2f} x peer")
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
