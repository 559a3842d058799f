"""Measures how soon a computed archive gives its first byte, any byte, and all of them.

    python bench/archives.py [--json FILE] [--files 100000,1000000] [--runs 3]

A case is a format and a kind of names: ``short`` ones, of 50 bytes; ``long`` ones, of 120 bytes, for which each
entry of a tar needs an extended header. Files of 10 MB, of which nothing is read. Each run
is a process of its own; the fastest one counts, and the most memory. Batches are made anew whenever the layout asks for one, as
they are read from manifests, and the time that this takes is left out.

- ``first_byte_seconds``: the layout, with size and tag, and the archive's first piece;
- ``first_byte_cpu_seconds``: the processor time of the same, which other load changes less;
- ``any_byte_ms``: the median of 50 pieces from anywhere;
- ``walk_seconds``: all pieces, from the first to the last, without reading a content;
- ``rss_mb``: how much more memory the process had at most than before.

Exits with 1 if the first byte takes more than a second of 100,000 files, or 5 of 1,000,000, or if it takes 200 MB.
"""

import argparse
import json
import multiprocessing
import random
import resource
import statistics
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from scicat_retriever.computed.entries import Batch, EntryKind
from scicat_retriever.computed.layout import Layout
from scicat_retriever.computed.tar_layout import TarLayout
from scicat_retriever.computed.zip_layout import ZipLayout

FORMATS: dict[str, type[ZipLayout | TarLayout]] = {"zip": ZipLayout, "tar": TarLayout}
NAMES = {"short": 20, "long": 90}
A_BATCH = 4096
SIZE = 10_000_000
BOUNDS = {100_000: 1.0, 1_000_000: 5.0}
MOST_MB = 200


@dataclass(frozen=True)
class Row:
    """One case; see the head of the file."""

    case: str
    files: int
    terabytes: float
    first_byte_seconds: float
    first_byte_cpu_seconds: float
    any_byte_ms: float
    walk_seconds: float
    rss_mb: float

    @property
    def broken(self) -> bool:
        """Whether a promise does not hold."""
        return self.first_byte_seconds > BOUNDS.get(self.files, float("inf")) or self.rss_mb > MOST_MB


class MadeUp:
    """Batches of files that nobody has, and the seconds that it took to make them up."""

    def __init__(self, files: int, *, letters: int) -> None:
        self.seconds = self.cpu_seconds = 0.0
        self._files = files
        self._letters = letters

    def __len__(self) -> int:
        return (self._files + A_BATCH - 1) // A_BATCH

    def __getitem__(self, index: int, /) -> Batch:
        began, cpu_began = time.perf_counter(), time.process_time()
        numbers = range(index * A_BATCH, min((index + 1) * A_BATCH, self._files))
        count = len(numbers)
        folder = "dataset/raw/" + "x" * self._letters
        batch = Batch(
            paths=[f"{folder}/frame-{number:07}.h5" for number in numbers],
            kinds=[EntryKind.FILE] * count,
            sizes=[SIZE + number for number in numbers],
            crcs=[number * 2_654_435_761 % 2**32 for number in numbers],
            mtimes=[1_600_000_000 + number for number in numbers],
            digests=[f"{number * 0x9E3779B97F4A7C15:064x}" for number in numbers],
            sources=[index] * count,
            offsets=[512 + number * (SIZE + 1024) for number in numbers],
            links=[""] * count,
        )
        self.seconds += time.perf_counter() - began
        self.cpu_seconds += time.process_time() - cpu_began
        return batch


def measure(form: str, names: str, files: int) -> Row:
    """Lay out one archive, and read here and there."""
    batches = MadeUp(files, letters=NAMES[names])
    before = _most_memory()

    def seconds_since(began: float) -> float:
        return time.perf_counter() - began - batches.seconds

    def begin() -> float:
        batches.seconds = 0.0
        return time.perf_counter()

    began, cpu_began = begin(), time.process_time()
    layout: Layout = FORMATS[form](batches)
    next(layout.pieces(0, layout.size))
    first_byte, first_byte_cpu = seconds_since(began), time.process_time() - cpu_began - batches.cpu_seconds
    pick, seeks = random.Random(files), []
    for _ in range(50):
        at = pick.randrange(layout.size)
        began = begin()
        next(layout.pieces(at, layout.size))
        seeks.append(seconds_since(began))
    began = begin()
    walked = sum(
        len(piece) if isinstance(piece, bytes) else piece.length for piece in layout.pieces(0, layout.size)
    )
    walk = seconds_since(began)
    if walked != layout.size:
        raise SystemExit(f"{walked} bytes instead of {layout.size}")
    return Row(
        case=f"{form}, {names} names",
        files=files,
        terabytes=layout.size / 1e12,
        first_byte_seconds=first_byte,
        first_byte_cpu_seconds=first_byte_cpu,
        any_byte_ms=1000 * statistics.median(seeks),
        walk_seconds=walk,
        rss_mb=_most_memory() - before,
    )


def _most_memory() -> float:
    """Give the most memory that this process ever had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def best(rows: list[Row]) -> Row:
    """Take of several runs the shortest time of each, and the most memory."""
    return replace(
        rows[0],
        first_byte_seconds=min(row.first_byte_seconds for row in rows),
        first_byte_cpu_seconds=min(row.first_byte_cpu_seconds for row in rows),
        any_byte_ms=min(row.any_byte_ms for row in rows),
        walk_seconds=min(row.walk_seconds for row in rows),
        rss_mb=max(row.rss_mb for row in rows),
    )


def show(row: Row) -> None:
    """Print one case."""
    print(
        f"{row.case:<16} {row.files:>9,} files, {row.terabytes:.1f} TB: first byte {row.first_byte_seconds:.2f} s"
        f" ({row.first_byte_cpu_seconds:.2f} of a processor),"
        f" any byte {row.any_byte_ms:.1f} ms, walk {row.walk_seconds:.1f} s, {row.rss_mb:.0f} MB on top"
        + ("   BROKEN" if row.broken else ""),
        flush=True,
    )


def main() -> int:
    """Run the bench."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--files", default="100000,1000000")
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    rows = []
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as alone:
        for files in map(int, arguments.files.split(",")):
            for form in FORMATS:
                for names in NAMES:
                    runs = [alone.apply(measure, (form, names, files)) for _ in range(arguments.runs)]
                    rows.append(best(runs))
                    show(rows[-1])
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 1 if any(row.broken for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
