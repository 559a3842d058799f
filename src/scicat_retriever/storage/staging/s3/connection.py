"""The connection to staging's bucket: its errors as errors of the staging area."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from scicat_retriever.domain.errors import StagedFileMissing, StagingError, StagingWriteFailed
from scicat_retriever.storage.s3.connection import FAILURES, GONE, advice, code_of, connect
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings

if TYPE_CHECKING:  # stubs, of which there is nothing at run time
    from mypy_boto3_s3 import S3Client

_RIGHTS = "read, write, list and delete objects, and list and abort multipart uploads"


def connected(settings: S3StagingSettings, endpoint_url: str | None) -> S3Client:
    """Make a client, which any thread may use.

    Args:
        settings: The settings.
        endpoint_url: Where the S3 is, for this client.

    Raises:
        StagingWriteFailed: The settings cannot be used.
    """
    with explained("be reached", settings):
        return connect(settings, endpoint_url)


@contextmanager
def explained(what: str, settings: S3StagingSettings) -> Iterator[None]:
    """Turn an error of boto3, or of what it uses, into one of the service.

    Args:
        what: What was being done, such as "be read".
        settings: Say where the bucket is.

    Raises:
        StagedFileMissing: The object or the upload is not there.
        StagingWriteFailed: Anything else.
    """
    try:
        yield
    except (*FAILURES, ValueError) as error:
        raise _staging_error(what, settings, error) from error


def _staging_error(what: str, settings: S3StagingSettings, error: BaseException) -> StagingError:
    told = f"{settings.place} cannot {what}"
    if code_of(error) in GONE:
        return StagedFileMissing(f"{told}: it is not there")
    return StagingWriteFailed(f"{told}: {advice(error, 'staging', _RIGHTS)}")
