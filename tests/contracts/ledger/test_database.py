"""What the SQL ledger promises of its databases: durability, migrations, refusals in plain words, memory."""

from __future__ import annotations

import sqlite3
import tracemalloc
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event, text

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.states import DatablockState, JobState
from scicat_retriever.ledger.database.connection import Database, ledger_url
from scicat_retriever.ledger.database.refusals import refusal
from scicat_retriever.ledger.database.schema import metadata
from scicat_retriever.ledger.database.upgrade import upgrade
from scicat_retriever.ledger.sql import SqlLedger, open_ledger
from scicat_retriever.ports.staging_area import Room
from tests.contracts.ledger.rig import book_of
from tests.contracts.ledger.samples import (
    FLOW,
    HOUR,
    JOB,
    HandClock,
    P,
    bring_to,
    copied,
    entries,
    entry,
    files,
    job,
    key,
)
from tests.integration.postgres import Postgres

SECRET = "s3cret-Passw0rd"


def all_of(ledger: SqlLedger) -> list[object]:
    """All that a ledger holds of the job and its dataset."""
    control = [
        ledger.jobs.get(JOB),
        ledger.jobs.datasets(JOB),
        ledger.reports.find(),
        ledger.findings.latest(),
    ]
    return [*control, ledger.datablocks.of(P), ledger.inventory.usage(), ledger.pins.find(), book_of(ledger)]


def test_everything_is_there_when_the_ledger_is_opened_again(url: str, clock: HandClock) -> None:
    before = open_ledger(url, clock)
    before.jobs.add(job(JOB, P), FLOW)
    before.jobs.move(JOB, JobState.IN_PROGRESS, "going on")
    before.findings.note("catalogue", {"open": 3})
    before.datablocks.plan(P, entries(2), "run-1")
    before.claims.note_sizes(JOB, {P: 3000})
    assert before.claims.for_job(JOB, Room(3000, None), silence=HOUR).granted
    bring_to(before, key(0), DatablockState.STAGED)
    seen = all_of(before)
    before.close()

    after = open_ledger(url, clock)
    assert all_of(after) == seen
    assert after.copies.get(key(0)) == copied(key(0))
    assert after.copies.manifest(key(0)) == b"manifest of block-0"
    assert tuple(after.datablocks.files(key(1))) == files()
    assert [pin.owner for _, pin in after.pins.find()] == [JOB]
    after.close()


def test_a_new_state_is_not_kept_if_its_report_is_not(sqlite_url: str, clock: HandClock) -> None:
    ledger, database = SqlLedger.at(sqlite_url, clock), Database(sqlite_url)
    ledger.jobs.add(job(JOB, P), FLOW)
    before = all_of(ledger)
    with database.writing() as connection:
        refuse = "CREATE TRIGGER refuse BEFORE INSERT ON reports BEGIN SELECT RAISE(ABORT, 'no'); END"
        connection.execute(text(refuse))
    with pytest.raises(LedgerUnavailable):
        ledger.jobs.move(JOB, JobState.IN_PROGRESS, "going on")
    assert all_of(ledger) == before
    database.close()
    ledger.close()


def test_what_one_process_wrote_another_reads_at_once(url: str, sql_ledger: SqlLedger) -> None:
    other = SqlLedger.at(url, HandClock())
    other.jobs.add(job(JOB, P), FLOW)
    assert sql_ledger.jobs.get(JOB) == other.jobs.get(JOB)
    other.close()


def test_migrations_make_the_very_tables_that_the_code_uses(url: str) -> None:
    database = Database(url)
    with database.reading() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), metadata)
    database.close()
    assert differences == []


def test_upgrading_twice_changes_nothing(url: str, sql_ledger: SqlLedger) -> None:
    sql_ledger.jobs.add(job(JOB, P), FLOW)
    upgrade(url)
    assert sql_ledger.jobs.get(JOB) is not None


def test_upgrading_waits_for_others_that_are_in_the_file(tmp_path: Path, clock: HandClock) -> None:
    file = tmp_path / "new.db"
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("PRAGMA user_version = 1")  # an empty file is refused
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        upgrading = pool.submit(upgrade, f"sqlite:///{file}")
        done, _ = wait([upgrading], timeout=0.3)
        other.execute("COMMIT")
        assert not done
        upgrading.result(timeout=60)
    other.close()
    ledger = SqlLedger.at(f"sqlite:///{file}", clock)
    assert ledger.jobs.get(JOB) is None
    ledger.close()


def test_an_empty_file_is_not_taken_for_a_new_ledger(tmp_path: Path) -> None:
    file = tmp_path / "emptied.db"
    file.touch()
    with pytest.raises(LedgerUnavailable, match=r"is empty.*restore a backup.*remove the file"):
        upgrade(f"sqlite:///{file}")
    assert file.stat().st_size == 0


def test_several_processes_may_make_a_ledger_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'new.db'}"
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(upgrade, [url] * 8))


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'newer.db'}"
    upgrade(url)
    database = Database(url)
    with database.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = 'r9999'"))
    with pytest.raises(LedgerUnavailable, match="newer version"):
        upgrade(url)
    with database.reading() as connection:
        assert connection.scalar(text("SELECT version_num FROM alembic_version")) == "r9999"
    database.close()


def test_a_sqlite_file_is_written_ahead_synced_and_checked(sqlite_url: str) -> None:
    database = Database(sqlite_url)
    with database.writing() as connection:
        settings = {
            name: connection.scalar(text(f"PRAGMA {name}"))
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    database.close()
    full = 2
    assert settings == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_readers_do_not_wait_for_the_writer(sqlite_url: str, clock: HandClock) -> None:
    ledger, other = SqlLedger.at(sqlite_url, clock), Database(sqlite_url)
    ledger.jobs.add(job(JOB, P), FLOW)
    with other.writing() as connection:
        connection.execute(text("UPDATE jobs SET message = 'unfinished'"))
        found = ledger.jobs.get(JOB)
    assert found is not None
    assert found.message == ""
    ledger.close()
    other.close()


def test_a_server_that_dropped_its_connections_is_connected_to_again(
    postgres: Postgres, postgres_url: str, clock: HandClock
) -> None:
    ledger = SqlLedger.at(postgres_url, clock)
    ledger.jobs.add(job(JOB, P), FLOW)
    postgres.disconnect_all("ledger")
    assert ledger.jobs.get(JOB) is not None
    ledger.close()


def test_a_server_that_cannot_be_reached_is_said_without_the_password(clock: HandClock) -> None:
    url = f"postgresql://ada:{SECRET}@/ledger?host=/nowhere"
    with pytest.raises(LedgerUnavailable, match="cannot be reached") as refused:
        SqlLedger.at(url, clock).jobs.get(JOB)
    with pytest.raises(LedgerUnavailable):
        upgrade(url)
    assert SECRET not in _all_words(refused.value)
    assert SECRET not in repr(SqlLedger.at(url, clock))


@pytest.mark.parametrize(
    "words",
    [f"refused: postgresql://ada:{SECRET}@host/ledger", f"invalid option password={SECRET}"],
)
def test_a_driver_that_repeats_the_password_is_not_quoted_with_it(words: str) -> None:
    assert SECRET not in refusal(psycopg.OperationalError(words), SECRET)


def test_a_password_in_the_query_of_the_url_is_not_shown_either(clock: HandClock) -> None:
    with pytest.raises(LedgerUnavailable) as refused:
        SqlLedger.at(
            f"postgresql:///ledger?host=/nowhere&password={SECRET}&sslmode={SECRET}", clock
        ).jobs.get(JOB)
    assert SECRET not in _all_words(refused.value)


def test_a_database_that_is_not_there_is_said(postgres: Postgres, clock: HandClock) -> None:
    url = postgres.url_of("nothing").replace("postgres@", f"postgres:{SECRET}@")
    with pytest.raises(LedgerUnavailable, match="no database of that name") as refused:
        SqlLedger.at(url, clock).jobs.get(JOB)
    assert SECRET not in _all_words(refused.value)


def test_a_database_that_takes_no_writes_is_said(postgres_url: str, clock: HandClock) -> None:
    ledger = SqlLedger.at(f"{postgres_url}&options=-c default_transaction_read_only=on", clock)
    with pytest.raises(LedgerUnavailable, match="takes no writes"):
        ledger.jobs.add(job(JOB, P), FLOW)
    ledger.close()


def test_tables_that_are_missing_are_said(postgres: Postgres, tmp_path: Path, clock: HandClock) -> None:
    for url in (f"sqlite:///{tmp_path / 'empty.db'}", postgres.url_of("postgres")):
        ledger = SqlLedger.at(url, clock)
        with pytest.raises(LedgerUnavailable, match="upgrade the ledger"):
            ledger.jobs.get(JOB)
        ledger.close()


def test_a_full_disk_is_said_and_nothing_is_half_written(sqlite_url: str, clock: HandClock) -> None:
    ledger = SqlLedger.at(sqlite_url, clock)
    ledger.datablocks.plan(P, entries(1), "run-1")
    full = SqlLedger.at(sqlite_url, clock)

    @event.listens_for(full.database._engine, "begin")
    def _no_more_pages(connection: object) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count = 1")  # type: ignore[attr-defined]

    with pytest.raises(LedgerUnavailable, match="full; free some space"):
        full.datablocks.plan(P, [entry(number, listed_files=files(500)) for number in range(300)], "run-2")
    assert [(r.datablock.id, r.run) for r in ledger.datablocks.of(P)] == [("block-0", "run-1")]
    ledger.close()
    full.close()


def test_a_file_that_cannot_be_written_is_said(sqlite_url: str, clock: HandClock) -> None:
    name = sqlite_url.removeprefix("sqlite:///")
    ledger = SqlLedger.at(f"sqlite:///file:{name}?mode=ro&uri=true", clock)
    with pytest.raises(LedgerUnavailable, match="cannot be written"):
        ledger.jobs.add(job(JOB, P), FLOW)
    ledger.close()


def test_a_folder_that_is_not_there_is_said(tmp_path: Path, clock: HandClock) -> None:
    with pytest.raises(LedgerUnavailable, match="folder must exist"):
        open_ledger(f"sqlite:///{tmp_path / 'nowhere' / 'ledger.db'}", clock)


def test_a_file_that_is_no_database_is_said(tmp_path: Path, clock: HandClock) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be taken for one\n" * 100)
    with pytest.raises(LedgerUnavailable, match="no SQLite database"):
        SqlLedger.at(f"sqlite:///{file}", clock).jobs.get(JOB)


@pytest.mark.parametrize("url", ["", "ledger.db", "mysql://u:p@h/d", "sqlite://", "sqlite:///:memory:"])
def test_a_url_of_another_kind_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="the ledger's URL"):
        ledger_url(url)


def test_a_url_that_cannot_be_read_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="the ledger's URL") as refused:
        ledger_url(f"postgresql://ada:{SECRET}@host:no-port/ledger")
    assert SECRET not in _all_words(refused.value)


def test_a_datablock_of_a_hundred_thousand_files_costs_little_memory(
    sqlite_url: str, clock: HandClock
) -> None:
    ledger = SqlLedger.at(sqlite_url, clock)
    block = entry(0, listed_files=files(100_000))
    tracemalloc.start()
    ledger.datablocks.plan(P, [block], "run-1")
    _, to_plan = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    count = sum(1 for _ in ledger.datablocks.files(key(0)))
    _, to_read = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    ledger.close()
    assert count == 100_000
    assert to_plan < 30_000_000
    assert to_read < 30_000_000


def _all_words(error: BaseException | None) -> str:
    """What a log may show of an error: it, and all that it came from."""
    words = ""
    while error is not None:
        words += f"{error!r} {error}"
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return words
