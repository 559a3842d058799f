"""Backups of the ledger while it is in use, and the tokens that a restored ledger knows."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.database.connection import Database, ledger_url
from scicat_retriever.ledger.database.refusals import named_refusals
from scicat_retriever.ledger.database.revision import VERSION_TABLE
from scicat_retriever.ledger.rows.datablocks import tokens_of


def sqlite_file(url: str) -> Path | None:
    """Give the file of a ledger in SQLite; None for one in PostgreSQL."""
    parsed = ledger_url(url)
    return Path(str(parsed.database)) if parsed.get_backend_name() == "sqlite" else None


def copy_ledger(source: Path, target: Path) -> None:
    """Copy a ledger's file as it is at one moment, durably, and check the copy.

    Other processes may use the ledger meanwhile.

    SQLite's online backup (https://www.sqlite.org/backup.html) takes what is still in the write-ahead log,
    too.

    Args:
        source: The ledger's file.
        target: A file that is not there yet; it appears when it is complete.

    Raises:
        LedgerUnavailable: The ledger cannot be read, the copy cannot be written, or it is damaged or holds no
            ledger.
    """
    aside = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    try:
        _copy(source, aside)
        aside.rename(target)
    except OSError as error:
        raise LedgerUnavailable(f"{source} cannot be copied to {target}: {error.strerror}.") from None
    finally:
        for left in (aside, aside.with_name(f"{aside.name}-journal")):
            left.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    try:
        with named_refusals(""):
            wrong = _copied(source, target)
    except LedgerUnavailable as error:
        raise LedgerUnavailable(f"{source} cannot be copied to {target}. {error}") from None
    if wrong is not None:
        raise LedgerUnavailable(f"{source} {wrong}; restore a backup that is sound.")
    descriptor = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _copied(source: Path, target: Path) -> str | None:
    """Copy a SQLite file, and say what is wrong with the copy's content; None for a sound ledger."""
    with (
        closing(sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)) as ledger,
        closing(sqlite3.connect(target)) as copy,
    ):
        try:
            ledger.backup(copy)
            # A copy is one file; whoever opens the ledger sets the write-ahead log again.
            copy.execute("PRAGMA journal_mode = DELETE")
            (verdict,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            # An empty database is sound, too.
            tables = {name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        except sqlite3.DatabaseError as error:
            if error.sqlite_errorcode & 0xFF not in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                raise
            return f"is damaged: {error}"
    if verdict != "ok":
        return f"is damaged: {verdict}"
    return None if VERSION_TABLE in tables else "holds no ledger: it is empty, or another program's"


def known_tokens(url: str, tokens: Collection[str]) -> set[str]:
    """Give those of the tokens of staging files that belong to a datablock of the ledger.

    Raises:
        LedgerUnavailable: The database does not answer or refuses.
    """
    with closing(Database(url)) as database, database.reading() as connection:
        return tokens_of(connection, tokens)
