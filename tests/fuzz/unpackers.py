"""The programs that scientists unpack tars with, and what each of them leaves in a folder."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

_SECONDS = 60
_ALL = 0o777

Tree = dict[str, tuple[str, int, str]]
"""Path -> (kind, bytes, sha256 of a file or target of a symbolic link)."""


@dataclass(frozen=True)
class Unpacked:
    """What a program made of a tar.

    Attributes:
        error: what it said where it did not end well; empty where it did.
        tree: what it left.
    """

    error: str
    tree: Tree


def unpacked_by_all(tar: bytes) -> dict[str, Unpacked]:
    """Unpack a tar with each program that is installed, each time in a new folder.

    For tars that verification takes, or would take: those are known to stay in the folder, and to be no larger than they are.
    """
    found = {}
    for name, unpack in UNPACKERS.items():
        with tempfile.TemporaryDirectory(prefix="unpacked-") as work:
            archive, folder = Path(work) / "it.tar", Path(work) / "out"
            archive.write_bytes(tar)
            folder.mkdir()
            error = unpack(archive, folder)
            found[name] = Unpacked(error, tree_of(folder))
    return found


def tree_of(folder: Path) -> Tree:
    """List what lies in a folder, and make all of it removable."""
    tree: Tree = {}
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        here.chmod(stat.S_IMODE(here.stat().st_mode) | _ALL)
        for entry in os.scandir(here):
            path = entry.path[len(str(folder)) + 1 :]
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISLNK(mode):
                tree[path] = ("symlink", 0, os.readlink(entry.path))  # noqa: PTH115 - a Path would tidy it
            elif stat.S_ISDIR(mode):
                tree[path] = ("directory", 0, "")
                waiting.append(Path(entry.path))
            elif stat.S_ISREG(mode):
                Path(entry.path).chmod(_ALL)
                content = Path(entry.path).read_bytes()
                tree[path] = ("file", len(content), hashlib.sha256(content).hexdigest())
            else:
                tree[path] = ("other", 0, "")
    return tree


def _by_command(program: str) -> Callable[[Path, Path], str]:
    def unpack(archive: Path, folder: Path) -> str:
        # Names are bytes to all of them in this locale; nobody's owner and no special bits are taken from the tar.
        done = subprocess.run(
            [
                program,
                "-x",
                "-f",
                str(archive),
                "-C",
                str(folder),
                "--no-same-owner",
                "--no-same-permissions",
            ],
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
        words = done.stderr.decode("utf-8", "replace").strip()
        return (words or f"exit code {done.returncode}") if done.returncode else ""

    return unpack


def _by_tarfile(archive: Path, folder: Path) -> str:
    try:
        with tarfile.open(archive, "r:", encoding="utf-8", errors="surrogateescape") as opened:
            opened.extractall(folder, filter="tar")
    except Exception as error:  # noqa: BLE001 - whatever it raises, it did not end in silence
        return repr(error)
    return ""


COMMANDS = MappingProxyType({"GNU tar": "tar", "bsdtar": "bsdtar"})
MISSING = tuple(name for name, command in COMMANDS.items() if shutil.which(command) is None)
"""Those of the programs that are not installed."""

UNPACKERS: MappingProxyType[str, Callable[[Path, Path], str]] = MappingProxyType(
    {
        **{name: _by_command(command) for name, command in COMMANDS.items() if name not in MISSING},
        "tarfile": _by_tarfile,
    }
)
