"""Whether a ledger in SQLite is up to date is known without opening it as a ledger."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scicat_retriever.ledger.database.revision import HEAD, lacks_migrations
from scicat_retriever.ledger.database.upgrade import upgrade


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    file = tmp_path / "ledger.sqlite"
    upgrade(f"sqlite:///{file}")
    return file


def test_a_ledger_that_was_just_made_lacks_nothing_and_is_left_as_it_is(ledger: Path) -> None:
    before = ledger.read_bytes()
    assert not lacks_migrations(ledger)
    assert ledger.read_bytes() == before


@pytest.mark.parametrize("revision", ["r0001", "r9999", ""])
def test_one_of_another_revision_is_not_up_to_date(ledger: Path, revision: str) -> None:
    with closing(sqlite3.connect(ledger)) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", (revision,))
        database.commit()
    assert revision != HEAD
    assert lacks_migrations(ledger)


def test_no_ledger_is_made_by_looking(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    assert not lacks_migrations(file)
    assert not file.exists()


@pytest.mark.parametrize("content", [b"", b"no database at all, but long enough to be taken for one" * 100])
def test_what_is_no_ledger_is_left_to_who_opens_it(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(content)
    assert lacks_migrations(file)
    assert file.read_bytes() == content


def test_a_ledger_that_cannot_be_read_is_left_to_who_opens_it(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.mkdir()
    assert lacks_migrations(file)
