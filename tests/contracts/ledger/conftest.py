"""One ledger of each kind, under one roof: the fake, a SQLite file, a real PostgreSQL."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.schema import metadata, space
from scicat_retriever.ledger.database.upgrade import upgrade
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.rig import Rig, book_of
from tests.contracts.ledger.samples import HandClock, P, entries, key
from tests.fakes.ledger import InMemoryLedger
from tests.integration.postgres import Postgres, PostgresUnavailable, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server for the session."""
    try:
        with running_postgres() as server:
            yield server
    except PostgresUnavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def postgres_database(postgres: Postgres) -> Iterator[Database]:
    """A database that has the tables, for all tests."""
    url = postgres.make_database("ledger")
    upgrade(url)
    database = Database(url)
    yield database
    database.close()


@pytest.fixture
def postgres_url(postgres: Postgres, postgres_database: Database) -> Iterator[str]:
    """A database whose tables are empty."""
    yield postgres.url_of("ledger")
    with postgres_database.writing() as connection:
        for table in reversed(metadata.sorted_tables):
            connection.execute(
                space.update().values(staged=0, claimed=0) if table is space else table.delete()
            )


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that has the tables."""
    file = tmp_path_factory.mktemp("template") / "ledger.db"
    upgrade(f"sqlite:///{file}")
    return file


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path) -> str:
    """A file of its own, whose tables are empty."""
    return f"sqlite:///{shutil.copy(sqlite_template, tmp_path)}"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """A database of each kind."""
    found: str = request.getfixturevalue(f"{request.param}_url")
    return found


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands still until it is moved."""
    return HandClock()


@pytest.fixture
def sql_ledger(url: str, clock: HandClock) -> Iterator[SqlLedger]:
    """A ledger in a database of each kind."""
    ledger = SqlLedger.at(url, clock)
    yield ledger
    ledger.close()


@pytest.fixture(params=["fake", "sqlite", "postgres"])
def rig(request: pytest.FixtureRequest, clock: HandClock) -> Iterator[Rig]:
    """A ledger of each kind, empty."""
    if request.param == "fake":
        fake = InMemoryLedger(clock)
        yield Rig(fake, clock, lambda: fake.transitions)
        return
    ledger = SqlLedger.at(request.getfixturevalue(f"{request.param}_url"), clock)
    yield Rig(ledger, clock, lambda: book_of(ledger))
    ledger.close()


@pytest.fixture
def ledger(rig: Rig) -> Ledger:
    """The ledger alone."""
    return rig.ledger


@pytest.fixture
def planned(ledger: Ledger) -> Ledger:
    """A ledger with three planned datablocks."""
    ledger.datablocks.plan(P, entries(3), "run-1")
    return ledger


@pytest.fixture
def wanted(planned: Ledger) -> Ledger:
    """The same, and the first one's recall is open."""
    planned.recalls.want([key()])
    return planned
