"""The ledger in a SQL database: a SQLite file on one machine, PostgreSQL for many.

jobs, datablocks, space, recalls, reports   the books: each a group of the port's methods, none of which knows another
rows                                        what several books read and write
database                                    connections, transactions, tables and their upgrades
"""

from __future__ import annotations

from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.transitions import Clock
from scicat_retriever.ledger.database.upgrade import upgrade
from scicat_retriever.ledger.datablocks.chosen_files import ChosenFilesPart
from scicat_retriever.ledger.datablocks.copies import CopiesPart
from scicat_retriever.ledger.datablocks.datablocks import DatablocksPart
from scicat_retriever.ledger.datablocks.plans import PlansPart
from scicat_retriever.ledger.datablocks.remarks import RemarksPart
from scicat_retriever.ledger.jobs.control import JobControlPart
from scicat_retriever.ledger.jobs.jobs import JobsPart
from scicat_retriever.ledger.recalls.recalls import RecallsPart
from scicat_retriever.ledger.reports.outbox import OutboxPart
from scicat_retriever.ledger.space.claims import ClaimsPart
from scicat_retriever.ledger.space.eviction import EvictionPart
from scicat_retriever.ledger.space.findings import FindingsPart
from scicat_retriever.ledger.space.inventory import InventoryPart
from scicat_retriever.ledger.space.ownership import OwnershipPart
from scicat_retriever.ledger.space.pins import PinsPart


class SqlLedger(
    JobsPart,
    JobControlPart,
    OutboxPart,
    FindingsPart,
    RemarksPart,
    PlansPart,
    DatablocksPart,
    ChosenFilesPart,
    RecallsPart,
    CopiesPart,
    ClaimsPart,
    PinsPart,
    EvictionPart,
    InventoryPart,
    OwnershipPart,
):
    """Implements `ports.ledger.Ledger`. Its tables must be up to date: see `open_ledger`.

    Args:
        url: `sqlite:///<path of a file>` or `postgresql://user:password@host/name`.
        clock: Gives the time of each change, aware, in UTC.

    Raises:
        ValueError: The URL is of another kind.
    """

    def __init__(self, url: str, clock: Clock) -> None:
        super().__init__(Database(url), clock)

    def close(self) -> None:
        """Close all connections to the database."""
        self._database.close()


def open_ledger(url: str, clock: Clock) -> SqlLedger:
    """Open a ledger, its tables made or brought up to date first. Arguments and errors as of `SqlLedger`.

    Raises:
        LedgerUnavailable: The database does not answer, refuses, or was upgraded by a newer version.
    """
    upgrade(url)
    return SqlLedger(url, clock)
