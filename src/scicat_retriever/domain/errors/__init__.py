"""Every way in which a retrieval can fail: each class fixes its code, its cause, who acts, whether to retry.

RetrieverError
├── RequestError                what was sent to the service cannot be carried out
│   ├── JobRefused              for good: JobMalformed, JobTypeUnknown, DatasetListEmpty, JobTooLarge
│   ├── JobUnderWay, JobNotFound
│   ├── JobEnded, JobNotEnded, DatasetNotOfJob, NothingToRetry, NothingStaged, DatasetPinned
│   ├── FilesUnknown, FilesNotArchived (of the same code)
│   ├── StoreUnknown, ReportNotParked
│   ├── TokenInvalid, TokenScopeTooSmall
│   ├── LinkTampered, LinkExpired, LinkReleased, LinkRevoked
│   └── RangeUnsatisfiable, ArchiveNotReady, NothingSelected, NotSigned
├── CatalogueError              SciCat
│   ├── CatalogueUnavailable, CatalogueTimedOut, CatalogueLoginFailed, CatalogueForbidden, CatalogueRefused
│   ├── CatalogueAnswerUnreadable, CatalogueUpdateLost
│   ├── CatalogueGone           deleted there: CatalogueJobUnknown, CatalogueJobUnclosable, DatasetUnknown
│   └── DatablocksMissing, DatablocksInvisible, CatalogueEntryInvalid
├── RecallError                 the long-term store
│   ├── ArchiveIdUnsafe, DatablockMissing, DatablockUnreadable, ArchiveIncomplete, ArchiveLost
│   ├── StoreNotConfigured, StoreUnavailable, StoreRefusesAccount, StoreTimedOut
│   └── NotYetOnline, RecallRefused, RecallTimedOut
├── TransferError               reading, writing
│   ├── ReadFailed, ReadStalled, ArchiveSizeDiffers, ArchiveMalformed, ArchiveUnsupported, ArchiveAmbiguous
│   └── TransferTimedOut
├── StagingError                the staging area
│   ├── NoSpaceYet, SpaceGivenBack, SpaceTimedOut, LargerThanStaging, JobLargerThanStaging, QuotaExceeded
│   └── StagingWriteFailed, StagingNotOurs, StagedFileMissing, StagedBytesDiffer
├── IntegrityError              what was read is not what was catalogued
│   ├── ChecksumMismatch, SizeMismatch, MemberMissing, MemberUnexpected, MemberDuplicated, MemberUnsafe
│   └── ChecksumMissing, ChecksumUnknown, CatalogueFileDuplicated, ManifestDamaged
├── FlowError                   the flow as a whole
│   └── JobDeadlinePassed, JobCancelled, InternalError
└── ServiceError                our own parts
    ├── EngineUnavailable, EngineNotOurs, LedgerUnavailable, TransitionIllegal, WorkerStopping
    └── BrokerUnavailable, BrokerRefused, DownloadsBusy
"""

from scicat_retriever.domain.errors.base import (
    MESSAGE_LIMIT,
    Actor,
    Cause,
    Failure,
    RetrieverError,
    concrete_errors,
    error_of,
)
from scicat_retriever.domain.errors.catalogue import (
    CatalogueAnswerUnreadable,
    CatalogueEntryInvalid,
    CatalogueError,
    CatalogueForbidden,
    CatalogueGone,
    CatalogueJobUnclosable,
    CatalogueJobUnknown,
    CatalogueLoginFailed,
    CatalogueRefused,
    CatalogueTimedOut,
    CatalogueUnavailable,
    CatalogueUpdateLost,
    DatablocksInvisible,
    DatablocksMissing,
    DatasetUnknown,
)
from scicat_retriever.domain.errors.integrity import (
    CatalogueFileDuplicated,
    ChecksumMismatch,
    ChecksumMissing,
    ChecksumUnknown,
    IntegrityError,
    ManifestDamaged,
    MemberDuplicated,
    MemberMissing,
    MemberUnexpected,
    MemberUnsafe,
    SizeMismatch,
)
from scicat_retriever.domain.errors.request import (
    ArchiveNotReady,
    DatasetListEmpty,
    DatasetNotOfJob,
    DatasetPinned,
    FilesNotArchived,
    FilesUnknown,
    JobEnded,
    JobMalformed,
    JobNotEnded,
    JobNotFound,
    JobRefused,
    JobTooLarge,
    JobTypeUnknown,
    JobUnderWay,
    LinkExpired,
    LinkReleased,
    LinkRevoked,
    LinkTampered,
    NothingSelected,
    NothingStaged,
    NothingToRetry,
    NotSigned,
    RangeUnsatisfiable,
    ReportNotParked,
    RequestError,
    StoreUnknown,
    TokenInvalid,
    TokenScopeTooSmall,
)
from scicat_retriever.domain.errors.service import (
    BrokerRefused,
    BrokerUnavailable,
    DownloadsBusy,
    EngineNotOurs,
    EngineUnavailable,
    FlowError,
    InternalError,
    JobCancelled,
    JobDeadlinePassed,
    LedgerUnavailable,
    ServiceError,
    TransitionIllegal,
    WorkerStopping,
)
from scicat_retriever.domain.errors.storage import (
    ArchiveAmbiguous,
    ArchiveIdUnsafe,
    ArchiveIncomplete,
    ArchiveLost,
    ArchiveMalformed,
    ArchiveSizeDiffers,
    ArchiveUnsupported,
    DatablockMissing,
    DatablockUnreadable,
    JobLargerThanStaging,
    LargerThanStaging,
    NoSpaceYet,
    NotYetOnline,
    QuotaExceeded,
    ReadFailed,
    ReadStalled,
    RecallError,
    RecallRefused,
    RecallTimedOut,
    SpaceGivenBack,
    SpaceTimedOut,
    StagedBytesDiffer,
    StagedFileMissing,
    StagingError,
    StagingNotOurs,
    StagingWriteFailed,
    StoreNotConfigured,
    StoreRefusesAccount,
    StoreTimedOut,
    StoreUnavailable,
    TransferError,
    TransferTimedOut,
)

__all__ = [
    "MESSAGE_LIMIT",
    "Actor",
    "ArchiveAmbiguous",
    "ArchiveIdUnsafe",
    "ArchiveIncomplete",
    "ArchiveLost",
    "ArchiveMalformed",
    "ArchiveNotReady",
    "ArchiveSizeDiffers",
    "ArchiveUnsupported",
    "BrokerRefused",
    "BrokerUnavailable",
    "CatalogueAnswerUnreadable",
    "CatalogueEntryInvalid",
    "CatalogueError",
    "CatalogueFileDuplicated",
    "CatalogueForbidden",
    "CatalogueGone",
    "CatalogueJobUnclosable",
    "CatalogueJobUnknown",
    "CatalogueLoginFailed",
    "CatalogueRefused",
    "CatalogueTimedOut",
    "CatalogueUnavailable",
    "CatalogueUpdateLost",
    "Cause",
    "ChecksumMismatch",
    "ChecksumMissing",
    "ChecksumUnknown",
    "DatablockMissing",
    "DatablockUnreadable",
    "DatablocksInvisible",
    "DatablocksMissing",
    "DatasetListEmpty",
    "DatasetNotOfJob",
    "DatasetPinned",
    "DatasetUnknown",
    "DownloadsBusy",
    "EngineNotOurs",
    "EngineUnavailable",
    "Failure",
    "FilesNotArchived",
    "FilesUnknown",
    "FlowError",
    "IntegrityError",
    "InternalError",
    "JobCancelled",
    "JobDeadlinePassed",
    "JobEnded",
    "JobLargerThanStaging",
    "JobMalformed",
    "JobNotEnded",
    "JobNotFound",
    "JobRefused",
    "JobTooLarge",
    "JobTypeUnknown",
    "JobUnderWay",
    "LargerThanStaging",
    "LedgerUnavailable",
    "LinkExpired",
    "LinkReleased",
    "LinkRevoked",
    "LinkTampered",
    "ManifestDamaged",
    "MemberDuplicated",
    "MemberMissing",
    "MemberUnexpected",
    "MemberUnsafe",
    "NoSpaceYet",
    "NotSigned",
    "NotYetOnline",
    "NothingSelected",
    "NothingStaged",
    "NothingToRetry",
    "QuotaExceeded",
    "RangeUnsatisfiable",
    "ReadFailed",
    "ReadStalled",
    "RecallError",
    "RecallRefused",
    "RecallTimedOut",
    "ReportNotParked",
    "RequestError",
    "RetrieverError",
    "ServiceError",
    "SizeMismatch",
    "SpaceGivenBack",
    "SpaceTimedOut",
    "StagedBytesDiffer",
    "StagedFileMissing",
    "StagingError",
    "StagingNotOurs",
    "StagingWriteFailed",
    "StoreNotConfigured",
    "StoreRefusesAccount",
    "StoreTimedOut",
    "StoreUnavailable",
    "StoreUnknown",
    "TokenInvalid",
    "TokenScopeTooSmall",
    "TransferError",
    "TransferTimedOut",
    "TransitionIllegal",
    "WorkerStopping",
    "concrete_errors",
    "error_of",
]
