"""The ledger: the one record of what was asked, what happened, and what is held. It holds books."""

from __future__ import annotations

from dataclasses import dataclass

from scicat_retriever.ports.cache import Cache
from scicat_retriever.ports.claims import Claims
from scicat_retriever.ports.copies import Copies
from scicat_retriever.ports.datablocks import Datablocks
from scicat_retriever.ports.downloads import Downloads
from scicat_retriever.ports.findings import Findings
from scicat_retriever.ports.inventory import Inventory
from scicat_retriever.ports.job_flows import JobFlows
from scicat_retriever.ports.jobs import Jobs
from scicat_retriever.ports.links import Links
from scicat_retriever.ports.needs import Needs
from scicat_retriever.ports.ownership import Ownership
from scicat_retriever.ports.pins import Pins
from scicat_retriever.ports.recalls import Recalls
from scicat_retriever.ports.remarks import Remarks
from scicat_retriever.ports.reports import Reports
from scicat_retriever.ports.titles import Titles


@dataclass(frozen=True, kw_only=True, eq=False)
class Ledger:
    """The ledger. Who needs one book of it alone takes that.

    Each method of a book is one transaction, durable when it returns, and may be called from any thread and
    from several machines at once. Raises `LedgerUnavailable` when the database does not answer or refuses,
    `TransitionIllegal` when a state would follow one that it must not follow (see `domain.states`) or when
    the datablock or the job's dataset to be moved is not known, and `JobNotFound` when an unknown job is to
    be changed. Every change of state, the first included, is also kept as a row of the transitions table,
    with its time (UTC); repeating a state is no change.

    Attributes:
        jobs: What was asked for, and how far it is.
        job_flows: Which flow carries each job out, and what the engine is still to be told of it.
        datablocks: What is planned for datasets, and how far each datablock is.
        copies: The evidence of what was copied and staged.
        needs: What each job needs of its datasets.
        remarks: What those who get a dataset should know of it.
        findings: What regular looks found last.
        ownership: Whose the staging areas are.
        claims: Staging space that is set aside for what is on its way, and who waits for it.
        pins: Who wants which dataset to stay staged.
        cache: What may go from staging.
        inventory: What should be in staging.
        recalls: What is wanted from the stores.
        reports: What SciCat has to hear.
        titles: What SciCat calls datasets.
        links: Which links of retrievals are still good.
        downloads: What was downloaded.
    """

    jobs: Jobs
    job_flows: JobFlows
    datablocks: Datablocks
    copies: Copies
    needs: Needs
    remarks: Remarks
    findings: Findings
    ownership: Ownership
    claims: Claims
    pins: Pins
    cache: Cache
    inventory: Inventory
    recalls: Recalls
    reports: Reports
    titles: Titles
    links: Links
    downloads: Downloads
