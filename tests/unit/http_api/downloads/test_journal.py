"""The rows of downloads on their way to the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event

import pytest
from structlog.testing import capture_logs

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.http_api.downloads import journal as journals
from scicat_retriever.http_api.downloads.journal import DownloadJournal, Right
from scicat_retriever.ports.downloads import Download, DownloadEnd
from tests.fakes.delivery import InMemoryDownloads
from tests.unit.pipeline.rig import JOB, HandClock

RIGHT = Right("link 1a2b3c4d", "all.zip", JOB)


class Book(InMemoryDownloads):
    """A book that can be away, and tells how it was written."""

    def __init__(self) -> None:
        super().__init__()
        self.fault: Exception | None = None
        self.batches: list[int] = []
        self.written = Event()

    def note(self, downloads: Sequence[Download]) -> None:
        if self.fault is not None:
            raise self.fault
        self.batches.append(len(downloads))
        super().note(downloads)
        self.written.set()

    @property
    def rows(self) -> list[Download]:
        """The oldest first."""
        return [each for _, each in self.find(limit=10**6)][::-1]


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def journal(book: Book, clock: HandClock) -> DownloadJournal:
    return DownloadJournal(book, clock)


def test_nothing_is_written_until_many_rows_are_written_at_once(journal: DownloadJournal, book: Book) -> None:
    for _ in range(1200):
        journal.end(journal.begin(RIGHT, range(10)), DownloadEnd.WHOLE)
    assert book.batches == []
    journal.write()
    assert (len(book.rows), max(book.batches), len(book.batches)) == (1200, 500, 3)
    journal.write()
    assert len(book.batches) == 3


def test_one_download_is_one_row_from_beginning_to_end(
    journal: DownloadJournal, book: Book, clock: HandClock
) -> None:
    began = clock()
    running = journal.begin(RIGHT, range(5, 25))
    journal.write()
    (row,) = book.rows
    assert row == Download(row.id, "link 1a2b3c4d", "all.zip", 5, 24, began, began, JOB)
    running.sent = 7
    clock.advance(timedelta(seconds=9))
    journal.end(running, DownloadEnd.BROKEN_OFF)
    journal.write()
    end = began + timedelta(seconds=9)
    assert book.rows == [
        Download(row.id, "link 1a2b3c4d", "all.zip", 5, 24, began, end, JOB, 7, DownloadEnd.BROKEN_OFF)
    ]


def test_a_download_that_runs_on_is_told_of_now_and_then(
    journal: DownloadJournal, book: Book, clock: HandClock
) -> None:
    running = journal.begin(RIGHT, range(10**9))
    running.sent = 10**6
    clock.advance(journals.SEEN_AGAIN_AFTER - timedelta(seconds=1))
    journal.tell_of_running()
    journal.write()
    assert book.rows[0].sent == 0
    clock.advance(timedelta(seconds=1))
    journal.tell_of_running()
    journal.write()
    assert (book.rows[0].sent, book.rows[0].seen) == (10**6, clock())


@pytest.mark.parametrize("fault", [LedgerUnavailable("the database does not answer"), RuntimeError("odd")])
def test_what_cannot_be_written_now_is_written_later(
    journal: DownloadJournal, book: Book, fault: Exception
) -> None:
    book.fault = fault
    running = journal.begin(RIGHT, range(10))
    with capture_logs() as lines:
        journal.write()
        journal.end(running, DownloadEnd.WHOLE)
        journal.write()
    assert book.rows == []
    assert lines
    book.fault = None
    journal.write()
    assert [each.end for each in book.rows] == [DownloadEnd.WHOLE]


def test_a_ledger_that_is_away_is_told_of_in_the_log_once(journal: DownloadJournal, book: Book) -> None:
    book.fault = LedgerUnavailable("the database does not answer")
    journal.begin(RIGHT, range(10))
    with capture_logs() as lines:
        for _ in range(5):
            journal.write()
    assert len(lines) == 1


def test_only_the_newest_rows_wait_for_a_ledger_that_is_away_and_the_log_tells_how_many_went(
    book: Book, clock: HandClock
) -> None:
    journal = DownloadJournal(book, clock, most_waiting=100)
    book.fault = LedgerUnavailable("the database does not answer")
    for number in range(250):
        journal.end(journal.begin(Right("link", f"{number}"), range(1)), DownloadEnd.WHOLE)
        journal.write()
    book.fault = None
    with capture_logs() as lines:
        journal.write()
    assert [each.what for each in book.rows] == [f"{number}" for number in range(150, 250)]
    assert [line["count"] for line in lines] == [150]


def test_words_that_come_while_others_are_written_are_not_lost(clock: HandClock) -> None:
    class BusyBook(Book):
        def note(self, downloads: Sequence[Download]) -> None:
            if not self.batches:
                journal.end(running, DownloadEnd.WHOLE)
            super().note(downloads)

    book = BusyBook()
    journal = DownloadJournal(book, clock)
    running = journal.begin(RIGHT, range(0))
    journal.write()
    journal.write()
    assert [each.end for each in book.rows] == [DownloadEnd.WHOLE]


def test_threads_may_note_at_once(journal: DownloadJournal, book: Book) -> None:
    def work(_: int) -> None:
        journal.note_elsewhere(RIGHT, range(9))
        journal.write()

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(work, range(200)))
    journal.write()
    assert [(each.end, each.sent) for each in book.rows] == [(DownloadEnd.ELSEWHERE, None)] * 200


def test_a_row_is_one_line_of_bounded_length(journal: DownloadJournal, book: Book) -> None:
    journal.note_elsewhere(Right("link", "a\x00b\nc\ud800" + "d" * 5000), range(1))
    journal.write()
    assert book.rows[0].what.startswith("a b c d")
    assert len(book.rows[0].what) == 1000


def test_rows_are_written_while_the_task_runs_and_the_last_ones_at_its_end(
    journal: DownloadJournal, book: Book
) -> None:
    async def served() -> None:
        task = asyncio.create_task(journal.run())
        first = journal.begin(RIGHT, range(1))
        assert await asyncio.to_thread(book.written.wait, 60)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        last = journal.begin(RIGHT, range(1))
        closing = asyncio.create_task(journal.close())
        await asyncio.sleep(0)
        journal.end(first, DownloadEnd.WHOLE)
        journal.end(last, DownloadEnd.BROKEN_OFF)
        await closing

    asyncio.run(served())
    assert {each.end for each in book.rows} == {DownloadEnd.WHOLE, DownloadEnd.BROKEN_OFF}


def test_at_the_end_the_log_tells_of_rows_that_the_ledger_does_not_take(
    journal: DownloadJournal, book: Book
) -> None:
    book.fault = LedgerUnavailable("the database does not answer")
    journal.note_elsewhere(RIGHT, range(1))
    with capture_logs() as lines:
        asyncio.run(journal.close())
    assert [line.get("count") for line in lines] == [None, 1]
