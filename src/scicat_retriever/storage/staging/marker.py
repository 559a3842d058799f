"""The marker of a staging area: a small text that names the ledger that the area belongs to.

    {"ledger": "<the ledger's identity>"}

It is the file `owner` in a folder, and the object `<prefix>owner` in a bucket. What it says is foreign until
it is compared.
"""

from __future__ import annotations

import json
import os
import secrets
from contextlib import suppress
from pathlib import Path

NAME = "owner"
LONGEST = 1024
"""Most bytes of a marker that are read."""
UNREADABLE = "unknown: its marker cannot be read"
"""The owner of an area whose marker cannot be read; no ledger has this identity."""


def written(ledger: str) -> bytes:
    """Give the marker that names a ledger."""
    return json.dumps({"ledger": ledger}).encode() + b"\n"


def read(marker: bytes) -> str:
    """Give the ledger that a marker names, whoever wrote it; never an error."""
    try:
        named = json.loads(marker)["ledger"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return UNREADABLE
    return named if isinstance(named, str) and 0 < len(named) <= 100 and named.isprintable() else UNREADABLE


class MarkerFile:
    """The marker of a folder.

    Args:
        folder: The folder.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / NAME

    def read(self) -> str | None:
        """Give the owner, or None where there is no marker. A link or a device is no marker of ours.

        Raises:
            OSError: The marker cannot be read.
        """
        try:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return read(os.read(descriptor, LONGEST))
        finally:
            os.close(descriptor)

    def write(self, ledger: str, *, anew: bool) -> None:
        """Write the marker, durably. A marker that is there stays, unless `anew`.

        Raises:
            OSError: The marker cannot be written.
        """
        # Written aside and linked into place, so that nobody ever reads half of it and the first of two wins.
        aside = self.path.with_name(f".{NAME}.{secrets.token_hex(4)}")
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(written(ledger))
                file.flush()
                os.fsync(descriptor)
            if anew:
                aside.replace(self.path)
            else:
                with suppress(FileExistsError):
                    os.link(aside, self.path)
        finally:
            aside.unlink(missing_ok=True)
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
