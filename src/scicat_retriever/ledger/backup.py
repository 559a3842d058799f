"""A copy of the ledger while it is in use, and what a restored ledger knows of the staging area."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.connection import Database, ledger_url
from scicat_retriever.ledger.datablock_rows import tokens_of
from scicat_retriever.ledger.refusals import named_refusals


def sqlite_file(url: str) -> Path | None:
    """Give the file of a ledger in SQLite; None for one in PostgreSQL."""
    parsed = ledger_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def copy_ledger(source: Path, target: Path) -> None:
    """Copy a ledger's file as it is at one moment, durably, and check the copy; others may use the ledger meanwhile.

    SQLite's online backup (https://www.sqlite.org/backup.html) takes what is still in the write-ahead log, too.

    Args:
        source: The ledger's file.
        target: A file that is not there yet.

    Raises:
        LedgerUnavailable: The ledger cannot be read, the copy cannot be written, or it is damaged.
    """
    with (
        named_refusals(""),
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as ledger,
        closing(sqlite3.connect(target)) as copy,
    ):
        ledger.backup(copy)
        # A copy is one file; whoever opens the ledger sets the write-ahead log again.
        copy.execute("PRAGMA journal_mode = DELETE")
        (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise LedgerUnavailable(f"The ledger's file is damaged: {verdict}; restore it from a backup.")
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def known_tokens(url: str, tokens: Collection[str]) -> set[str]:
    """Give those tokens of staging files that the ledger has a datablock for.

    Raises:
        LedgerUnavailable: The database does not answer or refuses.
    """
    with closing(Database(url)) as database, database.reading() as connection:
        return tokens_of(connection, tokens)
