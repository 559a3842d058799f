"""The own engine's database. It is expendable: a damaged one is set aside, for an empty one in its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import datetime
from pathlib import Path

import structlog

ENGINE_DATABASE = "engine.sqlite"
_BESIDE = ("", "-wal", "-shm")
"""Endings of the files that SQLite keeps of a database: the file itself, and two beside it."""
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
