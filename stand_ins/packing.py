"""Pack a real folder into datasets of tar datablocks, as an archiver would, and keep what is needed to compare."""

from __future__ import annotations

import hashlib
import os
import stat
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SKIPPED_FOLDERS = {"__pycache__", "site-packages", ".git"}
"""Folders that are not packed: they change while their files are in use, or would make the demo long."""


@dataclass(frozen=True, slots=True)
class PackedDatablock:
    """A tar archive in the long-term store, as the catalogue should know it.

    Attributes:
        archive_id: Its name in the store.
        size: Bytes of its files.
        packed_size: Bytes of the archive.
        files: SciCat's `dataFileList`.
    """

    archive_id: str
    size: int
    packed_size: int
    files: list[dict[str, Any]] = field(repr=False)

    def as_scicat(self, algorithm: str) -> dict[str, Any]:
        """Give SciCat's `CreateDatablockDto`."""
        return {
            "archiveId": self.archive_id,
            "size": self.size,
            "packedSize": self.packed_size,
            "chkAlg": algorithm,
            "version": "1.0",
            "dataFileList": self.files,
        }


@dataclass(frozen=True, slots=True)
class PackedDataset:
    """A dataset: its pid, its name and its datablocks."""

    pid: str
    name: str
    datablocks: list[PackedDatablock]


def regular_files(folder: Path) -> list[Path]:
    """List the readable regular files below a folder, sorted.

    Links are left out, and what cannot be read, and names that are no Unicode text, which SciCat's JSON cannot hold.
    """
    found = []
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(set(folders) - SKIPPED_FOLDERS)
        for name in sorted(names):
            path = Path(place, name)
            if stat.S_ISREG(path.lstat().st_mode) and os.access(path, os.R_OK) and _is_text(str(path)):
                found.append(path)
    return found


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def pack(
    folder: Path, store: Path, *, datasets: int = 4, datablocks: int = 4, algorithm: str = "sha256"
) -> Iterator[PackedDataset]:
    """Pack the files below a folder into datasets of tar datablocks, one dataset at a time.

    Args:
        folder: What to pack; it is only read.
        store: The folder that stands for the long-term store.
        datasets: How many datasets to make, fewer where there are fewer files.
        datablocks: How many datablocks each has at the most.
        algorithm: Of the files' checksums, as `hashlib` calls it.
    """
    files = regular_files(folder)
    for number, share in enumerate(_shares(files, datasets), start=1):
        pid = f"20.500.12345/demo-{number}"
        blocks = [
            _pack_datablock(folder, part, store, f"demo-{number}/block-{index:03d}.tar", algorithm)
            for index, part in enumerate(_shares(share, datablocks), start=1)
        ]
        yield PackedDataset(pid, f"{folder.name} part {number}", blocks)


def _shares(files: Sequence[Path], count: int) -> Iterator[Sequence[Path]]:
    """Cut a list into at most `count` runs of about the same number of bytes, none empty."""
    total = sum(path.stat().st_size for path in files)
    start = 0
    for share in range(count):
        left = count - share - 1
        end, size = start, 0
        while end < len(files) - left and (size < total / count or left == 0 or end == start):
            size += files[end].stat().st_size
            end += 1
        if end > start:
            yield files[start:end]
        start = end


def _pack_datablock(
    folder: Path, files: Sequence[Path], store: Path, archive_id: str, algorithm: str
) -> PackedDatablock:
    archive = store / archive_id
    archive.parent.mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, Any]] = []
    size = 0
    with tarfile.open(archive, "w", format=tarfile.PAX_FORMAT) as tar:
        for path in files:
            name = path.relative_to(folder).as_posix()
            with path.open("rb") as opened:
                member = tar.gettarinfo(arcname=name, fileobj=opened)
                # Files that are linked to each other are packed as files of their own.
                member.type, member.linkname = tarfile.REGTYPE, ""
                member.size = os.fstat(opened.fileno()).st_size
                tar.addfile(member, opened)
                opened.seek(0)
                digest = hashlib.file_digest(opened, algorithm).hexdigest()
            size += member.size
            moment = datetime.fromtimestamp(int(member.mtime), UTC)
            entries.append(
                {"path": name, "size": member.size, "time": f"{moment:%Y-%m-%dT%H:%M:%S.000Z}", "chk": digest}
            )
    return PackedDatablock(archive_id, size, archive.stat().st_size, entries)
