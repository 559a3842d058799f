"""`retriever adopt-staging`: makes the staging area this ledger's, when an operator says so."""

from __future__ import annotations

from collections.abc import Iterator

from scicat_retriever.bootstrap.ledger import build_ledger
from scicat_retriever.bootstrap.staging import staging_area
from scicat_retriever.ledger.backup import sqlite_file
from scicat_retriever.pipeline.staging.ownership import adopt
from scicat_retriever.settings import Settings, SettingsInvalid


def adopt_staging(settings: Settings) -> Iterator[str]:
    """Mark the staging area of the settings as this ledger's own; the service may run meanwhile.

    No ledger is made for that: the ledger of a wrong folder would take the area from a running service.

    Yields:
        What was done, in a sentence.

    Raises:
        SettingsInvalid: There is no ledger.
        StagingError: The area cannot be marked.
        LedgerUnavailable: The ledger cannot be read or written.
    """
    file = sqlite_file(settings.ledger_url)
    if file is not None and not file.exists():
        raise SettingsInvalid(f"data: there is no ledger at {file}: name the service's folder with --data")
    ledger = build_ledger(settings)
    try:
        area = staging_area(settings)
        former = adopt(area, ledger)
        if former == ledger.ownership.identity():
            yield f"the staging area {area.location} is this ledger's already"
            return
        before = "had no marker" if former is None else f"belonged to another ledger ({former})"
        yield f"the staging area {area.location} {before}; it is this ledger's now. Files that it does not know go with the next check"
    finally:
        ledger.close()
