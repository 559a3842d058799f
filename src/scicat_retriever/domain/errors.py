"""Every way in which a retrieval can fail. Each class fixes its code, its cause, who acts, and whether to try again.

RetrieverError
├── RequestError                what was sent to the service cannot be carried out
│   ├── JobMalformed, JobTypeUnknown, DatasetListEmpty, JobTooLarge, JobNotFound
│   └── TokenInvalid, LinkTampered, LinkExpired, LinkReleased, RangeUnsatisfiable
├── CatalogueError              SciCat
│   ├── CatalogueUnavailable, CatalogueLoginFailed, CatalogueForbidden, CatalogueRefused
│   ├── CatalogueAnswerUnreadable, CatalogueUpdateLost
│   ├── CatalogueJobUnknown, CatalogueJobUnclosable, DatasetUnknown
│   └── DatablocksMissing, DatablocksInvisible, CatalogueEntryInvalid
├── RecallError                 the long-term store
│   ├── ArchiveIdUnsafe, DatablockMissing, DatablockUnreadable, ArchiveIncomplete, StoreUnavailable
│   └── NotYetOnline, RecallTimedOut
├── TransferError               reading, writing
│   ├── ReadFailed, ReadStalled, ArchiveSizeDiffers, ArchiveMalformed, ArchiveUnsupported
│   └── TransferTimedOut
├── StagingError                the staging area
│   └── NoSpaceYet, SpaceTimedOut, LargerThanStaging, StagingWriteFailed, StagedFileMissing
├── IntegrityError              what was read is not what was catalogued
│   ├── ChecksumMismatch, SizeMismatch, MemberMissing, MemberUnexpected, MemberDuplicated, MemberUnsafe
│   └── ChecksumMissing, ChecksumUnknown, CatalogueFileDuplicated, ManifestDamaged
├── FlowError                   the flow as a whole
│   └── JobDeadlinePassed, JobCancelled, InternalError
└── ServiceError                our own parts
    └── EngineUnavailable, LedgerUnavailable, TransitionIllegal, WorkerStopping
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

MESSAGE_LIMIT = 1000
"""Longest message of a `Failure`, in characters: many of them must fit into one answer of a step."""


class Actor(StrEnum):
    """Who can do something about an error."""

    USER = "user"
    OPERATOR = "operator"
    SYSTEM = "system"


class Cause(StrEnum):
    """Where an error comes from; decides which word SciCat is told.

    USER and DATA are told as `datasetRetrievalFailed`, SYSTEM as `scheduleRetrieveJobFailed`, which
    SciCat's own page shows as a system error.
    """

    USER = "user"
    DATA = "data"
    SYSTEM = "system"


@dataclass(frozen=True, slots=True)
class Failure:
    """An error as it is stored, passed between flows and told to SciCat.

    Attributes:
        code: The error class's code.
        message: What happened and what to do, in a sentence or two, without secrets.
        who: Who acts.
        cause: Where it comes from.
        archive_id: The datablock it is about, where it is about one.
    """

    code: str
    message: str
    who: Actor
    cause: Cause
    archive_id: str | None = None


class RetrieverError(Exception):
    """The root of all errors of the service.

    Class attributes: `code` (stable, snake case), `cause`, `who` acts, and `retryable`: whether the same step may
    succeed when simply tried again later.
    """

    code: ClassVar[str] = "internal"
    cause: ClassVar[Cause] = Cause.SYSTEM
    who: ClassVar[Actor] = Actor.OPERATOR
    retryable: ClassVar[bool] = False

    def failure(self, archive_id: str | None = None) -> Failure:
        """Give the error as a record, which is small whatever the message is made of."""
        message = str(self)
        if len(message) > MESSAGE_LIMIT:
            message = message[: MESSAGE_LIMIT - 1] + "…"
        return Failure(self.code, message, self.who, self.cause, archive_id)


def concrete_errors(root: type[RetrieverError] = RetrieverError) -> Iterator[type[RetrieverError]]:
    """Give every error class that has a code of its own, in the order of the tree."""
    for child in root.__subclasses__():
        if "code" in vars(child):
            yield child
        yield from concrete_errors(child)


class RequestError(RetrieverError):
    """What was sent to the service cannot be carried out."""

    cause, who = Cause.USER, Actor.USER


class JobMalformed(RequestError):
    """The body is no SciCat job.

    Attributes:
        field: The JSON path of the first offending field.
    """

    code = "job_malformed"

    def __init__(self, message: str, field: str = "$") -> None:
        super().__init__(message)
        self.field = field


class JobTypeUnknown(JobMalformed):
    """The job's type is none that this service carries out."""

    code = "job_type_unknown"


class DatasetListEmpty(JobMalformed):
    """The job names no dataset."""

    code = "dataset_list_empty"


class JobTooLarge(RequestError):
    """The body is larger than the limit."""

    code = "job_too_large"


class JobNotFound(RequestError):
    """The service has no job of that id."""

    code = "job_not_found"


class TokenInvalid(RequestError):
    """The request carries no valid token."""

    code = "token_invalid"
    who = Actor.OPERATOR


class LinkTampered(RequestError):
    """The download link is not one that this service signed."""

    code = "link_tampered"


class LinkExpired(RequestError):
    """The download link's time is over; ask SciCat for the dataset again."""

    code = "link_expired"


class LinkReleased(RequestError):
    """The file was removed from staging; ask SciCat for the dataset again."""

    code = "link_released"


class RangeUnsatisfiable(RequestError):
    """The Range header lies outside the file (RFC 9110, 15.5.17)."""

    code = "range_unsatisfiable"


class CatalogueError(RetrieverError):
    """SciCat did not do what it was asked."""


class CatalogueUnavailable(CatalogueError):
    """SciCat cannot be reached, does not answer in time, or answers 5xx or 429."""

    code, who, retryable = "catalogue_unavailable", Actor.SYSTEM, True


class CatalogueLoginFailed(CatalogueError):
    """SciCat refuses the service's account or token."""

    code, retryable = "catalogue_login_failed", True


class CatalogueForbidden(CatalogueError):
    """SciCat answers 403 after a fresh login: the service's account lacks a right."""

    code, retryable = "catalogue_forbidden", True


class CatalogueRefused(CatalogueError):
    """SciCat answers 4xx to a request of ours: the same request will be refused again."""

    code = "catalogue_refused"


class CatalogueAnswerUnreadable(CatalogueError):
    """SciCat's answer is not of the shape that its interface describes."""

    code = "catalogue_answer_unreadable"


class CatalogueUpdateLost(CatalogueError):
    """SciCat accepted an update that cannot be read back; another writer may have undone it."""

    code, who, retryable = "catalogue_update_lost", Actor.SYSTEM, True


class CatalogueJobUnknown(CatalogueError):
    """SciCat knows no job of that id."""

    code, cause, who = "catalogue_job_unknown", Cause.USER, Actor.USER


class CatalogueJobUnclosable(CatalogueError):
    """SciCat cannot update the job any more, since a dataset of it was deleted (404)."""

    code = "catalogue_job_unclosable"


class DatasetUnknown(CatalogueError):
    """SciCat knows no dataset of that pid."""

    code, cause, who = "dataset_unknown", Cause.USER, Actor.USER


class DatablocksMissing(CatalogueError):
    """The catalogue lists none or fewer datablocks than the dataset declares."""

    code, cause = "datablocks_missing", Cause.DATA


class DatablocksInvisible(CatalogueError):
    """The catalogue shows no datablocks where the dataset declares some: the account may lack the right."""

    code = "datablocks_invisible"


class CatalogueEntryInvalid(CatalogueError):
    """A datablock's entry in the catalogue cannot be worked with."""

    code, cause = "catalogue_entry_invalid", Cause.DATA


class RecallError(RetrieverError):
    """The long-term store did not give the archive."""


class ArchiveIdUnsafe(RecallError):
    """The catalogued archiveId leads outside the store."""

    code, cause = "archive_id_unsafe", Cause.DATA


class DatablockMissing(RecallError):
    """The store has no such archive."""

    code, cause, retryable = "datablock_missing", Cause.DATA, True


class DatablockUnreadable(RecallError):
    """The store has the archive and does not let it be read."""

    code, cause, retryable = "datablock_unreadable", Cause.DATA, True


class ArchiveIncomplete(RecallError):
    """The archive in the store has another size than the catalogue's `packedSize`; it may still be written."""

    code, cause, retryable = "archive_incomplete", Cause.DATA, True


class StoreUnavailable(RecallError):
    """The store does not answer: not mounted, hung, or refusing."""

    code, retryable = "store_unavailable", True


class NotYetOnline(RecallError):
    """The archive is still on tape; the recall goes on."""

    code, who, retryable = "not_yet_online", Actor.SYSTEM, True


class RecallTimedOut(RecallError):
    """The archive did not become readable in the time allowed."""

    code = "recall_timed_out"


class TransferError(RetrieverError):
    """The archive could not be read to its end."""


class ReadFailed(TransferError):
    """Reading from the store failed with an I/O error."""

    code, retryable = "read_failed", True


class ReadStalled(TransferError):
    """The store gave no byte for too long."""

    code, retryable = "read_stalled", True


class ArchiveSizeDiffers(TransferError):
    """The archive is shorter or longer than the catalogue or its own format says."""

    code, cause = "archive_size_differs", Cause.DATA


class ArchiveMalformed(TransferError):
    """The archive is no readable tar."""

    code, cause = "archive_malformed", Cause.DATA


class ArchiveUnsupported(TransferError):
    """The archive uses a part of the tar format that cannot be verified (sparse members)."""

    code, cause = "archive_unsupported", Cause.DATA


class TransferTimedOut(TransferError):
    """The whole datablock took longer than allowed."""

    code = "transfer_timed_out"


class StagingError(RetrieverError):
    """The staging area did not take or keep the bytes."""


class NoSpaceYet(StagingError):
    """There is not enough free staging space at the moment."""

    code, who, retryable = "no_space_yet", Actor.SYSTEM, True


class SpaceTimedOut(StagingError):
    """There was not enough free staging space within the time allowed."""

    code = "space_timed_out"


class LargerThanStaging(StagingError):
    """The datablock would not fit even if the staging area were empty."""

    code = "larger_than_staging"


class StagingWriteFailed(StagingError):
    """Writing to the staging area failed."""

    code, retryable = "staging_write_failed", True


class StagedFileMissing(StagingError):
    """A staged or partial file is not where the ledger says."""

    code, retryable = "staged_file_missing", True


class IntegrityError(RetrieverError):
    """What was read is not what was catalogued."""

    cause = Cause.DATA


class ChecksumMismatch(IntegrityError):
    """A file's checksum differs from the catalogued one."""

    code = "checksum_mismatch"


class SizeMismatch(IntegrityError):
    """A file's size differs from the catalogued one."""

    code = "size_mismatch"


class MemberMissing(IntegrityError):
    """A catalogued file is not in the archive."""

    code = "member_missing"


class MemberUnexpected(IntegrityError):
    """The archive holds a file that is not catalogued."""

    code = "member_unexpected"


class MemberDuplicated(IntegrityError):
    """The archive holds a file twice."""

    code = "member_duplicated"


class MemberUnsafe(IntegrityError):
    """A member's name would lead outside the folder that it is unpacked into."""

    code = "member_unsafe"


class ChecksumMissing(IntegrityError):
    """The catalogue has no checksum of a file, and the policy is to fail."""

    code = "checksum_missing"


class ChecksumUnknown(IntegrityError):
    """The catalogue names a checksum algorithm that this service does not know."""

    code = "checksum_unknown"


class CatalogueFileDuplicated(IntegrityError):
    """The catalogue lists a file of a datablock twice."""

    code = "catalogue_file_duplicated"


class ManifestDamaged(IntegrityError):
    """The record of what was copied does not bear its seal; the copy is made again."""

    code, cause, who, retryable = "manifest_damaged", Cause.SYSTEM, Actor.SYSTEM, True


class FlowError(RetrieverError):
    """The flow as a whole came to an end."""


class JobDeadlinePassed(FlowError):
    """The job was not finished in the time allowed."""

    code = "job_deadline_passed"


class JobCancelled(FlowError):
    """Somebody cancelled the job."""

    code, cause, who = "job_cancelled", Cause.USER, Actor.USER


class InternalError(FlowError):
    """A fault of the service itself; the log has the details."""

    code = "internal_error"


class ServiceError(RetrieverError):
    """A part of the service itself is missing."""


class EngineUnavailable(ServiceError):
    """The workflow engine does not answer."""

    code, retryable = "engine_unavailable", True


class LedgerUnavailable(ServiceError):
    """The ledger's database does not answer."""

    code, retryable = "ledger_unavailable", True


class TransitionIllegal(ServiceError):
    """A state was to follow another that it must not follow."""

    code = "transition_illegal"


class WorkerStopping(ServiceError):
    """The worker was asked to stop in the middle of a step, which another will repeat."""

    code, who, retryable = "worker_stopping", Actor.SYSTEM, True
