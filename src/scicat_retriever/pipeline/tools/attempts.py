"""Attempts: which errors are believed at once, which wait, and which use attempts up."""

from __future__ import annotations

from scicat_retriever.domain.errors import (
    LedgerUnavailable,
    NoSpaceYet,
    RetrieverError,
    StagingNotOurs,
    WorkerStopping,
)
from scicat_retriever.domain.ids import ArchiveId

FORBIDDEN_ATTEMPTS = 4
"""How often SciCat is asked that says that the service's account may not read.

A missing right is believed soon, but not at once: a proxy or a backend that restarts may have said so.
"""
WAITS_FOR_STAGING = (NoSpaceYet, StagingNotOurs)
"""Errors of what goes on by itself once others made room, or an operator mounted the staging area."""
NOT_COUNTED = (LedgerUnavailable, WorkerStopping, *WAITS_FOR_STAGING)
"""Errors that say nothing about the archive, so do not use up its attempts."""


class AttemptFailed(Exception):
    """An attempt at one datablock failed, and what that means is known here alone.

    Args:
        error: Why.
        is_final: Whether there is no further attempt, though the error could be one that passes.
        archive_id: The datablock's archive.
    """

    def __init__(self, error: RetrieverError, *, is_final: bool, archive_id: ArchiveId) -> None:
        super().__init__(str(error))
        self.error = error
        self.is_final = is_final
        self.archive_id = archive_id
