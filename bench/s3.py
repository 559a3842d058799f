"""Measures the upload to an S3 in one pass, verified, against hashing alone and against boto3's own upload.

    python bench/s3.py [--json FILE] [--megabytes 1000] [--rounds 3] [--seaweed-megabytes 400] [--checksum crc64nvme]

A tar of pseudo-random bytes in the page cache is (1) hashed alone, (2) put through `copy_and_hash` into `S3Staging`, with
its manifest and committed, (3) uploaded by boto3's `upload_fileobj` with the same parts, which hashes and verifies nothing.
Ways run in turn, each in a process of its own, so that a busy moment hits none of them alone; medians are shown, and ratios
to hashing alone. Seconds are without the start of the process and the making of a client. Twice: against a server that swallows parts and answers
with their checksums (our own cost, and that of the loopback), and against SeaweedFS, which writes them to disk.
The receiving server shares the machine. `rss_mb` is the peak of the uploading process. Slow ratios are no failure.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

sys.path.insert(0, str(Path(__file__).parents[1]))
from bench.transfer import hash_once, make_tar, peak_mb
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.manifest import ManifestWriter
from scicat_retriever.storage.staging.s3.area import S3Staging
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ALGORITHM = ChecksumAlgorithm.SHA256
FILES = 100
WAYS = ("hash", "retriever", "boto3")


@dataclass(frozen=True)
class Run:
    """One run of one way: wall seconds, and the peak of the process's memory in MB."""

    seconds: float
    rss_mb: float


@dataclass(frozen=True)
class Row:
    """One way against one server; see the head of the file."""

    server: str
    way: str
    megabytes: int
    seconds: float
    ratio_to_hash: float
    rss_mb: float


def retriever(source: Path, area: S3Staging) -> None:
    """Copy, hash, upload, seal, commit."""
    key = DatablockKey(DatasetPid("20.500.12345/bench"), DatablockId("1"))
    size = source.stat().st_size
    manifest = ManifestWriter(ALGORITHM)
    with source.open("rb", buffering=0) as opened, area.open_partial(key, size) as sink:
        copy_and_hash(opened.fileno(), sink, algorithm=ALGORITHM, on_member=manifest.add, expected_bytes=size)
    manifest.seal()
    area.commit(key, sink.token, sink.receipt)
    area.delete(key)


def plain_client(options: dict[str, Any]) -> S3Client:
    """Make a client as boto3 is used by default."""
    session = boto3.Session(options["access_key_id"], options["secret_access_key"], region_name="us-east-1")
    config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
    return session.client("s3", endpoint_url=options["endpoint_url"], config=config)


def plain_boto3(source: Path, client: S3Client, bucket: str) -> None:
    """Upload the same file as boto3 does, with parts of the same size and as many at once."""
    transfer = TransferConfig(
        multipart_chunksize=16 << 20, max_concurrency=3, preferred_transfer_client="classic"
    )
    with source.open("rb") as opened:
        client.upload_fileobj(opened, bucket, "bench", Config=transfer)
    client.delete_object(Bucket=bucket, Key="bench")


def run_here(way: str, source: Path, options: dict[str, Any]) -> Run:
    """Run one way in this process."""
    work: Callable[[], None]
    if way == "hash":
        work = partial(hash_once, source, ALGORITHM)
    elif way == "retriever":
        work = partial(retriever, source, S3Staging(S3StagingSettings.model_validate(options)))
    else:
        work = partial(plain_boto3, source, plain_client(options), options["bucket"])
    begun = time.perf_counter()
    work()
    return Run(time.perf_counter() - begun, peak_mb())


def run_apart(way: str, source: Path, options: dict[str, Any]) -> Run:
    """Run one way in a process of its own."""
    command = [sys.executable, __file__, "--way", way, "--options", json.dumps(options), str(source)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, timeout=600)
    return Run(**json.loads(done.stdout))


def bench(server: str, source: Path, options: dict[str, Any], rounds: int) -> Iterator[Row]:
    """Measure all ways against one server."""
    runs: dict[str, list[Run]] = {way: [] for way in WAYS}
    for _ in range(rounds):
        for way, done in runs.items():
            done.append(run_apart(way, source, options))
    hashing = median(run.seconds for run in runs["hash"])
    for way, done in runs.items():
        seconds = median(run.seconds for run in done)
        rss = max(run.rss_mb for run in done)
        yield Row(
            server,
            way,
            source.stat().st_size // 10**6,
            round(seconds, 2),
            round(seconds / hashing, 2),
            round(rss, 1),
        )


@contextmanager
def swallowing_server() -> Iterator[str]:
    """Run `bench/s3_sink.py`; give its URL."""
    sink = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("s3_sink.py"))], stdout=subprocess.PIPE, text=True
    )
    try:
        assert sink.stdout is not None  # noqa: S101 - tells the type checker
        yield sink.stdout.readline().strip()
    finally:
        sink.kill()
        sink.communicate()


def show(rows: Iterator[Row], into: list[Row]) -> None:
    """Print rows as they come."""
    for row in rows:
        into.append(row)
        print(
            f"{row.server:>10} {row.way:>10} {row.megabytes:6d} {row.seconds:8.2f} {row.ratio_to_hash:6.2f} {row.rss_mb:8.1f}",
            flush=True,
        )


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measures the verified upload to an S3 against hashing alone."
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--megabytes", type=int, default=1000, help="size of the tar for the sink")
    parser.add_argument("--seaweed-megabytes", type=int, default=400, help="size of the tar for SeaweedFS")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each way")
    parser.add_argument("--checksum", default="crc64nvme", help="staging.checksum")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--options", type=json.loads, help=argparse.SUPPRESS)
    parser.add_argument("source", nargs="?", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure both servers, or one way as the process of its own."""
    given = arguments()
    if given.way:
        print(json.dumps(asdict(run_here(given.way, given.source, given.options))))
        return
    # Deferred: only the measuring process starts servers, and what it imports is no cost of an upload.
    from tests.integration.s3_server import KEY, SECRET
    from tests.integration.seaweedfs import running_seaweed

    options: dict[str, Any] = {
        "kind": "s3",
        "bucket": "bench",
        "addressing": "path",
        "capacity_bytes": 2**50,
        "access_key_id": KEY,
        "secret_access_key": SECRET,
        "checksum": given.checksum,
    }
    rows: list[Row] = []
    print(f"{'server':>10} {'way':>10} {'MB':>6} {'seconds':>8} {'ratio':>6} {'RSS MB':>8}")
    with tempfile.TemporaryDirectory(prefix="s3-bench-") as folder:
        source = Path(folder, "source.tar")
        make_tar(source, given.megabytes * 10**6, FILES)
        with swallowing_server() as url:
            for sign in (True, False):
                name = "sink" if sign else "unsigned"
                show(
                    bench(name, source, {**options, "endpoint_url": url, "sign_payload": sign}, given.rounds),
                    rows,
                )
        make_tar(source, given.seaweed_megabytes * 10**6, FILES)
        with running_seaweed() as seaweed, seaweed.bucket() as bucket:
            there = {**options, "endpoint_url": seaweed.url, "bucket": bucket}
            show(bench("SeaweedFS", source, there, given.rounds), rows)
    if given.json:
        given.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
