"""Every exception of the database's libraries is either mapped, or known to be a fault of our own code."""

from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy import exc

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.ledger.database.refusals import named_refusals
from tests.unit.foreign_errors import exceptions_of

OWN_FAULTS = {
    *("AmbiguousColumnError", "AmbiguousForeignKeysError", "ArgumentError", "AwaitRequired"),
    *("CircularDependencyError", "CompileError", "ConstraintColumnNotFoundError", "DisconnectionError"),
    *("DuplicateColumnError", "EmulatedDBAPIException", "IdentifierError", "IllegalStateChangeError"),
    *("InvalidRequestError", "InvalidatePoolError", "MissingGreenlet", "MultipleResultsFound"),
    *("NoDBAPILoaded", "NoForeignKeysError", "NoInspectionAvailable", "NoReferenceError"),
    *("NoReferencedColumnError", "NoReferencedTableError", "NoResultFound", "NoSuchColumnError"),
    *("NoSuchModuleError", "NoSuchTableError", "ObjectNotExecutableError", "PendingRollbackError"),
    *("ResourceClosedError", "SQLAlchemyError", "StatementError", "UnboundExecutionError"),
    *("UnreflectableTableError", "UnsupportedCompilationError"),
}
"""SQLAlchemy's words for its being used wrongly. They pass, and the step or the request that met one says so."""

WRAPPED = [kind for kind in exceptions_of("sqlalchemy.exc", below=False) if issubclass(kind, exc.DBAPIError)]
OTHERS = [kind for kind in exceptions_of("sqlalchemy.exc", below=False) if kind not in WRAPPED]
POSTGRES = [kind for kind in exceptions_of("psycopg") if kind not in (psycopg.Rollback, psycopg.Warning)]
"""Left out: the wish to roll back, which is no error, and what the driver never raises (PEP 249 asks for the name)."""
SQLITE = [kind for kind in exceptions_of("sqlite3", below=False) if kind is not sqlite3.Warning]
DRIVERS = [*POSTGRES, *SQLITE]


def named(kind: type[Exception]) -> str:
    return f"{kind.__module__}.{kind.__name__}"


def test_the_exceptions_of_the_libraries_are_found() -> None:
    assert {exc.OperationalError, exc.IntegrityError} <= set(WRAPPED)
    assert {exc.TimeoutError, exc.ArgumentError} <= set(OTHERS)
    assert {psycopg.OperationalError, psycopg.errors.DiskFull, sqlite3.OperationalError} <= set(DRIVERS)


@pytest.mark.parametrize("kind", DRIVERS, ids=named)
def test_each_refusal_of_a_database_is_ours(kind: type[Exception]) -> None:
    with pytest.raises(LedgerUnavailable, match="did not answer"), named_refusals(""):
        raise kind("some text")


@pytest.mark.parametrize("kind", WRAPPED, ids=named)
def test_each_refusal_that_sqlalchemy_wraps_is_ours(kind: type[exc.DBAPIError]) -> None:
    with pytest.raises(LedgerUnavailable), named_refusals(""):
        raise kind("SELECT 1", None, sqlite3.OperationalError("disk I/O error"))


@pytest.mark.parametrize("kind", OTHERS, ids=named)
def test_each_other_exception_of_sqlalchemy_is_ours_or_a_fault_of_our_code(kind: type[Exception]) -> None:
    expected = kind if kind.__name__ in OWN_FAULTS else LedgerUnavailable
    with pytest.raises(expected), named_refusals(""):
        raise kind.__new__(kind, "some text")
