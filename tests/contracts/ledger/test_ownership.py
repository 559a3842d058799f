"""The identity of a ledger, and the staging areas that it has marked."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import HandClock


def test_a_ledger_has_one_identity(ledger: Ledger) -> None:
    assert ledger.ownership.identity()
    assert ledger.ownership.identity() == ledger.ownership.identity()


def test_all_that_ask_a_new_ledger_at_once_are_told_the_same(url: str, clock: HandClock) -> None:
    ledgers = [SqlLedger.at(url, clock) for _ in range(4)]
    with ThreadPoolExecutor(8) as threads:
        told = set(threads.map(lambda number: ledgers[number % 4].ownership.identity(), range(8)))
    for each in ledgers:
        each.close()
    assert len(told) == 1


def test_what_was_marked_is_remembered_by_its_place(ledger: Ledger) -> None:
    assert not ledger.ownership.has_marked("/staging")
    ledger.ownership.note_marked("/staging")
    ledger.ownership.note_marked("/staging")
    assert ledger.ownership.has_marked("/staging")
    assert not ledger.ownership.has_marked("/staging/")
