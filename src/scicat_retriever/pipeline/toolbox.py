"""What the steps of a retrieval work with, built once at the start and passed to each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from scicat_retriever.pipeline.links import LinkSigner
from scicat_retriever.pipeline.verify import ChecksumPolicy
from scicat_retriever.ports.catalogue import Catalogue
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.long_term_store import LongTermStore
from scicat_retriever.ports.staging_area import StagingArea

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Toolbox:
    """The ports and the policies.

    Attributes:
        catalogue: SciCat.
        store: The long-term store.
        staging: The staging area.
        ledger: The ledger.
        links: Signs and checks download links.
        checksums: What to do where the catalogue has no checksum.
        check_packed_size: Whether an archive must have exactly the catalogued `packedSize`.
        retention: How long a staged datablock is kept.
        stall_timeout: Seconds after which a read that gives no byte is given up.
        clock: Gives the time, UTC and aware.
    """

    catalogue: Catalogue
    store: LongTermStore
    staging: StagingArea
    ledger: Ledger
    links: LinkSigner
    checksums: ChecksumPolicy
    check_packed_size: bool
    retention: timedelta
    stall_timeout: float
    clock: Clock
