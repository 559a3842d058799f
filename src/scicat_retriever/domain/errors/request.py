"""What was sent to the service cannot be carried out."""

from __future__ import annotations

from scicat_retriever.domain.errors.base import Actor, Cause, RetrieverError


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


class FilesUnknown(RequestError):
    """A dataset has no file of a name that the job chose: look up how its catalogue entry spells it."""

    code = "files_unknown"


class JobTooLarge(RequestError):
    """The body is larger than the limit."""

    code = "job_too_large"


class JobNotFound(RequestError):
    """The service has no job of that id."""

    code = "job_not_found"


class StoreUnknown(RequestError):
    """The settings have no long-term store of that name, and nothing is wanted from one."""

    code = "store_unknown"


class JobEnded(RequestError):
    """The job has ended: there is nothing left to cancel."""

    code = "job_ended"


class JobNotEnded(RequestError):
    """The job is still being carried out: it cannot be retried yet."""

    code = "job_not_ended"


class NothingToRetry(RequestError):
    """Every dataset of the job that is asked about is there: nothing needs to be retrieved again."""

    code = "nothing_to_retry"


class NothingStaged(RequestError):
    """Nothing of what is asked about is in staging: there is nothing to pin, release or evict."""

    code = "nothing_staged"


class DatasetPinned(RequestError):
    """Somebody keeps the dataset in staging: it cannot be evicted before those pins end or are released."""

    code = "dataset_pinned"


class TokenInvalid(RequestError):
    """The request carries no valid token."""

    code = "token_invalid"
    who = Actor.OPERATOR


class TokenScopeTooSmall(RequestError):
    """The request's token is valid, but its `scope` does not cover what is asked.

    Attributes:
        scope: The scope that is needed.
    """

    code = "token_scope_too_small"
    who = Actor.OPERATOR

    def __init__(self, message: str, *, scope: str) -> None:
        super().__init__(message)
        self.scope = scope


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
