"""Fixity: staged datablocks are read again in the background, slowly, and compared with what was verified once."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

import xxhash

from scicat_retriever.domain.errors import StagedFileMissing
from scicat_retriever.onepass.copying import archive_checksum_name
from scicat_retriever.pipeline.inventory import withdraw
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord

FINDING = "fixity"
"""Under which name the ledger keeps what was found last."""
CHUNK = 2**20
"""Bytes read at once."""


class Fixity(StrEnum):
    """What became of a datablock that was read again."""

    RIGHT = "right"
    WRONG = "wrong"
    GONE = "gone"
    """It was released meanwhile."""


@dataclass(frozen=True, slots=True)
class FixityPace:
    """How staged datablocks are read again.

    Attributes:
        every: Each is read again after this time.
        bytes_per_second: How fast, at the most; 0 where they are never read again.
    """

    every: timedelta
    bytes_per_second: int


def check_next(
    pace: FixityPace,
    tools: Toolbox,
    *,
    cancelled: Callable[[], bool],
    pause: Callable[[float], None] = time.sleep,
) -> Fixity | None:
    """Read the datablock again whose turn it is; one that is wrong is withdrawn and retrieved again.

    Args:
        pace: How.
        tools: The ports.
        cancelled: Asked between reads; True ends the reading, and its turn comes again.
        pause: Waits so many seconds.

    Returns:
        What was found; None where no datablock's turn has come, or the reading was cancelled.

    Raises:
        StagingError: The staging area cannot be read.
    """
    if not pace.bytes_per_second:
        return None
    record = tools.ledger.next_to_check(tools.clock() - pace.every)
    if record is None:
        return None
    try:
        checksum = _read(record, pace.bytes_per_second, tools, cancelled, pause)
    except OSError as error:
        # A disk that gives some of its files no more.
        checksum = f"cannot be read: {error.strerror}"
    except StagedFileMissing:
        checksum = "is not there"
    if checksum is None:
        return None
    if checksum == record.archive_checksum:
        tools.ledger.note_checked(record.key)
        return Fixity.RIGHT
    changed = f"its staged file has changed: {checksum}, not {record.archive_checksum}"
    return Fixity.WRONG if withdraw(record, changed, tools) else Fixity.GONE


def _read(
    record: DatablockRecord,
    bytes_per_second: int,
    tools: Toolbox,
    cancelled: Callable[[], bool],
    pause: Callable[[float], None],
) -> str | None:
    """Give the checksum of a staged file, read no faster than allowed; None where that was cancelled."""
    digest = xxhash.xxh3_128()
    begun = time.monotonic()
    done = 0
    with tools.staging.open_staged(record.key, record.partial) as file:
        while chunk := file.read(CHUNK):
            if cancelled():
                return None
            digest.update(chunk)
            done += len(chunk)
            ahead = done / bytes_per_second - (time.monotonic() - begun)
            if ahead > 0:
                pause(ahead)
    return f"{archive_checksum_name()}:{digest.hexdigest()}"
