"""A ledger under test, and its book of transitions in one form for all kinds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select

from scicat_retriever.ledger.database.schema import transitions
from scicat_retriever.ledger.sql import SqlLedger
from scicat_retriever.ports.ledger import Ledger
from tests.contracts.ledger.samples import HandClock
from tests.fakes.ledger import Transition


@dataclass
class Rig:
    """A ledger under test and how to look into its book."""

    ledger: Ledger
    clock: HandClock
    transitions: Callable[[], list[Transition]]


def book_of(ledger: SqlLedger) -> list[Transition]:
    """The rows of the transitions table, oldest first."""
    c = transitions.c
    with ledger.database.reading() as connection:
        rows = connection.execute(select(transitions).order_by(c.number)).all()
    return [
        Transition(
            row.at,
            _subject(row),
            row.old,
            row.new,
            row.reason,
        )
        for row in rows
    ]


def _subject(row: Any) -> tuple[str, ...]:
    match row.kind:
        case "job":
            return (row.job_id,)
        case "dataset":
            return (row.job_id, row.pid)
        case "report":
            return ("report", "job", row.job_id) if row.pid is None else ("report", "dataset", row.pid)
    return ("", row.pid, row.datablock)
