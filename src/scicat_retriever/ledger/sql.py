"""The ledger in a SQL database: a SQLite file on one machine, PostgreSQL for many.

connection, refusals, columns, schema, migrations, upgrade     the database
jobs, job_control, outbox, findings, remarks, plans, datablocks, chosen_files, recalls, copies, claims, pins, eviction,
inventory, ownership
                                                               the parts, each a group of the port's methods
"""

from __future__ import annotations

from scicat_retriever.ledger.chosen_files import ChosenFilesPart
from scicat_retriever.ledger.claims import ClaimsPart
from scicat_retriever.ledger.connection import Database
from scicat_retriever.ledger.copies import CopiesPart
from scicat_retriever.ledger.datablocks import DatablocksPart
from scicat_retriever.ledger.eviction import EvictionPart
from scicat_retriever.ledger.findings import FindingsPart
from scicat_retriever.ledger.inventory import InventoryPart
from scicat_retriever.ledger.job_control import JobControlPart
from scicat_retriever.ledger.outbox import OutboxPart
from scicat_retriever.ledger.ownership import OwnershipPart
from scicat_retriever.ledger.part import Clock
from scicat_retriever.ledger.pins import PinsPart
from scicat_retriever.ledger.plans import PlansPart
from scicat_retriever.ledger.recalls import RecallsPart
from scicat_retriever.ledger.remarks import RemarksPart
from scicat_retriever.ledger.upgrade import upgrade


class SqlLedger(
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
