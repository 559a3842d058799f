"""Measures the one-pass transfer against its two limits: ``cp``, and one pass of the checksum over the same bytes.

    python bench/transfer.py [--json FILE] [--scale F] [--dir D] [--algorithm sha256] [--also md5] [--rounds 5]

Three tars are made in a temporary folder (``--dir``: where; it should be a disk, with twice the largest tar free), of
pseudo-random bytes that are the same each time. Every way is run in turn, in a process of its own, with the source in
the page cache; the medians are shown. The transfer's seconds include the manifest and fsync; ``cp`` makes nothing durable.
``ratio_to_slower`` is seconds / max(cp_seconds, hash_seconds); ``read_per_byte`` is what /proc/self/io counts as read,
per byte of the archive; ``rss_mb`` is the process's peak. ``bare_seconds`` is the transfer without the CRC-32 of members
and of pieces; ``crc_ratio`` how many times as long it takes with them, and ``crc_cpu_ratio`` how many times the processor
time of all its threads: the medians over the rounds, in each of which all ways run one after the other. With ``--also``
the same of a further hash, against the transfer without it. Slow ratios are no failure: this measures.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.manifest import ManifestWriter

CASES = ((4_000_000_000, 40), (2_000_000_000, 20_000), (500_000_000, 100_000))
RANDOM_BYTES = 64 << 20
READ_BYTES = 1 << 20


@dataclass(frozen=True)
class Run:
    """One run of one way.

    Attributes:
        seconds: wall time, without the start of the process (but for ``cp``).
        read_bytes: bytes read meanwhile.
        rss_mb: peak of the process.
        cpu_seconds: processor time of all its threads meanwhile.
    """

    seconds: float
    read_bytes: int
    rss_mb: float
    cpu_seconds: float = 0


@dataclass(frozen=True)
class Row:
    """One case; see the head of the file."""

    case: str
    seconds: float
    cp_seconds: float
    hash_seconds: float
    ratio_to_slower: float
    read_per_byte: float
    rss_mb: float
    bare_seconds: float
    crc_ratio: float
    crc_cpu_ratio: float
    also_ratio: float | None = None
    also_cpu_ratio: float | None = None


class RandomBytes:
    """Pseudo-random content for one member, cut from one block at a place of its own."""

    def __init__(self, block: bytes, number: int) -> None:
        self._block = block
        self._at = number * 7919 * 64

    def read(self, count: int) -> bytes:
        """Give the next bytes."""
        half = len(self._block) // 2
        begin = self._at % half
        self._at += count
        return self._block[begin : begin + count]


def make_tar(path: Path, size: int, files: int) -> None:
    """Pack a tar of so many files of the same size."""
    block = random.Random(size).randbytes(RANDOM_BYTES)
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for number in range(files):
            info = tarfile.TarInfo(f"scan/{number // 1000:04d}/frame_{number:06d}.h5")
            info.size = size // files
            tar.addfile(info, RandomBytes(block, number))  # type: ignore[arg-type]


def copy_once(
    source: Path, partial: Path, algorithm: ChecksumAlgorithm, also: Hashing | None, *, crc: bool
) -> None:
    """Do the transfer, with its manifest."""
    manifest = ManifestWriter(Hashing.of([algorithm]).and_also(also))
    with source.open("rb", buffering=0) as opened:
        report = copy_and_hash(
            opened.fileno(),
            partial,
            algorithm=algorithm,
            also=also,
            on_member=manifest.add,
            expected_bytes=source.stat().st_size,
            crc=crc,
        )
    manifest.seal(pieces=report.pieces)


def hash_once(source: Path, algorithm: ChecksumAlgorithm) -> None:
    """Do one pass of the checksum over the whole file."""
    digester = algorithm.start()
    buffer = memoryview(bytearray(READ_BYTES))
    with source.open("rb", buffering=0) as opened:
        while count := opened.readinto(buffer):
            digester.update(buffer[:count])
    digester.hexdigest()


def measured(work: Callable[[], None]) -> Run:
    """Run something in this process and measure it."""
    read, begun, cpu = bytes_read(), time.perf_counter(), time.process_time()
    work()
    seconds, cpu_seconds = time.perf_counter() - begun, time.process_time() - cpu
    return Run(seconds, bytes_read() - read, peak_mb(), cpu_seconds)


def bytes_read() -> int:
    """Bytes that this process has read so far, page cache included."""
    return int(Path("/proc/self/io").read_text().partition("rchar:")[2].split()[0])


def peak_mb() -> float:
    """Peak of this process's resident memory, in MB; getrusage would count the parent's too."""
    return int(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0]) / 1000


def run_apart(way: str, source: Path, partial: Path, algorithm: str, also: str | None) -> Run:
    """Run one way in a process of its own, on a quiet disk, and remove what it wrote."""
    partial.unlink(missing_ok=True)
    os.sync()
    if way == "cp":
        begun = time.perf_counter()
        subprocess.run(["cp", str(source), str(partial)], check=True)
        run = Run(time.perf_counter() - begun, 0, 0)
    else:
        command = [
            sys.executable,
            __file__,
            "--way",
            way,
            "--algorithm",
            algorithm,
            *(["--also", also] if also else []),
            str(source),
            str(partial),
        ]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        run = Run(**json.loads(done.stdout))
    partial.unlink(missing_ok=True)
    return run


def bench_case(folder: Path, size: int, files: int, algorithm: str, also: str | None, rounds: int) -> Row:
    """Measure all ways on one tar, in turn, so that a busy moment hits none of them alone."""
    source, partial = folder / "source.tar", folder / "partial"
    make_tar(source, size, files)
    ways = ["cp", "hash", "bare", "copy"] + (["also"] if also else [])
    runs: dict[str, list[Run]] = {way: [] for way in ways}
    for _ in range(rounds):
        for way, done in runs.items():
            done.append(run_apart(way, source, partial, algorithm, also))
    length = source.stat().st_size
    source.unlink()
    seconds, cp_seconds, hash_seconds, bare_seconds = (
        median(run.seconds for run in runs[way]) for way in ("copy", "cp", "hash", "bare")
    )
    return Row(
        case=f"{size / 1e9:g} GB x {files}",
        seconds=round(seconds, 3),
        cp_seconds=round(cp_seconds, 3),
        hash_seconds=round(hash_seconds, 3),
        ratio_to_slower=round(seconds / max(cp_seconds, hash_seconds), 3),
        read_per_byte=round(median(run.read_bytes for run in runs["copy"]) / length, 4),
        rss_mb=round(max(run.rss_mb for run in runs["copy"]), 1),
        bare_seconds=round(bare_seconds, 3),
        crc_ratio=ratio(runs["copy"], runs["bare"]),
        crc_cpu_ratio=cpu_ratio(runs["copy"], runs["bare"]),
        also_ratio=ratio(runs["also"], runs["copy"]) if also else None,
        also_cpu_ratio=cpu_ratio(runs["also"], runs["copy"]) if also else None,
    )


def ratio(runs: list[Run], others: list[Run]) -> float:
    """How many times as long a run took as the other one of the same round; the median."""
    return round(median(run.seconds / other.seconds for run, other in zip(runs, others, strict=True)), 3)


def cpu_ratio(runs: list[Run], others: list[Run]) -> float:
    """The same of the processor time."""
    pairs = zip(runs, others, strict=True)
    return round(median(run.cpu_seconds / other.cpu_seconds for run, other in pairs), 3)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description="Measures the one-pass transfer against cp and one hash pass."
    )
    parser.add_argument("--json", type=Path, help="write the rows to this file")
    parser.add_argument("--scale", type=float, default=1.0, help="make the tars this many times as large")
    parser.add_argument("--dir", type=Path, help="where the temporary folder is made")
    parser.add_argument("--algorithm", default="sha256", help="the checksum of the members")
    parser.add_argument("--also", help="a further checksum of members and pieces, in another thread")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each way")
    parser.add_argument("--way", choices=("copy", "bare", "also", "hash"), help=argparse.SUPPRESS)
    parser.add_argument("paths", nargs="*", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Measure all cases, or one way as the process of its own."""
    options = arguments()
    if options.way:
        algorithm = ChecksumAlgorithm.named(options.algorithm)
        also = Hashing.of([ChecksumAlgorithm.named(options.also)]) if options.also else None
        source, partial = options.paths
        work = {
            "copy": lambda: copy_once(source, partial, algorithm, None, crc=True),
            "bare": lambda: copy_once(source, partial, algorithm, None, crc=False),
            "also": lambda: copy_once(source, partial, algorithm, also, crc=True),
            "hash": lambda: hash_once(source, algorithm),
        }
        print(json.dumps(asdict(measured(work[options.way]))))
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))  # so that the folder goes, as on Ctrl-C
    rows = []
    print(
        f"{'case':>18} {'seconds':>8} {'cp':>8} {'hash':>8} {'ratio':>6} {'read/B':>7} {'RSS MB':>7} "
        f"{'bare':>8} {'crc':>6} {'CPU':>6} {'also':>6} {'CPU':>6}"
    )
    with tempfile.TemporaryDirectory(prefix="transfer-bench-", dir=options.dir) as folder:
        for size, files in CASES:
            size, files = int(size * options.scale), max(1, int(files * options.scale))  # noqa: PLW2901
            row = bench_case(Path(folder), size, files, options.algorithm, options.also, options.rounds)
            rows.append(row)
            print(
                f"{row.case:>18} {row.seconds:8.3f} {row.cp_seconds:8.3f} {row.hash_seconds:8.3f} "
                f"{row.ratio_to_slower:6.2f} {row.read_per_byte:7.4f} {row.rss_mb:7.1f} "
                f"{row.bare_seconds:8.3f} {row.crc_ratio:6.3f} {row.crc_cpu_ratio:6.3f} "
                f"{row.also_ratio or 0:6.3f} {row.also_cpu_ratio or 0:6.3f}",
                flush=True,
            )
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")


if __name__ == "__main__":
    main()
