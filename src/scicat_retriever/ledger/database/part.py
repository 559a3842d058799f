"""What every part of the SQL ledger shares: the database, the clock, and the book of transitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Float, cast, func, insert

from scicat_retriever.domain.batches import in_batches
from scicat_retriever.domain.errors import TransitionIllegal
from scicat_retriever.domain.states import may_become
from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.schema import transitions

BATCH = 500
"""Rows, or values of a condition, in one statement."""
_Item = TypeVar("_Item")

_BOOK = insert(transitions)

Clock = Callable[[], datetime]
"""Gives the moment, aware, in UTC."""


@dataclass(frozen=True, slots=True)
class TransitionSubject:
    """Whose state changed: a job, a dataset of a job, a datablock of a dataset, or a report of a job or a dataset."""

    kind: Literal["job", "dataset", "datablock", "report"]
    job_id: str | None = None
    pid: str | None = None
    datablock: str | None = None

    def __str__(self) -> str:
        named = {"job": self.job_id, "dataset": self.pid, "datablock": self.datablock}
        return " of ".join(f"{kind} {name}" for kind, name in reversed(named.items()) if name is not None)


class LedgerPart:
    """A part of the ledger.

    Args:
        database: Shared by all parts.
        clock: Gives the times that are written down.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def _require_legal(self, subject: TransitionSubject, old: StrEnum, new: StrEnum) -> None:
        if not may_become(old, new):
            raise TransitionIllegal(f"The {subject} is {old} and cannot become {new}.")

    def _enter(
        self,
        connection: Connection,
        subject: TransitionSubject,
        old: StrEnum | None,
        new: StrEnum,
        reason: str = "",
    ) -> None:
        """Write a change of state into the book; a state that stays is none."""
        if old != new:
            self._enter_all(connection, [(subject, old)], new, reason)

    def _enter_all(
        self,
        connection: Connection,
        changed: Sequence[tuple[TransitionSubject, StrEnum | None]],
        new: StrEnum,
        reason: str = "",
    ) -> None:
        """Write one change of state of each subject, given with its old state, into the book."""
        now = self._clock()
        entries = [
            {
                "at": now,
                "kind": subject.kind,
                "job_id": subject.job_id,
                "pid": subject.pid,
                "datablock": subject.datablock,
                "old": old or "",
                "new": new,
                "reason": reason,
            }
            for subject, old in changed
        ]
        if entries:
            connection.execute(_BOOK, entries)


def total(column: ColumnElement[int]) -> ColumnElement[float]:
    """Sum up bytes that nobody has vouched for; none where there is no row.

    SQLite refuses a sum of whole numbers beyond 64 bits, so this is one of floating ones: exact up to 2^53 bytes (9 PB).
    """
    return func.sum(cast(column, Float))


def batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Give items in lists of at most `BATCH`."""
    return in_batches(items, BATCH)
