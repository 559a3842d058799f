"""Measures how fast jobs are taken while clients say next to nothing and others download slowly.

    python bench/slow_clients.py [--json FILE] [--slow 10000] [--downloads 1000] [--rate 20] [--dir D]

A fresh ``retriever serve`` of the usual settings, on the loopback interface. One process holds so many connections that send a
letter of a request's head now and then, and open again when they are closed. Another one downloads the same file of 1 MiB so
often at once, a piece at a time. This one posts jobs at fixed moments, each over a connection of its own, as SciCat does, until
the downloads have ended: first alone, then meanwhile.

Times are milliseconds from the moment when a post was due to the last byte of its answer. Exits with 1 if a post is not
answered with 201, if a download does not come whole, or if the 99th percentile of the posts is a second or more.
"""

import argparse
import asyncio
import contextlib
import hashlib
import io
import json
import multiprocessing
import os
import resource
import statistics
import sys
import tarfile
import tempfile
import time
from collections import Counter
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

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

PID = "20.500.12345/slow"
SIZE, PIECE, PAUSE = 2**20, 2**16, 0.2
"""Bytes of the file and of what a download reads at once, and the seconds between two pieces."""
LETTER, AGAIN, OPENED = 3.0, 10.0, 1000
"""Seconds between two letters of a slow client, and until it comes again once it was closed; how many come a second first."""
ALONE_SECONDS = 5.0


def raise_limit(wanted: int) -> None:
    """Have so many files open.

    Raises:
        SystemExit: The hard limit is lower.
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < wanted:
        sys.exit(f"this needs {wanted} open files, and the hard limit is {hard}: give fewer by --slow")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


# The process of the slow clients


def hold(port: int, count: int, ready: Event) -> None:
    """Hold so many slow connections, until this process is ended."""
    raise_limit(count + 100)

    async def one(number: int, opened: Counter[str]) -> None:
        await asyncio.sleep(number / OPENED)
        while True:
            with contextlib.suppress(OSError):
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
                opened["in all"] += 1
                try:
                    writer.write(b"GET /api/v1/health HTTP/1.1\r\nX: ")
                    while True:
                        with contextlib.suppress(TimeoutError):
                            if not await asyncio.wait_for(reader.read(1000), LETTER):
                                break
                        writer.write(b"x")
                finally:
                    writer.close()
            await asyncio.sleep(AGAIN)

    async def all_of_them() -> None:
        opened: Counter[str] = Counter()
        tasks = [asyncio.create_task(one(number, opened)) for number in range(count)]
        while opened["in all"] < count:  # noqa: ASYNC110 - a number of them, and looked at seldom
            await asyncio.sleep(0.05)
        ready.set()
        await asyncio.gather(*tasks)

    asyncio.run(all_of_them())


# The process that downloads


def download_all(port: int, target: str, count: int) -> tuple[float, dict[str, int]]:
    """Download so often at once; gives the seconds, and how often each ending came."""
    raise_limit(count + 100)

    async def one() -> str:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=PIECE)
            writer.write(f"GET {target} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            received = 0
            while piece := await reader.read(PIECE):
                received += len(piece)
                await asyncio.sleep(PAUSE)
            writer.close()
        except (OSError, asyncio.IncompleteReadError) as error:
            return type(error).__name__
        status = head.split(b" ")[1].decode()
        expected = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        return f"{status}, whole" if received == expected else f"{status}, cut"

    async def together() -> tuple[float, dict[str, int]]:
        begun = time.monotonic()
        endings = await asyncio.gather(*(one() for _ in range(count)))
        return time.monotonic() - begun, dict(Counter(endings))

    return asyncio.run(together())


# This process posts


async def ask_health(port: int) -> int:
    """Ask whether the process answers; gives the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET /api/v1/health HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        return int((await reader.read()).split(b" ")[1])
    finally:
        writer.close()


async def post(port: int, job_id: str) -> int:
    """Post a job; gives the status."""
    body = json.dumps(
        {"id": job_id, "type": "retrieve", "jobParams": {"datasetList": [{"pid": PID}]}}
    ).encode()
    head = f"POST /api/v1/jobs HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        return int((await reader.read()).split(b" ")[1])
    finally:
        writer.close()


async def post_until(done: Any, port: int, rate: float, prefix: str) -> dict[str, Any]:  # noqa: ANN401 - a callable
    """Post at fixed moments until something is done; gives the sums."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    healths: list[float] = []

    async def one(number: int) -> tuple[float, int]:
        due = begun + number / rate
        await asyncio.sleep(due - loop.time())
        try:
            status = await asyncio.wait_for(post(port, f"{prefix}-{number}"), 60)
            took = loop.time() - due
            await asyncio.wait_for(ask_health(port), 60)
            healths.append(loop.time() - due - took)
        except (OSError, TimeoutError, IndexError) as error:
            print(f"post {number}: {error!r}", file=sys.stderr)
            return loop.time() - due, 0
        return took, status

    tasks: list[asyncio.Task[tuple[float, int]]] = []
    while not done():
        tasks.append(asyncio.create_task(one(len(tasks))))
        await asyncio.sleep(max(0.0, begun + len(tasks) / rate - loop.time()))
    results = await asyncio.gather(*tasks)
    times = [took for took, _ in results]
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "posts": len(times),
        "refused": sum(status != 201 for _, status in results),
        "p50_ms": round(1000 * cuts[49], 1),
        "p99_ms": round(1000 * cuts[98], 1),
        "max_ms": round(1000 * max(times), 1),
        "health_p50_ms": round(1000 * statistics.median(healths), 1),
    }


def archived(stand_in: ScicatStandIn, lts: Path) -> None:
    """Put a dataset of one tar into the store, and let SciCat know it."""
    content = os.urandom(SIZE)
    with tarfile.open(lts / "slow.tar", "w", format=tarfile.USTAR_FORMAT) as tar:
        member = tarfile.TarInfo("frame.h5")
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    file = {"path": "frame.h5", "size": SIZE, "chk": hashlib.sha256(content).hexdigest()}
    block = {"archiveId": "slow.tar", "size": SIZE, "packedSize": (lts / "slow.tar").stat().st_size}
    stand_in.add_dataset(PID)
    stand_in.add_datablocks(PID, [{**block, "chkAlg": "sha256", "dataFileList": [file]}])


def link_of(service: RunningService, stand_in: ScicatStandIn, scicat_url: str) -> str:
    """Retrieve the dataset; gives the path and query of its link."""
    stand_in.set_job_type(JobType(create_action=archival_service(f"{service.folder.url}/api/v1/jobs", TOKEN)))
    job_id = submit_retrieve_job(scicat_url, [PID], token=log_in(scicat_url, "scientist")).json()["id"]
    deadline = time.monotonic() + 120
    while not (links := datablocks(stand_in.job(job_id))):
        if time.monotonic() > deadline:
            sys.exit(f"the dataset was not retrieved: {stand_in.job(job_id)}")
        time.sleep(0.1)
    url = urlsplit(links[0]["url"])
    return f"{url.path}?{url.query}"


def measured(root: Path, slow: int, downloads: int, rate: float) -> dict[str, Any]:
    """Start the service and measure."""
    stand_in = ScicatStandIn(write_gap_seconds=0)
    spawn = multiprocessing.get_context("spawn")
    with stand_in.serve() as scicat_url:
        folder = ServiceFolder(root, scicat_url)
        folder.lts.mkdir(parents=True)
        archived(stand_in, folder.lts)
        with RunningService(folder) as service:
            target = link_of(service, stand_in, scicat_url)
            api = next(
                part for part in psutil.Process(service.process.pid).children() if part.cmdline()[-1] == "api"
            )
            found: dict[str, Any] = {"slow": slow, "downloads": downloads}
            end = time.monotonic() + ALONE_SECONDS
            found["alone"] = asyncio.run(
                post_until(lambda: time.monotonic() > end, folder.port, rate, "alone")
            )
            print(f"alone: {found['alone']}", flush=True)
            cpu_before, since = sum(api.cpu_times()[:2]), time.monotonic()
            log_before, ready = folder.log.stat().st_size, spawn.Event()
            holder = spawn.Process(target=hold, args=(folder.port, slow, ready), daemon=True)
            holder.start()
            if not ready.wait(120):
                print("not all slow connections came to be", file=sys.stderr)
            with spawn.Pool(1) as pool:
                fetched = pool.apply_async(download_all, (folder.port, target, downloads))
                found["meanwhile"] = asyncio.run(post_until(fetched.ready, folder.port, rate, "meanwhile"))
                found["download_seconds"], found["endings"] = fetched.get()
            busy = (sum(api.cpu_times()[:2]) - cpu_before) / (time.monotonic() - since)
            found["api_busy_percent"] = round(100 * busy)
            found["api_connections"] = len(api.net_connections())
            found["api_rss_mb"] = round(api.memory_info().rss / 1e6)
            holder.terminate()
            found["log_bytes"] = folder.log.stat().st_size - log_before
    return found


def main() -> int:
    """Measure; gives the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", type=Path, help="write what was found to this file")
    parser.add_argument("--slow", type=int, default=10_000, help="connections that say next to nothing")
    parser.add_argument("--downloads", type=int, default=1000, help="downloads at once")
    parser.add_argument("--rate", type=float, default=20.0, help="posts a second")
    parser.add_argument("--dir", type=Path, help="where the temporary folder is made")
    options = parser.parse_args()
    raise_limit(1000)
    with tempfile.TemporaryDirectory(prefix="slow-clients-", dir=options.dir) as root:
        found = measured(Path(root), options.slow, options.downloads, options.rate)
    print(json.dumps(found, indent=2))
    if options.json:
        options.json.write_text(json.dumps(found, indent=2) + "\n")
    meanwhile = found["meanwhile"]
    whole = found["endings"] == {"200, whole": options.downloads}
    return 0 if whole and not meanwhile["refused"] and meanwhile["p99_ms"] < 1000 else 1


if __name__ == "__main__":
    sys.exit(main())
