"""The journal of downloads: one row for each request that is answered with bytes, for the ledger to keep.

Rows are gathered in memory and written in batches, about once a second, by one task beside the application: a
thousand downloads that wrote their own rows would keep the ledger from taking jobs. So a process that is
killed loses the words of its last second.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from threading import Lock

import structlog
from starlette.requests import HTTPConnection

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.foreign_text import one_line
from scicat_retriever.domain.ids import JobId
from scicat_retriever.pipeline.tools.toolbox import Clock
from scicat_retriever.ports.downloads import Download, DownloadEnd, Downloads

log = structlog.get_logger(__name__)
MOST_WAITING = 10_000
"""Rows that wait for a ledger that does not answer; the newest ones are kept."""
SEEN_AGAIN_AFTER = timedelta(minutes=1)
"""How often the ledger is told of downloads that run on."""
INTERVAL = 1.0
"""Seconds between two looks for rows to be written."""
LONGEST_END = 5.0
"""Seconds that the last downloads have to end in, once the process ends."""
_BATCH = 500
"""Rows of one transaction: short enough for the ledger to take jobs between two."""
_LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Right:
    """By whose right something is downloaded. No secret is in it.

    Attributes:
        who: The name of the link, from which the link cannot be made.
        what: The path below the retrieval, or the name of the datablock's file.
        job_id: The job of the retrieval; None for a link to one datablock.
    """

    who: str
    what: str
    job_id: JobId | None = None


class Running:
    """A download that runs: what was sent is counted here, by the event loop's thread alone."""

    def __init__(self, download: Download) -> None:
        self._begun = download
        self.sent = 0

    def row(self, seen: datetime, end: DownloadEnd = DownloadEnd.RUNNING) -> Download:
        """Give the row as it is now."""
        return replace(self._begun, seen=seen, sent=self.sent, end=end)


class DownloadJournal:
    """The journal of one process.

    Args:
        book: Keeps the rows.
        clock: Gives the time, UTC and aware.
        most_waiting: Rows that wait for the ledger at most.
    """

    def __init__(self, book: Downloads, clock: Clock, most_waiting: int = MOST_WAITING) -> None:
        self._book, self._clock, self._most_waiting = book, clock, most_waiting
        self._running: set[Running] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._told_of_running = clock()
        self._waiting: dict[str, Download] = {}
        self._dropped = 0
        self._is_away = False
        self._lock, self._writing = Lock(), Lock()

    def begin(self, right: Right, wanted: range) -> Running:
        """Note that bytes begin to be sent; call it in the event loop's thread, as `end`."""
        running = Running(self._row(right, wanted))
        self._running.add(running)
        self._idle.clear()
        self._note([running.row(self._clock())])
        return running

    def end(self, running: Running, end: DownloadEnd) -> None:
        """Note how it ended."""
        self._running.discard(running)
        if not self._running:
            self._idle.set()
        self._note([running.row(self._clock(), end)])

    def note_elsewhere(self, right: Right, wanted: range) -> None:
        """Note that a client was sent elsewhere for its bytes. May be called from any thread."""
        self._note([replace(self._row(right, wanted), sent=None, end=DownloadEnd.ELSEWHERE)])

    def _row(self, right: Right, wanted: range) -> Download:
        now = self._clock()
        what = one_line(right.what, _LONGEST_TEXT)
        return Download(
            str(uuid.uuid4()), right.who, what, wanted.start, wanted.stop - 1, now, now, right.job_id
        )

    def _note(self, downloads: Iterable[Download]) -> None:
        with self._lock:
            for each in downloads:
                self._waiting.pop(each.id, None)
                self._waiting[each.id] = each
                if len(self._waiting) > self._most_waiting:
                    del self._waiting[next(iter(self._waiting))]
                    self._dropped += 1

    async def run(self) -> None:
        """Write rows until cancelled. A ledger that does not answer is told later."""
        while True:
            await asyncio.sleep(INTERVAL)
            self.tell_of_running()
            await asyncio.to_thread(self.write)

    def tell_of_running(self) -> None:
        """Note downloads that run on, each `SEEN_AGAIN_AFTER`, so that they are not taken for lost."""
        now = self._clock()
        if now - self._told_of_running >= SEEN_AGAIN_AFTER:
            self._told_of_running = now
            self._note(each.row(now) for each in self._running)

    async def close(self) -> None:
        """Write the last rows, once the last downloads have ended; these may take `LONGEST_END`."""
        try:
            async with asyncio.timeout(LONGEST_END):
                await self._idle.wait()
        except TimeoutError:
            log.warning(
                "downloads did not end in time: how they ended is not noted", count=len(self._running)
            )
        await asyncio.to_thread(self.write)
        if self._waiting:
            log.warning("rows of downloads are lost: the ledger did not take them", count=len(self._waiting))

    def write(self) -> None:
        """Write what waits now, the oldest words first. What cannot be written now waits on."""
        with self._writing:
            try:
                for _ in range(self._most_waiting // _BATCH + 1):
                    if not self._write_batch():
                        break
                self._is_away = False
            except LedgerUnavailable as error:
                if not self._is_away:  # once, not each second
                    log.warning("downloads cannot be noted in the ledger now; they will be", why=str(error))
                self._is_away = True
            except Exception:
                # If the task that calls this ended, no download would be noted any more.
                log.exception("downloads cannot be noted in the ledger by a fault of the service")

    def _write_batch(self) -> bool:
        with self._lock:
            batch = list(islice(self._waiting.values(), _BATCH))
        if not batch:
            return False
        self._book.note(batch)
        with self._lock:
            for each in batch:
                if self._waiting.get(each.id) is each:
                    del self._waiting[each.id]
            dropped, self._dropped = self._dropped, 0
        if dropped:
            log.warning(
                "words of downloads were dropped: too many waited for the ledger, the oldest went first",
                count=dropped,
            )
        return True


def journal_of(connection: HTTPConnection) -> DownloadJournal:
    """Give the journal that the application was made with."""
    journal = connection.app.state.journal
    assert isinstance(journal, DownloadJournal)  # noqa: S101 - tells the type checker what `create_app` put there
    return journal
