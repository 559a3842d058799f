"""The long-term stores of the test: tars on a share, some of them stubs for a while, on tapes, and some of them wrong."""

from __future__ import annotations

import hashlib
import heapq
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from pathlib import Path
from random import Random

from tests.acceptance.facility import tar_of
from tests.chaos.reads import Reads
from tests.chaos.tapes import Tapes
from tests.chaos.truth import Block, Truth

SIZES = (1_000, 20_000, 150_000, 400_000, 2_000_000)
"""Bytes of a datablock's files, chosen among."""
LARGE = 12_000_000
"""Takes a moment to copy."""


class Home(Enum):
    """Where an archive is."""

    SHARE = "share"
    STUB = "stub"
    """On the share, without its bytes for a while."""
    TAPE = "tape"
    """In the tape system."""


class Archives:
    """Makes archives, and fills those that are stubs when their time has come.

    Args:
        lts: The folder that the service reads.
        rng: Decides content and sizes.
    """

    def __init__(self, lts: Path, rng: Random) -> None:
        self.lts = lts
        self.reads = Reads()
        self.tapes = Tapes(rng)
        self._aside = lts.with_name("lts-aside")
        self._rng = rng
        self._due: list[tuple[float, str]] = []
        self._changed = threading.Condition()
        self._over = False
        self._mounted = threading.Lock()
        lts.mkdir(parents=True)
        self._aside.mkdir()
        (lts / "inventory").touch()  # the share is never empty, so an empty one is not mounted
        self._thread = threading.Thread(target=self._deliver, name="hsm", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End."""
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()
        self.tapes.line.down()
        self.reads.close()

    def path(self, archive_id: str) -> Path:
        """Where the service looks for an archive."""
        return self.lts / archive_id

    def make(
        self,
        pid: str,
        number: int,
        *,
        wrong: str | None = None,
        home: Home = Home.SHARE,
        size: int | None = None,
        sized: bool = True,
    ) -> tuple[Block, Mapping[str, object]]:
        """Archive a datablock; gives it with its catalogue entry.

        Args:
            pid: Its dataset.
            number: Its place in it.
            wrong: `missing`, `corrupt`, `short` or `checksum`: what makes it impossible to retrieve.
            home: Where it is.
            size: Bytes of its files, chosen among `SIZES` where it is None.
            sized: Whether the catalogue knows how large the archive is.
        """
        name = pid.rpartition("/")[2]
        archive_id = f"{name}/{number:04d}.tar"
        if home is Home.TAPE:
            archive_id = f"{self.tapes.some_tape()}/{name}-{number:04d}.tar"
        files = self._files(number, size or self._rng.choice(SIZES))
        tar = tar_of(files)
        entry = _entry(archive_id, files, tar)
        sums = {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
        if not sized:
            entry["packedSize"] = 0
        block = Block(archive_id, hashlib.sha256(tar).hexdigest(), files=sums)
        if wrong is not None:
            block.truth = Truth.BAD
            tar, block.codes = _spoilt(tar, wrong)
            if wrong == "checksum":
                entry["dataFileList"][0]["chk"] = "0" * 64  # type: ignore[index]
        with self._mounted:
            self._put(block, tar, home, there=wrong != "missing")
        return block, entry

    def _put(self, block: Block, tar: bytes, home: Home, *, there: bool) -> None:
        aside = self._aside_of(block.archive_id)
        aside.write_bytes(tar)
        self.reads.watch(aside, block)
        path = self.path(block.archive_id)
        if home is Home.SHARE or home is Home.STUB:
            path.parent.mkdir(exist_ok=True)
        if not there:
            aside.unlink()
        elif home is Home.TAPE:
            self.tapes.write(block.archive_id, aside)
        elif home is Home.STUB:
            path.touch()
            os.truncate(path, len(tar))
            self._deliver_in(block.archive_id, self._rng.uniform(0.2, 1.5))
        else:
            aside.rename(path)

    def aside(self, archive_id: str) -> Path:
        """Where an archive is while it is away."""
        return self._aside / f"away-{archive_id.replace('/', '-')}"

    def content(self, archive: Path, block: Block) -> bytes:
        """Read an archive without being counted."""
        content = archive.read_bytes()
        self.reads.count()
        block.reads -= 1
        return content

    def mend(self, block: Block) -> None:
        """Put the right bytes in the place of a corrupt archive."""
        path = self.path(block.archive_id)
        aside = path.with_suffix(".new")
        aside.write_bytes(flipped(self.content(path, block)))
        self.reads.watch(aside, block)
        aside.rename(path)
        block.truth, block.codes = Truth.GOOD, frozenset()

    def away(self, archive_id: str) -> Callable[[], None]:
        """Take an archive out of its place; gives what brings it back."""
        path, aside = self.path(archive_id), self.aside(archive_id)
        path.rename(aside)

        def back() -> None:
            if path.is_dir():
                path.rmdir()
            aside.rename(path)

        return back

    def whole_share_away(self) -> Callable[[], None]:
        """Unmount the share, so to speak; gives what mounts it again."""
        away = self.lts.with_name("lts-away")
        self._mounted.acquire()
        with self._changed:  # nothing is delivered meanwhile
            self.lts.rename(away)
            self.lts.mkdir()

        def back() -> None:
            with self._changed:
                self.lts.rmdir()
                away.rename(self.lts)
            self._mounted.release()

        return back

    def all_delivered(self) -> bool:
        """Whether nothing is a stub any more."""
        with self._changed:
            return not self._due

    def forget(self, pid: str) -> None:
        """Remove a dataset's archives."""
        name = pid.rpartition("/")[2]
        shutil.rmtree(self.lts / name, ignore_errors=True)
        for archive_id in self.tapes.of_dataset(name):
            self.tapes.library.remove(archive_id)
            self._aside_of(archive_id).unlink()
        self.reads.count()

    def _aside_of(self, archive_id: str) -> Path:
        """Where the bytes of an archive are that is not on the share."""
        return self._aside / archive_id.replace("/", "-")

    def _files(self, block: int, size: int) -> dict[str, bytes]:
        """Give files with names that no other datablock of the dataset has."""
        names = [f"dir-{block}/file-{number}.dat" for number in range(self._rng.randint(1, 4))]
        return {name: self._rng.randbytes(size // len(names) + 1) for name in names}

    def _deliver_in(self, archive_id: str, seconds: float) -> None:
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, archive_id))
            self._changed.notify()

    def _deliver(self) -> None:
        with self._changed:
            while not self._over:
                now = time.monotonic()
                while self._due and self._due[0][0] <= now and (self.lts / "inventory").exists():
                    _, archive_id = heapq.heappop(self._due)
                    with suppress(FileNotFoundError):
                        self._aside_of(archive_id).rename(self.path(archive_id))
                self._changed.wait(max(0.02, self._due[0][0] - now) if self._due else None)


def _entry(archive_id: str, files: Mapping[str, bytes], tar: bytes) -> dict[str, object]:
    return {
        "archiveId": archive_id,
        "size": sum(map(len, files.values())),
        "packedSize": len(tar),
        "chkAlg": "sha256",
        "dataFileList": [
            {"path": name, "size": len(data), "chk": hashlib.sha256(data).hexdigest()}
            for name, data in files.items()
        ],
    }


def _spoilt(tar: bytes, wrong: str) -> tuple[bytes, frozenset[str]]:
    match wrong:
        case "missing":
            return tar, frozenset({"datablock_missing"})
        case "corrupt":  # a byte of the first file's content
            return flipped(tar), frozenset({"checksum_mismatch"})
        case "short":
            return tar[: len(tar) // 2], frozenset({"archive_incomplete"})
        case _:
            return tar, frozenset({"checksum_mismatch"})


def flipped(tar: bytes) -> bytes:
    """Give a tar with one wrong bit in its first file: its header is a block, before which stand no others."""
    return tar[:512] + bytes([tar[512] ^ 1]) + tar[513:]
