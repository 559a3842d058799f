"""Copying: which datablocks can be copied now, and the copy of one that can, with how often it may fail.

What is not there, or goes away again, is asked for and waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from scicat_retriever.domain.errors import JobCancelled, RetrieverError
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.recalls.verdict import WAITED_FOR
from scicat_retriever.pipeline.tools.attempts import NOT_COUNTED, WAITS_FOR_STAGING, AttemptFailed
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.ports.datablock_record import DatablockRecord

LONGEST_LOOK = 3600.0
"""Seconds after which recalls are looked at though nobody told that there is news: the word may be lost."""
_SHORTLY = 0.05


def to_copy(
    pid: DatasetPid, after: int, limit: int, tools: Toolbox, cancelled: Callable[[], bool]
) -> tuple[list[DatablockRecord], list[DatablockRecord]]:
    """Give the wanted datablocks of a page that are not copied: those that can be now, and those asked for.

    Args:
        pid: The dataset.
        after: Where the page begins in the dataset's list.
        limit: Its length.
        tools: The ports.
        cancelled: Asked before anything is asked for.

    Raises:
        JobCancelled: `cancelled` said so; nothing was done.
    """
    records = [
        each
        for each in tools.ledger.datablocks.of(pid, after, limit)
        if each.wanted and not transfer.is_copied(each, tools)
    ]
    ready = recall.prepare(records, tools, cancelled)
    there = {record.key.id for record in ready}
    return ready, [record for record in records if record.key.id not in there]


def next_look(news: recall.News) -> float:
    """Give the seconds after which it is worth looking at recalls again if nobody says that there is news."""
    return (
        LONGEST_LOOK if news.patience is None else min(LONGEST_LOOK, news.patience.total_seconds() + _SHORTLY)
    )


@dataclass(slots=True)
class Tries:
    """How often the datablock has failed at which the attempts at a batch have failed.

    Attributes:
        allowed: How often one may.
        remember: Told the datablock that failed, and how often, for the next attempt.
        failing: The datablock that failed at the attempt before.
        failures: How often it has.
    """

    allowed: int
    remember: Callable[[DatablockId, int], None]
    failing: str = ""
    failures: int = 0

    def is_last(self, failed: DatablockId, error: RetrieverError) -> bool:
        """Count a failure, where it is one of the archive's; gives whether no further attempt is allowed."""
        before = self.failures if failed == self.failing else 0
        self.failing, self.failures = failed, before + (0 if isinstance(error, NOT_COUNTED) else 1)
        self.remember(failed, self.failures)
        return self.failures >= self.allowed


def bring(record: DatablockRecord, tries: Tries, tools: Toolbox, cancelled: Callable[[], bool]) -> bool:
    """Copy a datablock's archive into staging, unless that is done; False where it went back to tape.

    One that went back is asked for: the flow waits for it again, with the time that a recall, or its
    appearing, may take.

    Args:
        record: The datablock.
        tries: How often it has failed.
        tools: The ports.
        cancelled: Asked a few times a second; the copy stops when it says True.

    Raises:
        JobCancelled: `cancelled` said so.
        AttemptFailed: It failed; whether for good, the error and its tries say.
    """
    if transfer.is_copied(record, tools):
        return True
    try:
        _recall_and_copy(record, tools, cancelled)
    except WAITED_FOR:
        return False
    except JobCancelled:
        raise
    except RetrieverError as error:
        if isinstance(error, WAITS_FOR_STAGING):
            # What the datablock waits for is shown.
            tools.ledger.datablocks.move(record.key, DatablockState.RECALLING, str(error))
        is_final = tries.is_last(record.key.id, error)
        raise AttemptFailed(error, is_final=is_final, archive_id=record.datablock.archive_id) from error
    return True


def _recall_and_copy(record: DatablockRecord, tools: Toolbox, cancelled: Callable[[], bool]) -> None:
    stop_if(cancelled)
    recalled = recall.recall(record, tools, cancelled)

    def progress(bytes_done: int) -> None:
        if bytes_done != recalled.size:  # that all are done, the finished copy tells
            tools.ledger.datablocks.note_progress(record.key, bytes_done)

    try:
        transfer.copy(recalled, record, tools, progress=progress, cancelled=cancelled)
    except WAITED_FOR:
        # It was online when it was looked at, and could not be opened.
        tools.ledger.recalls.want([record.key])
        raise
