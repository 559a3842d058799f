"""The revision of a ledger's tables, and how to read it without all that SQL needs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

HEAD = "r0006"
"""The newest revision of the tables."""
VERSION_TABLE = "alembic_version"
"""The table that says which revision a ledger has; each ledger has it."""
_PATIENCE = 5.0
"""Seconds for which a file that another process holds is waited for."""


def lacks_migrations(file: Path) -> bool:
    """Say whether a SQLite file is there that is not a ledger of the newest revision.

    So is a file that cannot be read, or is empty or damaged: to open the ledger then says what is wrong with
    it.
    """
    if not file.exists():
        return False
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as ledger:
            found = ledger.execute(f"SELECT version_num FROM {VERSION_TABLE}").fetchall()  # noqa: S608 - ours
    except sqlite3.Error:
        return True
    return found != [(HEAD,)]
