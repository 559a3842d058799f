"""Measures what the ledger's steps on staging space cost, with more and more datablocks staged.

    python bench/staging_ledger.py [--json FILE] [--sizes 1000,10000,100000] [--count 300] [--postgres URL] [--dir D]

Datasets have ten staged datablocks each; every fourth dataset is pinned by a job. Times are those of one caller, with all
transactions of a step:

- ``flush``: a transaction that changes one row and nothing else: what the disk alone costs. All others have it inside;
- ``claim job``: the space of a job for one dataset is claimed, and the dataset pinned, with 50 jobs waiting in line;
- ``with quota``: the same for a group that pins all that is pinned, so that its quota has to be counted;
- ``claim dataset``: the claim is made exact when the dataset has been planned;
- ``pin``: a person pins a dataset of ten datablocks;
- ``evict``: the least recently used datablock is found, released, and its files forgotten: two transactions;
- ``largest``: the same, the largest first.

``cpu p99`` is processor time of the caller, which a busy machine disturbs less; it leaves out the disk and PostgreSQL's server.

SQLite is a file in ``D`` with ``synchronous=FULL``. PostgreSQL is the one of the tests, which leaves ``fsync`` off: its
``flush`` is the cost of a commit without the disk. ``--postgres`` names an empty database of another server instead.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, cycle
from pathlib import Path
from typing import Any

from sqlalchemy import insert, text, update

from scicat_retriever.domain.dataset import CataloguedDatablock, Datablock, RetrieveJob, Selection
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.schema import datablocks, metadata, pins, space
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.ports.cache import EvictionOrder
from scicat_retriever.ports.jobs import FlowName
from scicat_retriever.ports.staging_area import Room

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.integration.postgres import running_postgres

IN_DATASET, PINNED_EVERY, WAITING, WARM_UP = 10, 4, 50, 20
GIB = 2**30
ROOM = Room(10**18, 10**18)
GROUP = "p17"
STALE = timedelta(days=1)
Step = Callable[[], object]


@dataclass(frozen=True)
class Row:
    """One step on one ledger; see the head of the file."""

    database: str
    staged: int
    step: str
    p50_ms: float
    p99_ms: float
    cpu_p99_ms: float


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


def fill(database: Database, staged: int) -> None:
    """Write so many staged datablocks, and the pins on some of their datasets."""
    now = utc_now()
    total = 0
    with database.writing() as connection:
        for start in range(0, staged, 1000):
            rows = [staged_row(number, now) for number in range(start, start + 1000)]
            connection.execute(insert(datablocks), rows)
            total += sum(row["held_bytes"] for row in rows)
            connection.execute(
                insert(pins), [pin_row(row["pid"], now) for row in rows if is_first_pinned(row)]
            )
        connection.execute(update(space).values(staged=total))
    if not database.is_sqlite:
        with database.writing() as connection:
            connection.execute(text("ANALYZE"))


def staged_row(number: int, now: datetime) -> dict[str, Any]:
    """A staged datablock that was used some time ago."""
    dataset, position = divmod(number, IN_DATASET)
    used = now - STALE - timedelta(seconds=number * 7919 % 1_000_003)
    size = GIB * (1 + number * 31 % 20)
    return {
        "pid": f"20.500.12345/{dataset:08}",
        "id": f"block-{position}",
        "position": position,
        "listed": True,
        "archive_id": f"{dataset}/{position}.tar",
        "size": size,
        "packed_size": size,
        "algorithm": "md5",
        "file_count": 1000,
        "fingerprint": "f" * 40,
        "state": DatablockState.STAGED,
        "reason": "",
        "bytes_done": size,
        "bytes_total": size,
        "integrity": "verified",
        "archive_checksum": "xxh3-128:" + "0" * 32,
        "staged_at": used,
        "used_at": used,
        "checked_at": used,
        "pinned": dataset % PINNED_EVERY == 0,
        "held_bytes": size,
        "partial": f"{number:032x}",
        "files_left": False,
        "run": "run-1",
    }


def is_first_pinned(row: dict[str, Any]) -> bool:
    """Whether the row is the first one of a pinned dataset."""
    return bool(row["pinned"]) and row["position"] == 0


def pin_row(pid: object, now: datetime) -> dict[str, object]:
    """A pin of a job that has ended."""
    return {
        "pid": pid,
        "owner": f"job of {pid}",
        "by_job": True,
        "owner_group": GROUP,
        "bytes": IN_DATASET * GIB,
        "until": now + timedelta(days=7),
        "created_at": now,
    }


class Steps:
    """The steps, each prepared outside the time that is measured.

    Args:
        ledger: A filled ledger.
        database: The same.
        staged: How many datablocks it has.
    """

    def __init__(self, ledger: SqlLedger, database: Database, staged: int) -> None:
        self._ledger, self._database = ledger, database
        self._numbers = count()
        self._unpinned = cycle(n for n in range(staged // IN_DATASET) if n % PINNED_EVERY)
        for _ in range(WAITING):
            self.claim_job(size=2 * 10**18)()

    def flush(self) -> Step:
        """Change one row."""

        def change() -> None:
            with self._database.writing() as connection:
                # The value must change: SQLite writes nothing where it does not.
                connection.execute(update(space).values(staged=space.c.staged + 1))

        return change

    def claim_job(self, *, size: int = GIB, quota: int | None = None) -> Step:
        """Have a new job for a new dataset claim its space."""
        number = next(self._numbers)
        pid, name = DatasetPid(f"20.500.12345/new-{number}"), JobId(f"job {number}")
        job = RetrieveJob(name, "retrieve", (Selection(pid),), "ada", GROUP)
        self._ledger.jobs.add(job, FlowName(name, "flow"))
        self._ledger.claims.note_sizes(name, {pid: size})
        return lambda: self._ledger.claims.for_job(name, ROOM, silence=STALE, quota=quota)

    def with_quota(self) -> Step:
        """The same, counting what the group pins."""
        return self.claim_job(quota=10**18)

    def claim_dataset(self) -> Step:
        """Make the claim of a planned dataset exact."""
        number = next(self._numbers)
        pid = DatasetPid(f"20.500.12345/planned-{number}")
        blocks = [
            Datablock(DatablockId(f"block-{n}"), pid, ArchiveId(f"{number}/{n}.tar"), GIB, GIB, "md5", 0)
            for n in range(IN_DATASET)
        ]
        self._ledger.datablocks.plan(pid, [CataloguedDatablock(block, ()) for block in blocks], "run-1")
        return lambda: self._ledger.claims.for_dataset(pid, ROOM, silence=timedelta(hours=1))

    def pin(self) -> Step:
        """Pin a dataset that nobody pins."""
        self._ledger.pins.unpin("ada")
        pid = DatasetPid(f"20.500.12345/{next(self._unpinned):08}")
        until = utc_now() + timedelta(hours=1)
        return lambda: self._ledger.pins.pin(pid, "ada", until)

    def evict(self, order: EvictionOrder = EvictionOrder.LEAST_RECENTLY_USED) -> Step:
        """Evict the datablock that is to go first."""
        self._ledger.pins.unpin("ada")

        def first() -> DatablockKey:
            unused_since = utc_now() - STALE / 2
            (record,) = self._ledger.cache.datablocks(order, unused_since, 1)
            if not self._ledger.cache.evict(record.key, unused_since, "its space was needed"):
                raise RuntimeError(f"{record.key} was not evicted")
            self._ledger.inventory.forget_files(record.key)
            return record.key

        return first

    def largest(self) -> Step:
        """The same, the largest first."""
        return self.evict(EvictionOrder.LARGEST)


def measured(kind: str, ledger: SqlLedger, database: Database, staged: int, times: int) -> Iterator[Row]:
    """Measure all steps on a filled ledger."""
    steps = Steps(ledger, database, staged)
    prepared: dict[str, Callable[[], Step]] = {
        "flush": steps.flush,
        "claim job": steps.claim_job,
        "with quota": steps.with_quota,
        "claim dataset": steps.claim_dataset,
        "pin": steps.pin,
        "evict": steps.evict,
        "largest": steps.largest,
    }
    for name, prepare in prepared.items():
        taken = [seconds_of(prepare()) for _ in range(WARM_UP + times)][WARM_UP:]
        p50, p99 = percentiles([wall for wall, _ in taken])
        yield Row(kind, staged, name, p50, p99, percentiles([cpu for _, cpu in taken])[1])


def seconds_of(step: Step) -> tuple[float, float]:
    """Do a step; gives how long it took, and the processor time that this thread used."""
    begun, used = time.perf_counter(), time.thread_time()
    step()
    return time.perf_counter() - begun, time.thread_time() - used


def percentiles(seconds: Sequence[float]) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    return round(1000 * cuts[49], 2), round(1000 * cuts[98], 2)


def benchmark(kind: str, url: str, sizes: Sequence[int], times: int) -> list[Row]:
    """Fill a ledger with each number of datablocks and measure it."""
    rows = []
    for staged in sizes:
        ledger, database = open_ledger(url, utc_now), Database(url)
        empty(database)
        fill(database, staged)
        for row in measured(kind, ledger, database, staged, times):
            show(row)
            rows.append(row)
        ledger.close()
        database.close()
    return rows


def empty(database: Database) -> None:
    """Remove all rows."""
    with database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(
                space.update().values(staged=0, claimed=0) if table is space else table.delete()
            )


@contextmanager
def databases(folder: Path, postgres: str | None) -> Iterator[dict[str, str]]:
    """Give the URL of an empty database of each kind."""
    sqlite = {"sqlite": f"sqlite:///{folder / 'ledger.sqlite'}"}
    if postgres is not None:
        yield sqlite | {"postgresql": postgres}
        return
    with running_postgres() as server:
        yield sqlite | {"postgresql": server.make_database("bench")}


def show(row: Row) -> None:
    """Print a row."""
    print(
        f"{row.database:>10} {row.staged:7} staged  {row.step:>13}: p50 {row.p50_ms:7.2f} ms, p99 {row.p99_ms:7.2f} ms, "
        f"cpu p99 {row.cpu_p99_ms:7.2f} ms",
        flush=True,
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measures the ledger's steps on staging space.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--sizes", default="1000,10000,100000", help="how many datablocks are staged")
    parser.add_argument("--count", type=int, default=300, help="how often each step is done")
    parser.add_argument("--postgres", help="URL of an empty database, in place of the server of the tests")
    parser.add_argument("--dir", type=Path, help="where the temporary folder is made")
    return parser.parse_args()


def main() -> int:
    """Measure both kinds of ledger; gives the exit code."""
    options = arguments()
    sizes = [int(size) for size in options.sizes.split(",")]
    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="staging-ledger-", dir=options.dir) as folder,
        databases(Path(folder), options.postgres) as urls,
    ):
        for kind, url in urls.items():
            rows += benchmark(kind, url, sizes, options.count)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
