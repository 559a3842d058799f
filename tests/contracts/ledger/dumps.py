"""Ledgers of released versions, made again from their dumps, and their rows as the database has them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, MetaData, Table, create_engine, func, select, text

import scicat_retriever.ledger.database
from scicat_retriever.ledger.database.connection import Database, ledger_url

DUMPS = sorted(Path(__file__).with_name("released").glob("*.sql"))
"""One for each released schema, named by its revision."""
Rows = dict[str, list[dict[str, Any]]]


def revisions() -> list[str]:
    """All revisions of the schema, the first one first."""
    return [script.revision for script in ScriptDirectory.from_config(_migrations()).walk_revisions()][::-1]


def migrate(url: str, revision: str) -> None:
    """Make the tables of a revision in an empty database."""
    database, config = Database(url, check_references=False), _migrations()
    with database.writing() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    database.close()


def load(dump: Path, file: Path) -> str:
    """Make a SQLite ledger of a dump; gives its URL."""
    with closing(sqlite3.connect(file)) as connection:
        connection.executescript(dump.read_text())
    return f"sqlite:///{file}"


def copy(source: str, target: str) -> None:
    """Copy all rows of a SQLite ledger into a PostgreSQL ledger of the same revision, in place of what migrations wrote."""
    rows = rows_of(source)
    with _opened(target) as engine, engine.begin() as connection:
        for table in _tables(engine)[::-1]:
            connection.execute(table.delete())
        for table in _tables(engine):
            for row in rows[table.name]:
                connection.execute(table.insert().values(row))
            if "number" in table.columns and rows[table.name]:
                last = rows[table.name][-1]["number"]
                sequence = func.pg_get_serial_sequence(table.name, "number")
                connection.execute(select(func.setval(sequence, last)))


def rows_of(url: str) -> Rows:
    """All rows of all tables, as the database has them, times in UTC."""
    with _opened(url) as engine, engine.connect() as connection:
        found: Rows = {}
        for table in _tables(engine):
            ordered = select(table).order_by(*table.primary_key.columns)
            found[table.name] = [
                {name: _in_utc(value) for name, value in row.items()}
                for row in connection.execute(ordered).mappings()
            ]
        return found


def schema_of(url: str) -> list[str]:
    """The statements that make a SQLite ledger's tables and indexes, whatever their order."""
    with _opened(url) as engine, engine.connect() as connection:
        statements = connection.scalars(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL"))
        return sorted(" ".join(statement.split()) for statement in statements)


def _migrations() -> Config:
    config = Config()
    config.set_main_option(
        "script_location", str(Path(scicat_retriever.ledger.database.__path__[0]) / "migrations")
    )
    return config


@contextmanager
def _opened(url: str) -> Iterator[Engine]:
    engine = create_engine(ledger_url(url))
    yield engine
    engine.dispose()


def _tables(engine: Engine) -> list[Table]:
    """The tables as they are, without the ledger's own types; those that are referred to come first."""
    tables = MetaData()
    tables.reflect(engine)
    return [table for table in tables.sorted_tables if table.name != "alembic_version"]


def _in_utc(value: Any) -> Any:
    if not isinstance(value, datetime):
        return value
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
