"""The one seam where an error of the database becomes `LedgerUnavailable`, in words that say what to do."""

from __future__ import annotations

import re
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from scicat_retriever.domain.errors import LedgerUnavailable

_SQLITE_ADVICE = {
    "SQLITE_FULL": "the disk that holds the ledger is full; free some space on it",
    "SQLITE_READONLY": "the ledger's file cannot be written; make the file, its folder and its disk writable",
    "SQLITE_CANTOPEN": "the ledger's file cannot be opened; its folder must exist and be writable",
    "SQLITE_BUSY": "another process held the ledger's file for too long; look for one that hangs",
    "SQLITE_LOCKED": "another process held the ledger's file for too long; look for one that hangs",
    "SQLITE_IOERR": "the disk that holds the ledger fails or is full; check it",
    "SQLITE_CORRUPT": "the ledger's file is damaged; restore it from a backup",
    "SQLITE_NOTADB": "the ledger's file is no SQLite database; check the ledger's URL",
}
"""By SQLite's primary result code, https://www.sqlite.org/rescode.html."""

_POSTGRES_ADVICE = {
    "08": "the database server cannot be reached; check that it runs and that the address is right",
    "53100": "the disk of the database server is full; free some space on it",
    "53": "the database server is short of connections or memory; give it more",
    "25006": "the database takes no writes (a standby, or set to read-only); use the primary one",
    "28": "the database refuses the user or the password; check the ledger's URL",
    "3D": "the database server has no database of that name; create it",
    "42501": "the database user may not use the ledger's tables; grant the rights",
    "55P03": "another process held a row of the ledger for too long; look for one that hangs",
    "40": "another process was in the way; the same step will succeed when tried again",
    "57": "the database server is being stopped or ended the session; check that it runs",
}
"""By SQLSTATE or its class, https://www.postgresql.org/docs/current/errcodes-appendix.html."""

_NO_TABLES = "the ledger's tables are missing or not up to date; upgrade the ledger"
_PASSWORD_IN_URL = re.compile(r"(://[^:/@\s]*:)[^@\s]+@")


@contextmanager
def named_refusals(password: str) -> Iterator[None]:
    """Turn what the database refuses within into `LedgerUnavailable`; the password never shows in it."""
    try:
        yield
    except PoolTimeout:
        raise LedgerUnavailable(
            "The ledger did not answer: all its connections were busy for too long."
        ) from None
    except DBAPIError as error:
        # No chain: the driver's own text and the statement may repeat the connection's URL.
        raise LedgerUnavailable(refusal(error.orig, password)) from None
    except Exception as error:
        if not (isinstance(error, sqlite3.Error) or _is_of_postgres(error)):
            raise
        raise LedgerUnavailable(refusal(error, password)) from None


def refusal(error: BaseException | None, password: str) -> str:
    """Say in a sentence or two what the database refused and what to do.

    Args:
        error: The driver's error.
        password: The database's password, to be blotted out of the driver's words.
    """
    words = " ".join(str(error).split())
    if password:
        words = words.replace(password, "***")
    words = _PASSWORD_IN_URL.sub(r"\1***@", words)
    advice = _advice(error, words)
    return f"The ledger did not answer: {advice}. The database says: {words}"


def _is_of_postgres(error: BaseException) -> bool:
    # A ledger in PostgreSQL has its driver imported; a ledger in SQLite does without it.
    driver = sys.modules.get("psycopg")
    return driver is not None and isinstance(error, driver.Error)


def _advice(error: BaseException | None, words: str) -> str:
    if isinstance(error, sqlite3.Error):
        if "no such table" in words or "no such column" in words:
            return _NO_TABLES
        name = getattr(error, "sqlite_errorname", "")
        primary = "_".join(name.split("_")[:2])
        return _SQLITE_ADVICE.get(primary, "the database refused")
    if error is not None and _is_of_postgres(error):
        # A server that does not answer at all gives no SQLSTATE.
        state = str(getattr(error, "sqlstate", None) or _state_in(words))
        if state in {"42P01", "42703"}:
            return _NO_TABLES
        return _POSTGRES_ADVICE.get(state) or _POSTGRES_ADVICE.get(state[:2], "the database refused")
    return "the database refused"


def _state_in(words: str) -> str:
    """Guess the SQLSTATE class of a refused connection, of which libpq gives the text alone."""
    if "authentication failed" in words or "no password supplied" in words or "no pg_hba.conf" in words:
        return "28000"
    if "does not exist" in words and "database" in words:
        return "3D000"
    return "08001"
