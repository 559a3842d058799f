"""What was downloaded, as the ledger keeps it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.downloads import Download, DownloadEnd, DownloadSum
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import HOUR, JOB, ODD, START

OTHER = JobId("other")


def begun(number: int, job_id: JobId | None = JOB) -> Download:
    began = START + number * HOUR
    return Download(f"id-{number}", "link 1a2b", ODD, 5, 104, began, began, job_id)


def ended(number: int, sent: int = 100, job_id: JobId | None = JOB) -> Download:
    download = begun(number, job_id)
    return replace(download, sent=sent, end=DownloadEnd.WHOLE, seen=download.began + timedelta(seconds=1))


def test_a_download_is_one_row_whose_end_is_noted_later(ledger: Ledger) -> None:
    ledger.downloads.note([begun(1)])
    assert [each for _, each in ledger.downloads.find()] == [begun(1)]
    ledger.downloads.note([ended(1)])
    assert [each for _, each in ledger.downloads.find()] == [ended(1)]


def test_of_a_download_that_runs_the_last_word_holds(ledger: Ledger) -> None:
    ledger.downloads.note([begun(1)])
    later = replace(begun(1), sent=7, seen=START + 2 * HOUR)
    ledger.downloads.note([later])
    assert [each for _, each in ledger.downloads.find()] == [later]


def test_bytes_that_come_from_elsewhere_are_not_known_and_not_summed_up(ledger: Ledger) -> None:
    elsewhere = replace(begun(1), sent=None, end=DownloadEnd.ELSEWHERE)
    ledger.downloads.note([elsewhere])
    assert [each for _, each in ledger.downloads.find()] == [elsewhere]
    assert list(ledger.downloads.sums([JOB])) == [DownloadSum(JOB, 1, 0, START + HOUR)]
    ledger.downloads.note([ended(2)])
    assert list(ledger.downloads.sums([JOB])) == [DownloadSum(JOB, 2, 100, START + 2 * HOUR)]


def test_a_word_that_comes_late_does_not_undo_an_end(ledger: Ledger) -> None:
    ledger.downloads.note([ended(1), begun(1)])
    ledger.downloads.note([begun(1)])
    ledger.downloads.note([replace(ended(1), end=DownloadEnd.FAILED)])
    assert [each for _, each in ledger.downloads.find()] == [ended(1)]


def test_the_last_ones_are_found_first_by_pages(ledger: Ledger) -> None:
    ledger.downloads.note([begun(number) for number in range(4)])
    ledger.downloads.note([begun(9, None), begun(8, OTHER)])
    first = ledger.downloads.find(JOB, limit=3)
    assert [each for _, each in first] == [begun(3), begun(2), begun(1)]
    assert [each for _, each in ledger.downloads.find(JOB, before=first[-1][0])] == [begun(0)]
    assert len(ledger.downloads.find()) == 6


def test_sums_are_of_each_job(ledger: Ledger) -> None:
    ledger.downloads.note(
        [ended(1), ended(2, sent=7), begun(3), ended(4, job_id=OTHER), ended(5, job_id=None)]
    )
    assert list(ledger.downloads.sums([JOB, JobId("none")])) == [DownloadSum(JOB, 3, 107, START + 3 * HOUR)]


def test_old_ones_are_forgotten_some_at_a_time_the_oldest_first(ledger: Ledger) -> None:
    ledger.downloads.note([ended(number) for number in range(5)])
    assert ledger.downloads.forget(START + 4 * HOUR, 3) == 3
    assert [each for _, each in ledger.downloads.find()] == [ended(4), ended(3)]
    assert ledger.downloads.forget(START + 4 * HOUR, 3) == 1
    assert ledger.downloads.forget(START + 4 * HOUR, 3) == 0
