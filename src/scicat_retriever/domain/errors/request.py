"""What was sent to the service cannot be carried out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors.base import Actor, Cause, RetrieverError
from scicat_retriever.domain.ids import JobId

_NAMED = 5
"""The most datasets that a message names."""


class RequestError(RetrieverError):
    """What was sent to the service cannot be carried out."""

    cause, who = Cause.USER, Actor.USER


class JobRefused(RequestError):
    """The job can never be carried out as it is, and is refused for good.

    The words are the same whichever way the job comes.

    Attributes:
        job: The refused job, without its datasets; None where the job cannot be told, or is not for this
            service. SciCat is told of a refusal only where the job is known.
    """

    job: RetrieveJob | None = None


class JobMalformed(JobRefused):
    """What was sent is no SciCat job, or one that cannot be worked with.

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


class FilesUnknown(RequestError):
    """A dataset has no file of a name that the job chose: look up how SciCat spells it.

    Where SciCat took the name, since it lists the file among the dataset's original ones, the operator acts:
    the datablocks do not list it, or spell it otherwise.
    """

    code = "files_unknown"


class FilesNotArchived(FilesUnknown):
    """SciCat took a name that no datablock of the dataset has. The code is the same; the operator acts."""

    cause, who = Cause.DATA, Actor.OPERATOR


class JobTooLarge(JobRefused):
    """The request, or the job as SciCat has it, is larger than `api.max_body_bytes`."""

    code = "job_too_large"

    @classmethod
    def than(cls, most: int) -> Self:
        """Make the error for a limit of `most` bytes."""
        return cls(
            f"The request is larger than {most} bytes (api.max_body_bytes): ask for fewer datasets or files at once"
        )


class JobUnderWay(RequestError):
    """In SciCat the job is in progress or has ended already, and not by this service: it is left alone.

    Attributes:
        job_id: The job's id; None where there is no usable one.
    """

    code = "job_under_way"

    def __init__(self, message: str, job_id: JobId | None = None) -> None:
        super().__init__(message)
        self.job_id = job_id


class JobNotFound(RequestError):
    """The service has no job of that id."""

    code = "job_not_found"


class StoreUnknown(RequestError):
    """The settings have no long-term store of that name, and no recall is wanted from such a store."""

    code = "store_unknown"


class JobEnded(RequestError):
    """The job has ended: there is nothing left to cancel."""

    code = "job_ended"


class JobNotEnded(RequestError):
    """The job is still being carried out: it cannot be retried yet."""

    code = "job_not_ended"


class DatasetNotOfJob(RequestError):
    """The job has no dataset of that pid: look up with which pids it was posted."""

    code = "dataset_not_of_job"

    @classmethod
    def of(cls, job: JobId, pids: Sequence[str]) -> Self:
        """Make the error, which names the first ones of the pids."""
        named = ", ".join(pids[:_NAMED]) + (f" and {len(pids) - _NAMED} more" if len(pids) > _NAMED else "")
        return cls(f"The job {job} has no dataset {named}.")


class NothingToRetry(RequestError):
    """Every dataset of the job that is asked about is there: nothing needs to be retrieved again."""

    code = "nothing_to_retry"


class NothingStaged(RequestError):
    """Nothing of what is asked about is in staging: there is nothing to pin, release or evict."""

    code = "nothing_staged"


class DatasetPinned(RequestError):
    """Somebody keeps the dataset in staging: it cannot be evicted before those pins end or are released."""

    code = "dataset_pinned"


class ReportNotParked(RequestError):
    """There is no parked report of that number: it was told, waits to be told, or was dropped already."""

    code, who = "report_not_parked", Actor.OPERATOR


class TokenInvalid(RequestError):
    """The request carries no valid token."""

    code = "token_invalid"
    who = Actor.OPERATOR


class TokenScopeTooSmall(RequestError):
    """The request's token is valid, but its `scope` does not cover what is asked.

    Attributes:
        scope: The scope that is needed; empty where it is not said.
    """

    code = "token_scope_too_small"
    who = Actor.OPERATOR

    def __init__(self, message: str, *, scope: str = "") -> None:
        super().__init__(message)
        self.scope = scope


class LinkTampered(RequestError):
    """The download link is not one that this service signed."""

    code = "link_tampered"


class LinkExpired(RequestError):
    """The download link's time is over; ask SciCat for the dataset again."""

    code = "link_expired"


class LinkRevoked(RequestError):
    """The link was revoked; ask whoever gave it for another one, or SciCat for the dataset again."""

    code = "link_revoked"


class LinkReleased(RequestError):
    """The file was removed from staging; ask SciCat for the dataset again."""

    code = "link_released"


class ArchiveNotReady(RequestError):
    """No zip or tar can be made of the selection yet; its datablocks can be downloaded as they are."""

    code = "archive_not_ready"


class NothingSelected(RequestError):
    """No file of the retrieval is selected by what the link asks for."""

    code = "nothing_selected"


class NotSigned(RequestError):
    """The service has no key to sign lists with: `links.manifest_secret`."""

    code = "not_signed"
    cause, who = Cause.SYSTEM, Actor.OPERATOR


class RangeUnsatisfiable(RequestError):
    """The Range header lies outside the file (RFC 9110, 15.5.17)."""

    code = "range_unsatisfiable"
