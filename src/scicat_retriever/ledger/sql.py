"""The ledger in a SQL database: a SQLite file on one machine, PostgreSQL for many.

jobs, datablocks, space, recalls, reports, delivery   the books, none of which knows another
rows                                                  what several books read and write
database                                              connections, transactions, tables and their upgrades
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self

from scicat_retriever.ledger.database.connection import Database
from scicat_retriever.ledger.database.transitions import Clock
from scicat_retriever.ledger.database.upgrade import upgrade
from scicat_retriever.ledger.datablocks.copies import SqlCopies
from scicat_retriever.ledger.datablocks.datablocks import SqlDatablocks
from scicat_retriever.ledger.datablocks.needs import SqlNeeds
from scicat_retriever.ledger.datablocks.remarks import SqlRemarks
from scicat_retriever.ledger.delivery.downloads import SqlDownloads
from scicat_retriever.ledger.delivery.links import SqlLinks
from scicat_retriever.ledger.delivery.titles import SqlTitles
from scicat_retriever.ledger.jobs.job_flows import SqlJobFlows
from scicat_retriever.ledger.jobs.jobs import SqlJobs
from scicat_retriever.ledger.recalls.recalls import SqlRecalls
from scicat_retriever.ledger.reports.reports import SqlReports
from scicat_retriever.ledger.space.cache import SqlCache
from scicat_retriever.ledger.space.claims import SqlClaims
from scicat_retriever.ledger.space.findings import SqlFindings
from scicat_retriever.ledger.space.inventory import SqlInventory
from scicat_retriever.ledger.space.ownership import SqlOwnership
from scicat_retriever.ledger.space.pins import SqlPins
from scicat_retriever.ports.ledger import Ledger


@dataclass(frozen=True, kw_only=True, eq=False)
class SqlLedger(Ledger):
    """A ledger whose books share a database.

    Attributes:
        database: The database that they share.
    """

    database: Database = field(repr=False)

    @classmethod
    def at(cls, url: str, clock: Clock) -> Self:
        """Give the ledger at a URL. Its tables must be up to date: see `open_ledger`.

        Args:
            url: `sqlite:///<path of a file>` or `postgresql://user:password@host/name`.
            clock: Gives the time of each change, aware, in UTC.

        Raises:
            ValueError: The URL is of another kind.
        """
        database = Database(url)
        return cls(
            jobs=SqlJobs(database, clock),
            job_flows=SqlJobFlows(database, clock),
            datablocks=SqlDatablocks(database, clock),
            copies=SqlCopies(database, clock),
            needs=SqlNeeds(database, clock),
            remarks=SqlRemarks(database, clock),
            findings=SqlFindings(database, clock),
            ownership=SqlOwnership(database, clock),
            claims=SqlClaims(database, clock),
            pins=SqlPins(database, clock),
            cache=SqlCache(database, clock),
            inventory=SqlInventory(database, clock),
            recalls=SqlRecalls(database, clock),
            reports=SqlReports(database, clock),
            titles=SqlTitles(database, clock),
            links=SqlLinks(database, clock),
            downloads=SqlDownloads(database, clock),
            database=database,
        )

    def close(self) -> None:
        """Close all connections to the database."""
        self.database.close()


def open_ledger(url: str, clock: Clock) -> SqlLedger:
    """Open a ledger, its tables made or brought up to date first. Arguments and errors as of `SqlLedger.at`.

    Raises:
        LedgerUnavailable: The database does not answer, refuses, or was upgraded by a newer version.
    """
    upgrade(url)
    return SqlLedger.at(url, clock)
