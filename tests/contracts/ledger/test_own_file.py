"""A SQLite ledger whose file goes away, or is another one, while it is in use."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.sql import SqlLedger
from tests.contracts.ledger.samples import FLOW, JOB, HandClock, P, job


def unlink(file: Path) -> None:
    file.rename(file.with_name("aside"))


def swap(file: Path) -> None:
    shutil.copy(file, file.with_name("copy"))
    file.rename(file.with_name("aside"))
    file.with_name("copy").rename(file)


def put_an_empty_one_in_its_place(file: Path) -> None:
    unlink(file)
    file.touch()


def empty(file: Path) -> None:
    shutil.copy(file, file.with_name("aside"))
    os.truncate(file, 0)


LOSSES: list[Callable[[Path], None]] = [unlink, swap, put_an_empty_one_in_its_place, empty]


@pytest.fixture
def ledger(sqlite_url: str, clock: HandClock) -> Iterator[SqlLedger]:
    ledger = SqlLedger.at(sqlite_url, clock)
    ledger.jobs.add(job("before", P), FLOW)
    yield ledger
    ledger.close()


@pytest.fixture
def file(sqlite_url: str) -> Path:
    return Path(sqlite_url.removeprefix("sqlite:///"))


@pytest.mark.parametrize("lose", LOSSES)
def test_what_would_be_written_nowhere_is_refused(
    ledger: SqlLedger, file: Path, lose: Callable[[Path], None]
) -> None:
    lose(file)
    with pytest.raises(LedgerUnavailable, match="while the service runs: nothing is stored any more"):
        ledger.jobs.add(job(JOB, P), FLOW)
    with pytest.raises(LedgerUnavailable, match=str(file)):
        ledger.jobs.get(JOB)


def test_what_is_lost_in_the_middle_of_a_transaction_is_not_stored(ledger: SqlLedger, file: Path) -> None:
    with pytest.raises(LedgerUnavailable), ledger.database.writing():
        unlink(file)


def test_no_file_is_made_in_place_of_the_one_that_is_gone(ledger: SqlLedger, file: Path) -> None:
    unlink(file)
    for _ in range(3):
        with pytest.raises(LedgerUnavailable):
            ledger.jobs.recent()
    assert not file.exists()


def test_the_very_file_put_back_is_gone_on_with(ledger: SqlLedger, file: Path) -> None:
    unlink(file)
    with pytest.raises(LedgerUnavailable):
        ledger.jobs.add(job(JOB, P), FLOW)
    file.with_name("aside").rename(file)
    ledger.jobs.add(job(JOB, P), FLOW)
    assert ledger.jobs.get(JOB) is not None
