"""Files of a staging area that no ledger knows: left there where a ledger was restored from a backup."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

_BATCH = 5000
"""Files looked at together."""


def strays(root: Path, known: Callable[[Collection[str]], Collection[str]]) -> Iterator[Path]:
    """Find the files whose token no datablock has. Nobody may be writing to the staging area meanwhile.

    Args:
        root: The staging area.
        known: Says which of some tokens have a datablock.
    """
    files = (path for folder in ("partial", "staged") for path in (root / folder).glob("*/*"))
    while batch := list(islice(files, _BATCH)):
        tokens = known({path.name for path in batch})
        yield from (path for path in batch if path.name not in tokens)


def remove(stray: Path) -> None:
    """Remove a file, and its folder if that leaves it empty."""
    stray.unlink(missing_ok=True)
    with suppress(OSError):  # another datablock's file is in it
        stray.parent.rmdir()
