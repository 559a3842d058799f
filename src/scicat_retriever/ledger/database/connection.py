"""Connections to the ledger's database: how each kind is set up, read, written and locked."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from sqlalchemy import URL, Connection, Engine, create_engine, event, func, make_url, select, text
from sqlalchemy.exc import ArgumentError

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.database.own_file import OwnFile
from scicat_retriever.ledger.database.refusals import named_refusals
from scicat_retriever.ledger.database.turn import TurnNotGiven, WritersTurn

WAIT_SECONDS = 30
"""Seconds for which a step waits for another one that holds the database, a row or all connections."""

_SQLITE_PRAGMAS = (
    f"PRAGMA busy_timeout = {WAIT_SECONDS * 1000}",
    "PRAGMA synchronous = FULL",
)
_DATASET_LOCKS = 64
_LOCK_IN_ORDER = text("SELECT pg_advisory_xact_lock(n) FROM unnest(CAST(:numbers AS bigint[])) AS n")
_POSTGRES_DRIVER = "postgresql+psycopg"


def ledger_url(url: str) -> URL:
    """Read a database URL: `sqlite:///<path of a file>` or `postgresql://user:password@host/name`.

    The bytes of a path that a URL cannot hold are percent-encoded in it (RFC 3986, 2.1), whatever their
    encoding.

    Raises:
        ValueError: The URL is of another kind, or names no file. The message does not repeat the URL.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("the ledger's URL cannot be read") from None
    backend = parsed.drivername.split("+")[0]
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername=_POSTGRES_DRIVER)
    if backend != "sqlite":
        raise ValueError("the ledger's URL must begin with sqlite:/// or postgresql://")
    if parsed.database in {None, "", ":memory:"}:
        raise ValueError("the ledger's URL must name a file: a database in memory is not durable")
    # SQLAlchemy would put marks in place of bytes that are no UTF-8.
    path = url.partition(":///")[2].partition("?")[0]
    return parsed.set(database=unquote(path, errors="surrogateescape"))


class Database:
    """The ledger's database, shared by all threads of a process.

    Args:
        url: See `ledger_url`.
        check_references: Whether SQLite holds foreign keys; off only while tables are rebuilt.
    """

    def __init__(self, url: str, *, check_references: bool = True) -> None:
        parsed = ledger_url(url)
        self._password = parsed.password or str(parsed.query.get("password", ""))
        self._engine = _engine(parsed, check_references=check_references)
        self._writer = self._engine.execution_options(writes=True)
        file = Path(str(parsed.database))
        self._turn = WritersTurn(file) if self.is_sqlite else None
        self._file = OwnFile(file) if self.is_sqlite else None

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a SQLite file."""
        return self._engine.dialect.name == "sqlite"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Give a connection in a transaction that only reads.

        Raises:
            LedgerUnavailable: The database does not answer or refuses.
        """
        self._require_file()
        with named_refusals(self._password), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is durable at the end of the block, or undone by an error.

        On SQLite it is the only writing transaction among all processes.

        Raises:
            LedgerUnavailable: The database does not answer or refuses.
        """
        self._require_file()
        with named_refusals(self._password), self._own_turn(), self._writer.begin() as connection:
            yield connection
        self._require_file()  # what was written into a file that is gone is not stored

    def _require_file(self) -> None:
        if self._file is not None:
            self._file.require()

    def lock(self, connection: Connection, *names: str) -> None:
        """Hold a name until the transaction ends: other transactions that lock it wait.

        On SQLite nothing is locked here: there a transaction that writes is the only one anyway.
        """
        if self.is_sqlite:
            return
        connection.execute(select(func.pg_advisory_xact_lock(_number(*names))))

    def lock_datasets(self, connection: Connection, pids: Iterable[str]) -> None:
        """Hold datasets until the transaction ends, as `lock` does.

        A transaction must name all its datasets in one call, or it may block another one for ever. Many
        datasets share one lock: PostgreSQL keeps locks in a table that a job for thousands of datasets would
        fill.
        """
        if self.is_sqlite:
            return
        shared = sorted({_number("dataset", str(_number(pid) % _DATASET_LOCKS)) for pid in pids})
        connection.execute(_LOCK_IN_ORDER, {"numbers": shared})

    def write_ahead(self) -> None:
        """Set SQLite's write-ahead log, a lasting property of the file: readers and the writer work at once.

        Raises:
            LedgerUnavailable: The file is there and empty, cannot be opened or written, or others were in it
                for too long.
        """
        if self._file is None:
            return
        deadline = time.monotonic() + WAIT_SECONDS
        # In its turn: SQLite makes a file empty and fills it then, which another process must not take for a
        # lost ledger.
        with named_refusals(self._password), self._own_turn():
            self._file.refuse_empty()
            self._set_write_ahead(deadline)

    def _set_write_ahead(self, deadline: float) -> None:
        with closing(self._engine.raw_connection()) as raw:
            while True:
                try:
                    raw.cursor().execute("PRAGMA journal_mode = WAL")
                    return
                except sqlite3.OperationalError as error:
                    # SQLite does not wait with this switch, whatever the timeout, while another is in the
                    # file.
                    if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                        raise
                    time.sleep(0.05)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def _own_turn(self) -> Iterator[None]:
        if self._turn is None:
            yield
            return
        try:
            with self._turn.taken(WAIT_SECONDS):
                yield
        except TurnNotGiven:
            raise LedgerUnavailable(
                "The ledger did not answer: other steps held its file for too long."
            ) from None


def _number(*names: str) -> int:
    """A number of 64 bits for names: PostgreSQL's advisory locks have numbers."""
    digest = hashlib.blake2b("\0".join(names).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def _engine(url: URL, *, check_references: bool) -> Engine:
    sizes: dict[str, Any] = {"pool_size": 8, "max_overflow": 24, "pool_timeout": WAIT_SECONDS}
    if url.get_backend_name() == "sqlite":
        engine = create_engine(url, hide_parameters=True, **sizes)
        _set_up_sqlite(engine, check_references=check_references)
        return engine
    # libpq parameters: a server that vanished is noticed within a minute instead of after hours.
    alive = {"connect_timeout": 10, "keepalives_idle": 20, "tcp_user_timeout": WAIT_SECONDS * 1000}
    engine = create_engine(
        url, hide_parameters=True, pool_pre_ping=True, connect_args=alive | dict(url.query), **sizes
    )
    _set_up_postgres(engine)
    return engine


def _set_up_sqlite(engine: Engine, *, check_references: bool) -> None:
    """Begin transactions here: Python's driver begins them too late (SQLAlchemy, "SQLite transactions")."""

    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: object) -> None:  # noqa: ANN401
        raw.isolation_level = None
        for pragma in _SQLITE_PRAGMAS:
            raw.execute(pragma)
        raw.execute(f"PRAGMA foreign_keys = {'ON' if check_references else 'OFF'}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        # A writer that began by reading could find the file changed under it and be refused at once.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _set_up_postgres(engine: Engine) -> None:
    @event.listens_for(engine, "connect")
    def _connected(raw: Any, _record: object) -> None:  # noqa: ANN401
        raw.execute(f"SET lock_timeout = '{WAIT_SECONDS}s'")
        raw.commit()
