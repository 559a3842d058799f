"""Fixity: staged datablocks are read again, slowly, and compared with the bytes that were verified.

Those that were staged by an earlier release get a manifest of the present version on the way.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field

import structlog

from scicat_retriever.domain.errors import StagingError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.onepass.staged_sums import StagedSums, archive_checksum_name
from scicat_retriever.pipeline.staging.fixity_pace import FixityPace
from scicat_retriever.pipeline.staging.inventory import FEW, mend, withdraw
from scicat_retriever.pipeline.staging.renewal import Renewal, renewal_of
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.datablock_record import DatablockRecord

FINDING = "fixity"
"""Under which name the ledger keeps what was found last."""
CHUNK = 2**20
"""Bytes read at once, and fewer where that would take longer than a second."""
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Fixity:
    """What one look found. Counts of datablocks.

    Attributes:
        right: Read, and as they were verified.
        wrong: Read twice and different, and withdrawn: they are retrieved again for whoever has links to
            them.
        unreadable: Could not be read, and left as they are.
        renewed: Of those that were right, how many got a manifest of the present version.
        advice: What an operator should look after; empty where all is mended.
    """

    right: int = 0
    wrong: int = 0
    unreadable: int = 0
    renewed: int = 0
    advice: str = ""

    def as_finding(self) -> Mapping[str, int | str]:
        """Give it as the ledger keeps it."""
        return asdict(self)


def look(pace: FixityPace, tools: Toolbox, cancelled: Callable[[], bool]) -> int:
    """Do the regular look: `FixityLook`, whose finding is kept for operators after each datablock.

    Args:
        pace: How.
        tools: The ports.
        cancelled: Asked between reads; True ends the look.

    Returns:
        How many datablocks were withdrawn.

    Raises:
        JobCancelled: `cancelled` said so.
    """
    found = FixityLook(pace, tools, cancelled).run(
        lambda found: tools.ledger.findings.note(FINDING, found.as_finding())
    )
    stop_if(cancelled)
    if found.advice:
        log.error("staged files have changed", advice=found.advice)
    return found.wrong


@dataclass
class FixityLook:
    """One look at all staged datablocks whose turn has come.

    Attributes:
        pace: How.
        tools: The ports.
        cancelled: Asked between reads; True ends the look, and what was not read keeps its turn.
        pause: Waits so many seconds.
        found: What was found so far.
    """

    pace: FixityPace
    tools: Toolbox
    cancelled: Callable[[], bool]
    pause: Callable[[float], None] = time.sleep
    found: Fixity = field(default_factory=Fixity)
    _unreadable: set[DatablockKey] = field(default_factory=set)

    def run(self, told: Callable[[Fixity], None] = lambda _: None) -> Fixity:
        """Read them one after the other.

        Ends with an advice where too many are wrong: a disk or a mount is, then.

        Args:
            told: Gets what was found so far after each datablock.
        """
        while self.pace.fixity_bytes_per_second and not self.cancelled():
            due = self.tools.clock() - self.pace.every
            record = self.tools.ledger.inventory.next_to_check(due, self._unreadable)
            if record is None:
                break
            self._check(record)
            told(self.found)
            if self.found.wrong + self.found.unreadable > FEW:
                self.found.advice = (
                    "many staged files changed or cannot be read: look after the storage of staging"
                )
                told(self.found)
                break
        mend(self.tools)
        return self.found

    def _check(self, record: DatablockRecord) -> None:
        renewal = renewal_of(record, self.tools)
        sums = self._read(record, renewal)
        if sums is not None and _checksum(sums) != record.archive_checksum and not self.cancelled():
            # Once more, before good bytes are given up for a read that went wrong.
            renewal = renewal_of(record, self.tools)
            sums = self._read(record, renewal)
        if self.cancelled():
            return
        if sums is None:
            self.found.unreadable += 1
            self._unreadable.add(record.key)
        elif _checksum(sums) == record.archive_checksum:
            if renewal is not None and (renewed := renewal.finish(sums.pieces())) is not None:
                self.found.renewed += self.tools.ledger.copies.renew_manifest(
                    record.key, renewal.old.seal, renewed
                )
            self.tools.ledger.inventory.note_checked(record.key)
            self.found.right += 1
        else:
            changed = f"its staged file has changed: {_checksum(sums)}, not {record.archive_checksum}"
            self.found.wrong += withdraw(record, changed, self.tools)

    def _read(self, record: DatablockRecord, renewal: Renewal | None) -> StagedSums | None:
        """Give the sums of a staged file, read no faster than allowed; None where it cannot be read.

        One that is gone is no matter of fixity: the inventory sees to it.
        """
        also = self.tools.checksums.also
        sums = StagedSums(() if also is None else also.algorithms)
        begun, done = time.monotonic(), 0
        try:
            with self.tools.staging.open_staged(record.key, record.partial) as file:
                while chunk := file.read(min(CHUNK, self.pace.fixity_bytes_per_second)):
                    if self.cancelled():
                        break
                    sums.update(memoryview(chunk))
                    if renewal is not None:
                        renewal.feed(chunk)
                    done += len(chunk)
                    ahead = done / self.pace.fixity_bytes_per_second - (time.monotonic() - begun)
                    if ahead > 0:
                        self.pause(ahead)
        except (OSError, StagingError):
            return None
        return sums


def _checksum(sums: StagedSums) -> str:
    return f"{archive_checksum_name()}:{sums.checksum}"
