"""Bring a ledger's tables up to date."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.revision import HEAD, VERSION_TABLE

_SCRIPTS = Path(__file__).with_name("migrations")


def upgrade(url: str) -> None:
    """Run the migrations that a ledger lacks, in one transaction; several processes may do so at once.

    Args:
        url: See `connection.ledger_url`. A SQLite file is made where there is none; its folder must exist.

    Raises:
        LedgerUnavailable: The database does not answer, refuses, was upgraded by a newer version, or its file
            is there and empty.
    """
    database = Database(url, check_references=False)
    try:
        database.write_ahead()
        with database.writing() as connection:
            database.lock(connection, "upgrade")
            if _revision(connection) != HEAD:
                _run(connection)
    finally:
        database.close()


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table(VERSION_TABLE):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


def _run(connection: Connection) -> None:
    # Imported when needed alone: it takes as long as all else that a process needs of the ledger.
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    config = Config()
    config.set_main_option("script_location", str(_SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError:
        raise LedgerUnavailable(
            "The ledger was upgraded by a newer version of the service; install that version, or restore a backup."
        ) from None
