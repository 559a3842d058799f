"""The books of the ledger stay small, and are put together without inheritance."""

from dataclasses import fields
from typing import get_type_hints

import pytest

from scicat_retriever.ledger.database.book import Book
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import HandClock

BOOKS = [each.name for each in fields(Ledger)]


def methods_of(kind: type) -> set[str]:
    return {name for name in dir(kind) if not name.startswith("_")}


@pytest.mark.parametrize("book", BOOKS)
def test_a_book_has_fewer_than_20_methods(book: str) -> None:
    assert 0 < len(methods_of(get_type_hints(Ledger)[book])) < 20


@pytest.mark.parametrize("book", BOOKS)
def test_a_book_in_sql_has_the_methods_of_its_port_and_inherits_none(
    book: str, sqlite_url: str, clock: HandClock
) -> None:
    ledger = SqlLedger.at(sqlite_url, clock)
    kind = type(getattr(ledger, book))
    ledger.close()
    assert kind.__mro__ == (kind, Book, object)
    assert methods_of(kind) == methods_of(get_type_hints(Ledger)[book])
