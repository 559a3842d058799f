"""The demo's archives on virtual tapes: a small library behind a Tape REST server, with time sped up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stand_ins.packing import PackedDataset
from stand_ins.tape.library import TapeLibrary
from stand_ins.tape.rest_server import TapeRestServer
from stand_ins.tape.serving import served
from stand_ins.tape.shape import LibraryShape, Policy, sped_up

SPEED = 60.0
"""Seconds of the library's clock in one of ours."""

DRIVES = 2
READING_SECONDS = 60.0
"""How long all that is on the fullest tape is read, seconds of the library's clock."""

_GAP = 10**12
"""Bytes between two archives on a tape: what others wrote there, so that it has to be sought."""
_ROOT = "/archive"
_TOKEN = "a-token-of-the-tape-library"


class TapeArchive:
    """Packed datasets, written to tapes as several drives at once write them: each datablock to the next tape.

    So every dataset is on all tapes, and recalls one after the other, in a dataset's order, mount a tape for each datablock.

    Args:
        folder: Where the archives are, under their archiveIds.
        datasets: What is in them.
    """

    def __init__(self, folder: Path, datasets: Sequence[PackedDataset]) -> None:
        blocks = [
            (f"VB{number:04d}", block)
            for dataset in datasets
            for number, block in enumerate(dataset.datablocks, start=1)
        ]
        tapes = {tape for tape, _ in blocks}
        self._datablocks, self._tapes = len(blocks), len(tapes)
        fullest = max(sum(block.packed_size for on, block in blocks if on == tape) for tape in tapes)
        shape = LibraryShape(drives=DRIVES, bytes_per_second=fullest / READING_SECONDS, policy=Policy.FIFO)
        self._library = TapeLibrary(shape, clock=sped_up(SPEED))
        self._places = folder / "places.tsv"
        with self._places.open("w") as places:
            for index, (tape, block) in enumerate(blocks):
                position = index * _GAP
                self._library.store(block.archive_id, folder / block.archive_id, tape=tape, position=position)
                places.write(f"{block.archive_id}\t{tape}\t{position}\n")

    @contextmanager
    def served(self) -> Iterator[Mapping[str, Mapping[str, Any]]]:
        """Serve it while the context lasts; gives the settings with which the service finds it."""
        server = TapeRestServer(self._library, root=_ROOT, tokens=[_TOKEN])
        with served(server.app) as url:
            yield {
                "lts": {"kind": "wlcg_tape", "url": url, "root_path": _ROOT, "token": _TOKEN},
                "lts.recalls": {"drives": DRIVES, "mount_age": 5, "collect_time": 5},
                # As a site's own catalogue of tapes would be asked.
                "lts.tape_places": {
                    "kind": "command",
                    "command": ["grep", "-F", "-f", "{list_file}", str(self._places)],
                },
                "flow": {"poll_maximum": 2},
            }

    def summary(self) -> str:
        """Say what the library did."""
        counts = self._library.counts()
        return (
            f"tape: mounts={counts.mounts} datablocks={self._datablocks} reads={counts.reads} "
            f"tapes={self._tapes} drives={DRIVES}"
        )
