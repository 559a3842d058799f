"""The staging area."""

from __future__ import annotations

from scicat_retriever.bootstrap.complaint import named
from scicat_retriever.pipeline.staging import ownership
from scicat_retriever.pipeline.staging.owned_staging import OwnedStaging
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.ports.staging_area import StagingArea
from scicat_retriever.settings import Settings, SettingsInvalid
from scicat_retriever.storage.staging.kinds import staging_kind


def build_staging(settings: Settings, ledger: Ledger) -> StagingArea:
    """Open the staging area. It must be the ledger's own, or nobody's: then it becomes the ledger's own.

    Raises:
        SettingsInvalid: The area would never have room for anything.
        StagingNotOurs: The area is another ledger's, or it is not mounted.
        StagingError: The area cannot be used.
    """
    area = staging_area(settings)
    ownership.take(area, ledger)
    if area.room().total <= 0:
        raise SettingsInvalid(
            "staging.keep_free_bytes: what is to be kept free is all that the file system of staging.root has: make it less, or "
            "take another folder"
        )
    return OwnedStaging(area, ledger.ownership.identity(), staging_kind(settings.staging).trusted_seconds)


def staging_area(settings: Settings) -> StagingArea:
    """Give the staging area, whichever ledger it belongs to."""
    with named("staging"):
        return staging_kind(settings.staging).open(settings.staging)
