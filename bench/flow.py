"""Measures a whole retrieval of many small datablocks: what the flow costs for each, beside the bytes; then asks again.

    python bench/flow.py [--json FILE] [--sizes 10,100,1000,5000] [--hits 20] [--dir D]

Each size is one dataset of so many tars (two files of 1 KiB each), retrieved by a fresh ``retriever serve`` with an engine
and a SQLite ledger of its own, for a stand-in SciCat in this process. ``seconds`` is the time from the job's POST to SciCat
until SciCat's job is ``finishedSuccessful``; ``rss_mb`` sums the peaks of the API's and the worker's resident memory,
``engine_rss_mb`` is the engine's. ``hit_seconds`` and ``hit_seconds_longest`` are the median and the longest of jobs that ask
for the same dataset again, one after the other, while it is staged. ``..._cpu_ms_per_datablock`` is processor time, which a busy machine disturbs less. Exits with 1 if a job ends otherwise, or with another number of links than datablocks.
"""

import argparse
import hashlib
import io
import json
import random
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

from stand_ins.retrieval_page import datablocks
from stand_ins.running import TOKEN, RunningService, ServiceFolder
from stand_ins.scicat import (
    JobType,
    ScicatStandIn,
    archival_service,
    log_in,
    submit_retrieve_job,
)

PID = "20.500.12345/many-datablocks"
FILES, FILE_BYTES = 2, 1024
LOOK_SECONDS = 0.005


class RetrievalFailed(Exception):
    """A job did not end as it should; the message says how it ended."""


@dataclass(frozen=True)
class Row:
    """One size; see the head of the file."""

    datablocks: int
    seconds: float
    hit_seconds: float
    hit_seconds_longest: float
    ms_per_datablock: float
    rss_mb: float
    engine_rss_mb: float
    worker_cpu_ms_per_datablock: float
    engine_cpu_ms_per_datablock: float


@dataclass(frozen=True)
class Usage:
    """What a part of the service has used: its peak of resident memory, and processor time."""

    peak_mb: float
    cpu_seconds: float


def archived(store: Path, count: int) -> Iterator[dict[str, Any]]:
    """Write so many tars into the store, and give each as SciCat should know it."""
    source = random.Random(count)
    for number in range(count):
        archive_id = f"block-{number:05d}.tar"
        entries = []
        with tarfile.open(store / archive_id, "w", format=tarfile.USTAR_FORMAT) as tar:
            for index in range(FILES):
                content = source.randbytes(FILE_BYTES)
                member = tarfile.TarInfo(f"scan/frame_{number:05d}_{index}.h5")
                member.size = FILE_BYTES
                tar.addfile(member, io.BytesIO(content))
                digest = hashlib.sha256(content).hexdigest()
                entries.append({"path": member.name, "size": FILE_BYTES, "chk": digest})
        yield {
            "archiveId": archive_id,
            "size": FILES * FILE_BYTES,
            "packedSize": (store / archive_id).stat().st_size,
            "chkAlg": "sha256",
            "dataFileList": entries,
        }


def bench_size(root: Path, count: int, hits: int) -> Row:
    """Retrieve one dataset of so many datablocks, then ask for it again so many times.

    Raises:
        RetrievalFailed: The job did not end well, or not with a link for each datablock.
    """
    stand_in = ScicatStandIn()
    with stand_in.serve() as scicat_url:
        folder = ServiceFolder(root, scicat_url)
        folder.lts.mkdir(parents=True)
        stand_in.add_dataset(PID)
        stand_in.add_datablocks(PID, archived(folder.lts, count))
        stand_in.set_job_type(JobType(create_action=archival_service(f"{folder.url}/api/v1/jobs", TOKEN)))
        token = log_in(scicat_url, "scientist")
        with RunningService(folder) as service:
            before = usage(service)
            seconds = _retrieve(stand_in, token, count, service)
            after = usage(service)
            again = sorted(_retrieve(stand_in, token, count, service) for _ in range(hits))
    cpu = {name: after[name].cpu_seconds - before[name].cpu_seconds for name in after}
    return Row(
        datablocks=count,
        seconds=round(seconds, 2),
        hit_seconds=round(again[len(again) // 2], 3),
        hit_seconds_longest=round(again[-1], 3),
        ms_per_datablock=round(seconds * 1000 / count, 2),
        rss_mb=round(after["api"].peak_mb + after["worker"].peak_mb, 1),
        engine_rss_mb=round(after["engine"].peak_mb, 1),
        worker_cpu_ms_per_datablock=round(cpu["worker"] * 1000 / count, 2),
        engine_cpu_ms_per_datablock=round(cpu["engine"] * 1000 / count, 2),
    )


def _retrieve(stand_in: ScicatStandIn, token: str, count: int, service: RunningService) -> float:
    """Have the dataset retrieved; gives the seconds from the job's POST to its end in SciCat."""
    begun = time.perf_counter()
    answer = submit_retrieve_job(service.folder.scicat_url, [PID], token=token)
    if answer.status_code != 201:
        raise RetrievalFailed(f"SciCat did not take the job: {answer.text}")
    job = wait_for_end(stand_in, str(answer.json()["id"]), begun + 60 + count)
    seconds = time.perf_counter() - begun
    _refuse_bad_end(job, count, service)
    return seconds


def wait_for_end(stand_in: ScicatStandIn, job_id: str, until: float) -> dict[str, Any]:
    """Give SciCat's job once it has ended, or as it is at that moment."""
    while True:
        job = stand_in.job(job_id)
        if str(job["statusCode"]).startswith("finished") or time.perf_counter() > until:
            return job
        time.sleep(LOOK_SECONDS)


def _refuse_bad_end(job: dict[str, Any], count: int, service: RunningService) -> None:
    state = job["statusCode"]
    if state != "finishedSuccessful":
        raise RetrievalFailed(f"{count} datablocks: {state}, {job['statusMessage']}\n{service.log_end()}")
    links = {entry["url"] for entry in datablocks(job)}
    if len(links) != count:
        raise RetrievalFailed(f"{count} datablocks: the job has {len(links)} links")


def parts(service: RunningService) -> dict[str, psutil.Process]:
    """Give the processes of the service by what they are."""
    found = {}
    for part in psutil.Process(service.process.pid).children():
        command = part.cmdline()
        found[command[3] if command[1:3] == ["-m", "scicat_retriever"] else "engine"] = part
    return found


def usage(service: RunningService) -> dict[str, Usage]:
    """What each part of the service has used so far."""
    used = {}
    for name, part in parts(service).items():
        status = Path(f"/proc/{part.pid}/status").read_text()
        cpu = part.cpu_times()
        used[name] = Usage(int(status.partition("VmHWM:")[2].split()[0]) / 1000, cpu.user + cpu.system)
    return used


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measures whole retrievals of many small datablocks.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--sizes", default="10,100,1000,5000", help="numbers of datablocks")
    parser.add_argument("--hits", type=int, default=20, help="how often each is asked for again")
    parser.add_argument("--dir", type=Path, help="where the temporary folder is made")
    return parser.parse_args()


def main() -> int:
    """Measure all sizes; gives the exit code."""
    options = arguments()
    rows = []
    print(
        f"{'datablocks':>10} {'seconds':>8} {'hit':>6} {'longest':>7} {'ms each':>8} {'RSS MB':>7}  engine: MB  CPU ms each  worker: CPU ms each"
    )
    for count in map(int, options.sizes.split(",")):
        with tempfile.TemporaryDirectory(prefix="flow-bench-", dir=options.dir) as root:
            try:
                row = bench_size(Path(root), count, options.hits)
            except (RetrievalFailed, RuntimeError) as error:
                print(error, file=sys.stderr)
                return 1
        rows.append(row)
        print(
            f"{row.datablocks:10} {row.seconds:8.2f} {row.hit_seconds:6.3f} {row.hit_seconds_longest:7.3f} {row.ms_per_datablock:8.2f} {row.rss_mb:7.1f} "
            f"{row.engine_rss_mb:11.1f} {row.engine_cpu_ms_per_datablock:12.2f} {row.worker_cpu_ms_per_datablock:20.2f}",
            flush=True,
        )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
