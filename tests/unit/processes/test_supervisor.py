"""What the supervisor does itself before its parts start."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.database.revision import lacks_migrations
from scicat_retriever.processes.supervisor import upgrade_ledger
from scicat_retriever.settings import Settings, load_settings
from tests.contracts.ledger.dumps import DUMPS, load


def settings(folder: Path, **sections: dict[str, object]) -> Settings:
    return load_settings(
        None,
        data=folder,
        api={"tokens": ["a-token-of-enough-length"]},
        catalogue={"url": "http://scicat.test", "token": "a-scicat-token"},
        lts={"root": str(folder)},
        staging={"root": str(folder / "staging")},
        **sections,
    )


def test_a_ledger_of_an_older_version_is_upgraded_before_parts_could_wait_for_it(tmp_path: Path) -> None:
    load(DUMPS[0], file := tmp_path / "ledger.sqlite")
    assert lacks_migrations(file)
    upgrade_ledger(settings(tmp_path))
    assert not lacks_migrations(file)


def test_a_ledger_of_a_newer_version_is_refused_before_parts_start(tmp_path: Path) -> None:
    load(DUMPS[0], file := tmp_path / "ledger.sqlite")
    with closing(sqlite3.connect(file)) as ledger:
        ledger.execute("UPDATE alembic_version SET version_num = 'r9999'")
        ledger.commit()
    with pytest.raises(LedgerUnavailable, match="upgraded by a newer version"):
        upgrade_ledger(settings(tmp_path))


def test_an_empty_ledger_is_refused_before_parts_start(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite").touch()
    with pytest.raises(LedgerUnavailable, match="is empty"):
        upgrade_ledger(settings(tmp_path))


def test_a_new_ledger_is_left_to_the_parts(tmp_path: Path) -> None:
    upgrade_ledger(settings(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_a_ledger_that_is_set_by_its_url_is_brought_up_to_date(tmp_path: Path) -> None:
    file = tmp_path / "elsewhere.sqlite"
    upgrade_ledger(settings(tmp_path, ledger={"url": f"sqlite:///{file}"}))
    assert file.exists()
    assert not lacks_migrations(file)
