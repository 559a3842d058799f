"""Measures what waiting for tape costs: memory, threads and processor time while many recalls are open at once.

    python bench/waiting_recalls.py [--json FILE] [--recalls 10000] [--datasets 200] [--seconds 60] [--only-wait] [--dir D]

One job asks for so many datasets whose archives are all on tape (sparse stubs on a share, of which a command that does nothing
is told). Once all recalls are open, the service is watched for so many seconds; then the tape delivers all at once, and the
job has to end well. ``rss_mb`` sums the resident memory of the API, the worker and the engine; ``idle_rss_mb`` is the same
before the job; ``threads`` and ``cpu_share`` (of one core) are those of the worker while it waits. Exits with 1 if
the job ends otherwise.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.flow import RetrievalFailed, archived, parts, wait_for_end
from stand_ins.running import TOKEN, RunningService, ServiceFolder
from stand_ins.scicat import (
    JobType,
    ScicatStandIn,
    archival_service,
    log_in,
    submit_retrieve_job,
)

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "lts": {"recall_command": ["true", "{path}"], "recalls": {"collect_time": 0.0, "mount_age": 0.0}},
    "flow": {"parallel_datasets": 10_000},
}
PATIENCE = 1800.0
SETTLING_SECONDS = 5.0
"""How long the worker takes to be up once the API answers."""


@dataclass(frozen=True)
class Costs:
    """See the head of the file."""

    recalls: int
    datasets: int
    open_after_seconds: float
    idle_rss_mb: float
    rss_mb: float
    idle_rss_mb_by_part: dict[str, float]
    rss_mb_by_part: dict[str, float]
    threads: int
    cpu_share: float
    delivered_after_seconds: float | None


def archive(stand_in: ScicatStandIn, lts: Path, recalls: int, datasets: int) -> tuple[list[str], Path]:
    """Register datasets whose archives are stubs; gives their pids, and the archive that all of them are."""
    lts.mkdir(parents=True)
    (block,) = archived(lts.parent, 1)
    whole = lts.parent / str(block["archiveId"])
    pids = []
    for number in range(datasets):
        pid = f"20.500.12345/waiting-{number:05d}"
        blocks = []
        for place in range(recalls // datasets):
            name = f"{number:05d}-{place:04d}.tar"
            (lts / name).touch()
            os.truncate(lts / name, whole.stat().st_size)
            blocks.append({**block, "archiveId": name})
        stand_in.add_dataset(pid)
        stand_in.add_datablocks(pid, blocks)
        pids.append(pid)
    return pids, whole


def wait_until(condition: Callable[[], bool]) -> float:
    """Wait for a condition; gives the seconds that it took.

    Raises:
        RetrievalFailed: It did not come true in time.
    """
    begun = time.monotonic()
    while not condition():
        if time.monotonic() - begun > PATIENCE:
            raise RetrievalFailed("the recalls were not all open in time")
        time.sleep(0.5)
    return time.monotonic() - begun


def open_recalls(service: RunningService) -> int:
    """Ask the service how many recalls the store was asked for, or wait."""
    return sum(each["waiting"] + each["asked"] for each in service.recalls(limit=0)["stores"])


def resident(service: RunningService) -> dict[str, float]:
    """Resident memory of each part, MB."""
    return {name: part.memory_info().rss / 1e6 for name, part in parts(service).items()}


def measure(root: Path, recalls: int, datasets: int, seconds: float, *, only_wait: bool) -> Costs:
    """Have recalls wait, watch them, and deliver them, or leave it at that.

    Raises:
        RetrievalFailed: They did not all wait, or the job did not end well.
    """
    stand_in = ScicatStandIn()
    with stand_in.serve() as scicat_url:
        folder = ServiceFolder(root, scicat_url, settings=SETTINGS)
        pids, whole = archive(stand_in, folder.lts, recalls, datasets)
        stand_in.set_job_type(JobType(create_action=archival_service(f"{folder.url}/api/v1/jobs", TOKEN)))
        token = log_in(scicat_url, "scientist")
        with RunningService(folder) as service:
            time.sleep(SETTLING_SECONDS)
            idle = resident(service)
            job_id = str(submit_retrieve_job(scicat_url, pids, token=token).json()["id"])
            took = wait_until(lambda: open_recalls(service) == recalls)
            worker = parts(service)["worker"]
            before = sum(worker.cpu_times()[:2])
            time.sleep(seconds)
            share = (sum(worker.cpu_times()[:2]) - before) / seconds
            waiting, threads = resident(service), worker.num_threads()
            delivered = None if only_wait else deliver(stand_in, service, job_id, whole)
    return Costs(
        recalls=recalls,
        datasets=datasets,
        open_after_seconds=round(took, 1),
        idle_rss_mb=round(sum(idle.values()), 1),
        rss_mb=round(sum(waiting.values()), 1),
        idle_rss_mb_by_part={name: round(size, 1) for name, size in idle.items()},
        rss_mb_by_part={name: round(size, 1) for name, size in waiting.items()},
        threads=threads,
        cpu_share=round(share, 3),
        delivered_after_seconds=None if delivered is None else round(delivered, 1),
    )


def deliver(stand_in: ScicatStandIn, service: RunningService, job_id: str, whole: Path) -> float:
    """Have the tape deliver all; gives the seconds until SciCat has the end of the job.

    Raises:
        RetrievalFailed: It did not end well.
    """
    begun = time.perf_counter()
    content = whole.read_bytes()
    for stub in service.folder.lts.iterdir():
        stub.write_bytes(content)
    job = wait_for_end(stand_in, job_id, begun + PATIENCE)
    if job["statusCode"] != "finishedSuccessful":
        raise RetrievalFailed(f"{job['statusCode']}: {job['statusMessage']}\n{service.log_end()}")
    return time.perf_counter() - begun


def main() -> int:
    """Run; gives the exit code."""
    parser = argparse.ArgumentParser(description="Measures what waiting for tape costs.")
    parser.add_argument("--json", type=Path, help="write the result to this file")
    parser.add_argument("--recalls", type=int, default=10_000)
    parser.add_argument("--datasets", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long the service is watched")
    parser.add_argument("--only-wait", action="store_true", help="do not have the tape deliver")
    parser.add_argument("--dir", type=Path, help="where the temporary folder is made")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=given.dir, prefix="bench-waiting-") as folder:
        try:
            costs = measure(
                Path(folder), given.recalls, given.datasets, given.seconds, only_wait=given.only_wait
            )
        except RetrievalFailed as failed:
            print(f"failed: {failed}", file=sys.stderr)
            return 1
    for name, value in asdict(costs).items():
        print(f"{name:24} {value}")
    if given.json:
        given.json.write_text(json.dumps(asdict(costs), indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
