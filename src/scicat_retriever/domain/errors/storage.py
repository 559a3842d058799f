"""The long-term store, the reading and writing, and the staging area."""

from __future__ import annotations

from scicat_retriever.domain.errors.base import MESSAGE_LIMIT, Actor, Cause, RetrieverError
from scicat_retriever.domain.foreign_text import one_line


def _shown(archive_id: str) -> str:
    return one_line(archive_id, MESSAGE_LIMIT)


class RecallError(RetrieverError):
    """The long-term store did not give the archive."""


class ArchiveIdUnsafe(RecallError):
    """The catalogued archiveId leads outside the store."""

    code, cause = "archive_id_unsafe", Cause.DATA


class DatablockMissing(RecallError):
    """The store has no such archive."""

    code, cause, retryable = "datablock_missing", Cause.DATA, True
    limits = ("flow.appear_timeout", "flow.transfer_attempts")

    @classmethod
    def of(cls, archive_id: str, words: str = "") -> DatablockMissing:
        """Say it of an archive, with the store's own words, if there are any."""
        return cls(f"the long-term store has no {_shown(archive_id)}{f': {words}' if words else ''}")


class DatablockUnreadable(RecallError):
    """The store has the archive and does not let it be read."""

    code, cause, retryable = "datablock_unreadable", Cause.DATA, True
    limits = ("flow.appear_timeout", "flow.transfer_attempts")


class ArchiveIncomplete(RecallError):
    """The archive in the store has another size than `packedSize` in SciCat; it may still be written."""

    code, cause, retryable = "archive_incomplete", Cause.DATA, True
    limits = ("flow.appear_timeout", "flow.transfer_attempts")


class ArchiveLost(RecallError):
    """The store says itself that it lost the archive: it will not come back."""

    code, cause = "archive_lost", Cause.DATA

    @classmethod
    def of(cls, archive_id: str, words: str = "") -> ArchiveLost:
        """Say it of an archive, with the store's own words, if there are any."""
        return cls(f"the long-term store lost {_shown(archive_id)}: {words or 'it says no more'}")


class StoreNotConfigured(RecallError):
    """A dataset's `storageLocation`, or a datablock's record, names a store that the settings do not know."""

    code = "store_not_configured"


class RecallRefused(RecallError):
    """The store refuses to recall the archive."""

    code = "recall_refused"


class StoreUnavailable(RecallError):
    """The store does not answer: not mounted, or refusing."""

    code, retryable = "store_unavailable", True
    limits = ("flow.recall_timeout", "flow.transfer_attempts")


class StoreTimedOut(StoreUnavailable):
    """The store took longer than `lts.answer_timeout` to say where an archive is, or to take a request."""

    code = "store_timed_out"


class StoreRefusesAccount(StoreUnavailable):
    """The store does not let the service's account in: give it another token, key or right."""

    code = "store_refuses_account"


class NotYetOnline(RecallError):
    """The archive is still on tape; the recall goes on."""

    code, who, retryable = "not_yet_online", Actor.SYSTEM, True
    limits = ("flow.recall_timeout",)


class RecallTimedOut(RecallError):
    """The archive did not become readable in the time allowed."""

    code = "recall_timed_out"


class TransferError(RetrieverError):
    """The archive could not be read to its end."""


class ReadFailed(TransferError):
    """Reading from the store failed with an I/O error."""

    code, retryable = "read_failed", True
    limits = ("flow.transfer_attempts",)


class ReadStalled(TransferError):
    """The store gave no byte for too long."""

    code, retryable = "read_stalled", True
    limits = ("flow.transfer_attempts",)


class ArchiveSizeDiffers(TransferError):
    """The archive is shorter or longer than the catalogue or its own format says."""

    code, cause = "archive_size_differs", Cause.DATA


class ArchiveMalformed(TransferError):
    """The archive is no readable tar."""

    code, cause = "archive_malformed", Cause.DATA


class ArchiveUnsupported(TransferError):
    """The archive is no tar or tar within gzip, or has parts that cannot be verified (sparse members)."""

    code, cause = "archive_unsupported", Cause.DATA


class ArchiveAmbiguous(TransferError):
    """GNU tar, bsdtar and Python's tarfile would unpack the archive differently, some without a word."""

    code, cause = "archive_ambiguous", Cause.DATA


class TransferTimedOut(TransferError):
    """The whole datablock took longer than allowed."""

    code = "transfer_timed_out"


class StagingError(RetrieverError):
    """The staging area did not take or keep the bytes."""


class NoSpaceYet(StagingError):
    """There is not enough free staging space at the moment."""

    code, who, retryable = "no_space_yet", Actor.SYSTEM, True
    limits = ("flow.space_timeout", "flow.recall_timeout", "flow.job_timeout")


class SpaceGivenBack(StagingError):
    """A dataset outgrew its claim, and others wait for what its jobs hold: these jobs wait in line again."""

    code, who = "space_given_back", Actor.SYSTEM


class SpaceTimedOut(StagingError):
    """There was not enough free staging space within the time allowed."""

    code = "space_timed_out"


class LargerThanStaging(StagingError):
    """The datablock would not fit even if the staging area were empty."""

    code = "larger_than_staging"


class JobLargerThanStaging(StagingError):
    """The job's datasets do not fit together, even into an empty staging area: ask for fewer at once."""

    code, cause, who = "job_larger_than_staging", Cause.USER, Actor.USER


class QuotaExceeded(StagingError):
    """The job's owner group would pin more than its quota: wait until pins end, or release something."""

    code, cause, who = "quota_exceeded", Cause.USER, Actor.USER


class StagingWriteFailed(StagingError):
    """Writing to the staging area failed."""

    code, retryable = "staging_write_failed", True
    limits = ("flow.transfer_attempts", "flow.space_timeout")


class StagingNotOurs(StagingError):
    """The staging area has not this ledger's mark (not mounted, or another's): nothing in it is touched."""

    code, retryable = "staging_not_ours", True
    limits = ("flow.space_timeout", "flow.catalogue_timeout", "flow.job_timeout")


class StagedFileMissing(StagingError):
    """A staged or partial file is not where the ledger says."""

    code, retryable = "staged_file_missing", True
    limits = ("flow.transfer_attempts",)


class StagedBytesDiffer(StagingError):
    """The staging area holds other bytes than were written to it."""

    code, retryable = "staged_bytes_differ", True
    limits = ("flow.transfer_attempts",)
