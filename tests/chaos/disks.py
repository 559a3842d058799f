"""Small disks of their own for staging and for the ledger, which can be filled and made read-only."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

MIB = 2**20
_NAMESPACE = "CHAOS_MOUNTS"


def enter_mount_namespace(command: list[str]) -> None:
    """Go on as `command` where disks can be mounted that vanish with the process; return where that cannot be."""
    if _NAMESPACE in os.environ:
        return
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    unshare = ["unshare", "--mount", *user]
    tried = subprocess.run([*unshare, "true"], capture_output=True, check=False)
    os.environ[_NAMESPACE] = "yes" if tried.returncode == 0 else "no"
    if tried.returncode == 0:
        os.execvp("unshare", [*unshare, *command])  # noqa: S606 - no shell is wanted


def can_mount() -> bool:
    """Whether disks can be mounted."""
    return os.environ.get(_NAMESPACE) == "yes"


class Disk:
    """A file system of its own in memory, or a plain folder where none can be mounted.

    Args:
        root: Where.
        mebibytes: Its size.
    """

    def __init__(self, root: Path, mebibytes: int) -> None:
        self.root = root
        self._ballast = root / ".ballast"
        root.mkdir(parents=True, mode=0o700)
        if can_mount():
            options = f"size={mebibytes}m,mode=700"
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root], check=True)

    def fill(self, leave: int = 0) -> None:
        """Take all room but `leave` bytes."""
        with self._ballast.open("wb") as ballast:
            size = 0
            for step in (MIB, 4096):
                with suppress(OSError):
                    while True:
                        os.posix_fallocate(ballast.fileno(), size, step)
                        size += step
        if leave:
            os.truncate(self._ballast, max(0, size - leave))

    def free(self) -> None:
        """Give the room back."""
        self._ballast.unlink(missing_ok=True)

    def read_only(self, *, on: bool) -> bool:
        """Mount it read-only or for writing; False where somebody writes."""
        words = ["mount", "-o", f"remount,{'ro' if on else 'rw'}", str(self.root)]
        done = subprocess.run(words, capture_output=True, check=False)
        return done.returncode == 0

    def unmount(self) -> None:
        """Unmount it, with all that is on it."""
        if can_mount():
            subprocess.run(["umount", "--lazy", self.root], check=False)


@contextmanager
def disk(root: Path, mebibytes: int) -> Iterator[Disk]:
    """Have a disk while the context lasts."""
    made = Disk(root, mebibytes)
    try:
        yield made
    finally:
        made.unmount()
