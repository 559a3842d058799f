"""A ledger is copied while others write to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.ids import JobId
from scicat_retriever.ledger.backup import copy_ledger, known_tokens, sqlite_file
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.pipeline.jobs import intake


def opened(file: Path) -> SqlLedger:
    return open_ledger(f"sqlite:///{file}", lambda: datetime.now(UTC))


def add(ledger: SqlLedger, name: str) -> None:
    intake.accept(RetrieveJob(JobId(name), "retrieve", (), "ada", "proposal"), ledger.jobs)


def test_a_copy_holds_what_is_in_the_write_ahead_log_and_nothing_that_came_later(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "ledger.sqlite")) as ledger:
        add(ledger, "before")
        copy_ledger(tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite")
        add(ledger, "after")
    with closing(opened(tmp_path / "copy.sqlite")) as copy:
        assert copy.jobs.get(JobId("before")) is not None
        assert copy.jobs.get(JobId("after")) is None


def test_a_copy_is_made_while_another_writes(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "ledger.sqlite")) as ledger:
        add(ledger, "stored")
        with ledger.database.writing():
            copy_ledger(tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite")
        add(ledger, "another")
    with closing(opened(tmp_path / "copy.sqlite")) as copy:
        assert copy.jobs.get(JobId("stored")) is not None


def test_a_copy_is_one_file(tmp_path: Path) -> None:
    with closing(opened(tmp_path / "ledger.sqlite")):
        copy_ledger(tmp_path / "ledger.sqlite", tmp_path / "copy.sqlite")
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.sqlite"]


def test_a_damaged_ledger_is_not_backed_up(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    with closing(opened(file)) as ledger:
        for number in range(50):
            add(ledger, f"job-{number}")
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(file.read_bytes())
    for page in range(2, len(content) // 4096):
        content[page * 4096 : page * 4096 + 64] = b"\xff" * 64
    file.write_bytes(content)
    with pytest.raises(LedgerUnavailable, match=rf"{file}.* damaged"):
        copy_ledger(file, tmp_path / "copy.sqlite")
    assert list(tmp_path.glob("copy*")) == []


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "holds no ledger.*restore a backup that is sound"),
        (b"no database" * 1000, "is damaged.*restore a backup that is sound"),
        (b"SQLite format 3\0" + b"\xa5" * 8000, "is damaged.*restore a backup that is sound"),
    ],
    ids=["empty", "foreign", "damaged"],
)
def test_a_file_that_is_no_ledger_is_named_and_nothing_is_left_of_it(
    tmp_path: Path, content: bytes, why: str
) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(content)
    with pytest.raises(LedgerUnavailable, match=rf"{file} {why}"):
        copy_ledger(file, tmp_path / "copy.sqlite")
    assert list(tmp_path.glob("copy*")) == []


def test_another_program_s_database_is_no_ledger(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as connection:
        connection.execute("CREATE TABLE jobs (id TEXT)")
    with pytest.raises(LedgerUnavailable, match="holds no ledger"):
        copy_ledger(tmp_path / "other.sqlite", tmp_path / "copy.sqlite")


def test_a_ledger_that_is_not_there_is_refused_and_none_is_made(tmp_path: Path) -> None:
    with pytest.raises(LedgerUnavailable):
        copy_ledger(tmp_path / "absent.sqlite", tmp_path / "copy.sqlite")
    assert not (tmp_path / "absent.sqlite").exists()


def test_an_empty_ledger_knows_no_token(tmp_path: Path) -> None:
    opened(tmp_path / "ledger.sqlite").close()
    tokens = {f"{number:016x}" for number in range(1200)}
    assert known_tokens(f"sqlite:///{tmp_path / 'ledger.sqlite'}", tokens) == set()


def test_a_ledger_in_postgresql_has_no_file() -> None:
    assert sqlite_file("postgresql://retriever@postgres.example.org/retriever") is None
