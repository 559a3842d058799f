"""What a book of the ledger is made of: the database, the clock, and the log of transitions."""

from __future__ import annotations

from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.transitions import Clock, TransitionLog


class Book:
    """A book of the ledger. Each of its methods is one transaction.

    Args:
        database: Shared by all books.
        clock: Gives the times that are written down.
    """

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._log = TransitionLog(clock)
