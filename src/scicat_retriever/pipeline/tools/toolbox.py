"""What the steps of a retrieval work with, built once at the start and passed to each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from scicat_retriever.pipeline.tools.archive_policy import ArchivePolicy
from scicat_retriever.pipeline.tools.cache_policy import CachePolicy
from scicat_retriever.pipeline.tools.checksum_policy import ChecksumPolicy
from scicat_retriever.pipeline.tools.links import LinkSigner
from scicat_retriever.pipeline.tools.stores import Stores
from scicat_retriever.ports.catalogue import Catalogue
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import StagingArea

Clock = Callable[[], datetime]


class StagingTools(Protocol):
    """The part of the toolbox that looks after what is staged; the API has it, too."""

    @property
    def staging(self) -> StagingArea:
        """The staging area."""
        ...

    @property
    def ledger(self) -> Ledger:
        """The ledger."""
        ...

    @property
    def cache(self) -> CachePolicy:
        """How staging is used as a cache."""
        ...

    @property
    def clock(self) -> Clock:
        """Gives the time, UTC and aware."""
        ...


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The ports and the policies.

    Attributes:
        catalogue: SciCat.
        stores: The long-term stores.
        staging: The staging area.
        ledger: The ledger.
        links: Signs and checks download links.
        checksums: What to do where the catalogue has no checksum.
        retention: How long a dataset stays pinned for a job that has ended.
        margin: How much earlier the links to it expire.
        cache: How staging is used as a cache.
        silence: After which time a job that waits for space and does not ask is passed over.
        stall_timeout: Seconds after which a read that gives no byte is given up.
        clock: Gives the time, UTC and aware.
        archives: What is taken of archives that are not as they should be.
    """

    catalogue: Catalogue
    stores: Stores
    staging: StagingArea
    ledger: Ledger
    links: LinkSigner
    checksums: ChecksumPolicy
    retention: timedelta
    margin: timedelta
    cache: CachePolicy
    silence: timedelta
    stall_timeout: float
    clock: Clock
    archives: ArchivePolicy = field(default_factory=ArchivePolicy)
