"""Measures how fast jobs are taken while their flows run.

    python bench/intake.py [--json FILE] [--seconds 10] [--rate 100] [--no-flows] [--dir D]

A fresh ``retriever serve``, with an engine and a SQLite ledger of its own, retrieves for a stand-in SciCat in this process.
Another process posts jobs:

- ``steady``: so many a second at fixed moments, whether or not the ones before were answered (an open loop), so that a slow
  answer is not hidden by the posts that it holds up. Half of them ask for a dataset of their own; of the others, a fifth
  is a repetition of the post before, sent at the same moment, and the rest ask for one dataset that they all share.
- ``burst``: 20 clients, each of which posts 10 jobs one after the other, all different.

Times are milliseconds from the moment when a post was due to the last byte of its answer. ``health`` is the same steady load
on ``GET /api/v1/health`` before any job is there: what client, machine and HTTP cost; 20 posts after it, which warm the service
up, are not counted. Exits with 1 if a post is not answered with
201, if a repetition gets another flow, or if a job is not in the service's ledger afterwards.
"""

import argparse
import asyncio
import hashlib
import io
import json
import multiprocessing
import statistics
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil

from stand_ins.running import TOKEN, RunningService, ServiceFolder
from stand_ins.scicat import JobType, ScicatStandIn, log_in, submit_retrieve_job

SHARED = "20.500.12345/shared"
CLIENTS, POSTS_EACH, WARM_UP = 20, 10, 20
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
PATH = "/api/v1/jobs"


class IntakeFailed(Exception):
    """A post was not answered as it should; the message says how."""


@dataclass(frozen=True)
class Row:
    """One load; see the head of the file."""

    load: str
    posts: int
    seconds: float
    p50_ms: float
    p99_ms: float
    max_ms: float


@dataclass(frozen=True)
class Post:
    """A post, and the second at which it is due."""

    due: float
    body: dict[str, Any]


def row_of(load: str, seconds: float, times: Sequence[float]) -> Row:
    """Sum up the times of a load, in seconds."""
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    p50, p99, most = (round(1000 * each, 1) for each in (cuts[49], cuts[98], max(times)))
    return Row(load, len(times), round(seconds, 2), p50, p99, most)


# The process that posts


async def post(client: httpx2.AsyncClient, body: dict[str, Any], flows: dict[str, str]) -> None:
    """Post one job.

    Raises:
        IntakeFailed: It was not taken, or has another flow than before.
    """
    answer = await client.post(PATH, json=body)
    if answer.status_code != 201:
        raise IntakeFailed(f"job {body['id']}: {answer.status_code} {answer.text[:300]}")
    uuid = answer.json()["uuid"]
    if flows.setdefault(body["id"], uuid) != uuid:
        raise IntakeFailed(f"job {body['id']} has two flows")


async def steady(url: str, posts: Sequence[Post]) -> list[float]:
    """Post each job when it is due; gives the times."""
    flows: dict[str, str] = {}
    async with client_of(url) as client:
        loop = asyncio.get_running_loop()
        begun = loop.time() + 0.5

        async def one(each: Post) -> float:
            await asyncio.sleep(begun + each.due - loop.time())
            if each.body:
                await post(client, each.body, flows)
            else:
                await client.get("/api/v1/health")
            return loop.time() - begun - each.due

        return await asyncio.gather(*map(one, posts))


async def burst(url: str, posts: Sequence[Post]) -> list[float]:
    """Have each client post its share of the jobs, one after the other; gives the times."""
    loop = asyncio.get_running_loop()
    times: list[float] = []

    async def one(client: httpx2.AsyncClient, share: Sequence[Post]) -> None:
        for each in share:
            begun = loop.time()
            await post(client, each.body, {})
            times.append(loop.time() - begun)

    async with client_of(url) as client:
        await asyncio.gather(*(one(client, posts[number::CLIENTS]) for number in range(CLIENTS)))
    return times


def client_of(url: str) -> httpx2.AsyncClient:
    """Give a client that keeps its connections, and opens one for each request that finds none free."""
    limits = httpx2.Limits(max_connections=200, max_keepalive_connections=200)
    return httpx2.AsyncClient(
        base_url=url, headers=AUTHORIZED, limits=limits, timeout=60, trust_env=False, verify=False
    )


def run_load(kind: str, url: str, posts: Sequence[Post]) -> tuple[float, list[float]]:
    """Run a load to its end; gives its seconds and the time of each post."""

    async def timed() -> tuple[float, list[float]]:
        begun = asyncio.get_running_loop().time()
        times = await (burst if kind == "burst" else steady)(url, posts)
        return asyncio.get_running_loop().time() - begun, times

    return asyncio.run(timed())


# The process that runs service and catalogue


def steady_posts(jobs: Sequence[dict[str, Any]], count: int, rate: float) -> list[Post]:
    """Spread the jobs over the time; each tenth post repeats the one before, at the same moment."""
    posts: list[Post] = []
    own, shared = iter(jobs[0::2]), iter(jobs[1::2])
    for number in range(count):
        if number % 10 == 9:
            posts.append(posts[-1])
        else:
            posts.append(Post(number / rate, next(own if number % 2 else shared)))
    return posts


def submitted(stand_in: ScicatStandIn, url: str, count: int, prefix: str, lts: Path) -> list[dict[str, Any]]:
    """Have SciCat hold so many jobs; each second one asks for the shared dataset."""
    token = log_in(url, "scientist")
    jobs = []
    for number in range(count):
        pid = SHARED
        if number % 2 == 0:
            pid = f"20.500.12345/{prefix}-{number}"
            archived(stand_in, pid, lts)
        answer = submit_retrieve_job(url, [pid], token=token)
        if answer.status_code != 201:
            raise IntakeFailed(f"SciCat did not take the job: {answer.text}")
        jobs.append(
            {
                "id": answer.json()["id"],
                "type": "retrieve",
                "jobParams": {"datasetList": [{"pid": pid, "files": []}]},
            }
        )
    return jobs


def archived(stand_in: ScicatStandIn, pid: str, lts: Path) -> None:
    """Put a dataset of one small tar into the store, and let SciCat know it."""
    archive_id = f"{pid.rpartition('/')[2]}.tar"
    content = pid.encode()
    with tarfile.open(lts / archive_id, "w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("frame.h5")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    file = {"path": "frame.h5", "size": len(content), "chk": hashlib.sha256(content).hexdigest()}
    packed = (lts / archive_id).stat().st_size
    stand_in.add_dataset(pid)
    stand_in.add_datablocks(
        pid,
        [
            {
                "archiveId": archive_id,
                "size": len(content),
                "packedSize": packed,
                "chkAlg": "sha256",
                "dataFileList": [file],
            }
        ],
    )


def measured(root: Path, rate: float, seconds: float, *, flows: bool) -> list[Row]:
    """Start the service and run all loads on it.

    Raises:
        IntakeFailed: A post was not answered as it should.
    """
    stand_in = ScicatStandIn(write_gap_seconds=0)
    with stand_in.serve() as scicat_url:
        folder = ServiceFolder(root, scicat_url)
        folder.lts.mkdir(parents=True)
        stand_in.set_job_type(JobType())
        archived(stand_in, SHARED, folder.lts)
        count = int(rate * seconds)
        jobs = submitted(stand_in, scicat_url, count + 1, "steady", folder.lts)
        first = submitted(stand_in, scicat_url, WARM_UP, "first", folder.lts)
        more = submitted(stand_in, scicat_url, CLIENTS * POSTS_EACH, "burst", folder.lts)
        loads = [
            ("health", [Post(number / rate, {}) for number in range(int(rate * 3))]),
            ("warm-up", [Post(number / rate, job) for number, job in enumerate(first)]),
            ("steady", steady_posts(jobs, count, rate)),
            ("burst", [Post(0, job) for job in more]),
        ]
        with RunningService(folder) as service:
            if not flows:
                stop_worker(service)
            rows = []
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                for kind, posts in loads:
                    took, times = pool.apply(run_load, (kind, folder.url, posts))
                    if kind != "warm-up":
                        rows.append(row_of(kind, took, times))
                        show(rows[-1])
            for _, posts in loads[1:]:
                require_known(service, {each.body["id"] for each in posts})
    return rows


def stop_worker(service: RunningService) -> None:
    """Let no flow run: the worker is stopped in its tracks and continued when the bench ends."""
    for part in psutil.Process(service.process.pid).children():
        if part.cmdline()[-1] == "worker":
            part.suspend()


def require_known(service: RunningService, job_ids: set[str]) -> None:
    """See that each job is in the ledger.

    Raises:
        IntakeFailed: One is not.
    """
    with httpx2.Client(
        base_url=service.folder.url, headers=AUTHORIZED, timeout=60, trust_env=False
    ) as client:
        for job_id in sorted(job_ids):
            answer = client.get(f"{PATH}/{job_id}", params={"datablocks": False})
            if answer.status_code != 200:
                raise IntakeFailed(f"job {job_id} was answered and is not there: {answer.status_code}")


def show(row: Row) -> None:
    """Print a row."""
    print(
        f"{row.load:>8} {row.posts:6} posts in {row.seconds:6.2f} s: p50 {row.p50_ms:8.1f} ms, p99 {row.p99_ms:8.1f} ms, "
        f"max {row.max_ms:8.1f} ms",
        flush=True,
    )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description="Measures how fast jobs are taken while their flows run.")
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long the steady load lasts")
    parser.add_argument("--rate", type=float, default=100.0, help="posts a second of the steady load")
    parser.add_argument("--no-flows", action="store_true", help="hold the worker still: intake alone")
    parser.add_argument("--dir", type=Path, help="where the temporary folder is made")
    return parser.parse_args()


def main() -> int:
    """Measure all loads; gives the exit code."""
    options = arguments()
    with tempfile.TemporaryDirectory(prefix="intake-bench-", dir=options.dir) as root:
        try:
            rows = measured(Path(root), options.rate, options.seconds, flows=not options.no_flows)
        except (IntakeFailed, RuntimeError) as error:
            print(error, file=sys.stderr)
            return 1
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
