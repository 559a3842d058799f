"""What becomes of an engine's database that is damaged or half made, and of one that is not."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scicat_retriever.processes.engine_database import (
    ENGINE_DATABASE,
    remove_if_half_made,
    set_aside_if_damaged,
)

NOW = datetime(2026, 12, 1, 10, 20, 30, tzinfo=UTC)
PAGE = 4096


def database(folder: Path) -> Path:
    file = folder / ENGINE_DATABASE
    with closing(sqlite3.connect(file)) as made, made:
        made.execute(f"PRAGMA page_size={PAGE}")
        made.execute("CREATE TABLE flows (id TEXT PRIMARY KEY, history BLOB)")
        made.executemany("INSERT INTO flows VALUES (?, ?)", [(f"flow-{n}", b"x" * 1000) for n in range(100)])
    return file


def test_a_sound_database_stays(tmp_path: Path) -> None:
    file = database(tmp_path)
    before = file.read_bytes()
    assert set_aside_if_damaged(tmp_path, NOW) is None
    assert file.read_bytes() == before


def test_where_there_is_none_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert set_aside_if_damaged(tmp_path, NOW) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("at", [0, 16, PAGE, 5 * PAGE])
def test_a_damaged_one_is_set_aside_with_what_belongs_to_it(tmp_path: Path, at: int) -> None:
    file = database(tmp_path)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).write_bytes(b"")
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(b"\xa5" * PAGE)
    damaged = file.read_bytes()
    aside = set_aside_if_damaged(tmp_path, NOW)
    assert aside == tmp_path / "engine.sqlite.damaged-20261201T102030Z"
    assert aside.read_bytes() == damaged
    assert [each for each in tmp_path.iterdir() if not each.name.startswith(aside.name)] == []


@pytest.mark.parametrize("length", [100, PAGE + 1, 10 * PAGE])
def test_one_that_was_cut_short_is_set_aside(tmp_path: Path, length: int) -> None:
    file = database(tmp_path)
    with file.open("r+b") as opened:
        opened.truncate(length)
    assert set_aside_if_damaged(tmp_path, NOW) is not None
    assert not file.exists()


def test_one_that_cannot_be_opened_for_another_reason_stays(tmp_path: Path) -> None:
    (tmp_path / ENGINE_DATABASE).mkdir()
    assert set_aside_if_damaged(tmp_path, NOW) is None


def tables(folder: Path, **rows: int) -> Path:
    file = folder / ENGINE_DATABASE
    with closing(sqlite3.connect(file)) as made, made:
        made.execute("PRAGMA journal_mode=WAL")
        for table, count in rows.items():
            made.execute(f"CREATE TABLE {table} (id INTEGER)")
            for number in range(count):
                made.execute(f"INSERT INTO {table} VALUES ({number})")  # noqa: S608 - words of this test
    return file


@pytest.mark.parametrize(
    "rows",
    [{}, {"executions": 0}, {"executions": 0, "cluster_metadata_info": 0}, {"cluster_metadata_info": 0}],
)
def test_one_on_which_no_engine_ever_ran_is_removed_with_what_belongs_to_it(
    tmp_path: Path, rows: dict[str, int]
) -> None:
    file = tables(tmp_path, **rows)
    for suffix in ("-wal", "-shm"):
        file.with_name(file.name + suffix).write_bytes(b"")
    assert set_aside_if_damaged(tmp_path, NOW) is None
    assert remove_if_half_made(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "rows",
    [
        {"executions": 0, "cluster_metadata_info": 1},
        {"executions": 1, "cluster_metadata_info": 0},
        {"executions": 2},
    ],
)
def test_one_on_which_an_engine_ran_stays(tmp_path: Path, rows: dict[str, int]) -> None:
    file = tables(tmp_path, **rows)
    before = file.read_bytes()
    assert not remove_if_half_made(tmp_path)
    assert file.read_bytes() == before


def test_where_there_is_none_none_is_removed(tmp_path: Path) -> None:
    assert not remove_if_half_made(tmp_path)
    (tmp_path / ENGINE_DATABASE).mkdir()
    assert not remove_if_half_made(tmp_path)
