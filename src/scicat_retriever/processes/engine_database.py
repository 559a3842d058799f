"""The own engine's database. It is expendable: one that no engine can run on gives way to an empty one."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import structlog

ENGINE_DATABASE = "engine.sqlite"
_BESIDE = ("", "-wal", "-shm")
"""Endings of the files that SQLite keeps of a database: the file itself, and two beside it."""
_FILLED_BY_A_RUN = ("cluster_metadata_info", "executions")
"""Tables of the engine: one that runs fills the first at once, and the second with its flows."""
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_PRIMARY_CODE = 0xFF
_PATIENCE = 5.0
log = structlog.get_logger(__name__)


def set_aside_if_damaged(data: Path, now: datetime) -> Path | None:
    """Rename the engine's database if SQLite says that it is damaged. No engine may run.

    With a damaged database the engine would end at each of its starts, for ever. Nothing is lost with the
    database: flows that the engine does not know are started again from the ledger
    (`workflow/steps/lost_flows.py`). A database that cannot be read for another reason, such as a full or
    missing disk, is left as it is.

    Args:
        data: The folder that the database is in.
        now: The time, UTC, for the new name.

    Returns:
        The database's new name, or None where it is not damaged or not there.
    """
    file = data / ENGINE_DATABASE
    damage = _damage(file)
    if damage is None:
        return None
    aside = file.with_name(f"{file.name}.damaged-{now:%Y%m%dT%H%M%SZ}")
    for suffix in _BESIDE:
        part = file.with_name(file.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    log.error(
        "the engine's database was damaged: it is set aside, and the flows of open jobs are started again from the ledger",
        damage=damage,
        aside=str(aside),
    )
    return aside


def remove_if_half_made(data: Path) -> bool:
    """Remove the engine's database if no engine ever ran on it. No engine may run.

    An engine makes its tables only where it finds no file. One that ends while it makes them, by a full disk
    or a loss of power, leaves a file that lacks some, and ends at each later start, for ever.

    Args:
        data: The folder that the database is in.

    Returns:
        Whether it was removed.
    """
    file = data / ENGINE_DATABASE
    if not file.is_file() or not _is_half_made(file):
        return False
    # The file itself last: without it, what stands beside would be taken for another database's.
    for suffix in reversed(_BESIDE):
        file.with_name(file.name + suffix).unlink(missing_ok=True)
    log.warning(
        "the engine's database was half made: it is removed, and the engine makes another", file=str(file)
    )
    return True


def _is_half_made(file: Path) -> bool:
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as database:
            made = {
                name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            return not any(_is_filled(database, table) for table in made.intersection(_FILLED_BY_A_RUN))
    except sqlite3.DatabaseError:
        return False


def _is_filled(database: sqlite3.Connection, table: str) -> bool:
    query = f"SELECT EXISTS (SELECT 1 FROM {table})"  # noqa: S608 - a name of ours
    return bool(database.execute(query).fetchone()[0])


def _damage(file: Path) -> str | None:
    """Say what is wrong with a database; None where nothing is, or where SQLite cannot say."""
    if not file.is_file():
        return None
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as database:
            (found,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error) if error.sqlite_errorcode & _PRIMARY_CODE in _DAMAGE else None
    return None if found == "ok" else str(found)
