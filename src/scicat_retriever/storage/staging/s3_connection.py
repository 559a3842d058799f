"""The connection to an S3, and what may go wrong with it, in errors of the service that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TYPE_CHECKING

import boto3
from botocore import exceptions as boto
from botocore.config import Config
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from scicat_retriever.domain.errors import StagedFileMissing, StagingError, StagingWriteFailed
from scicat_retriever.storage.staging.s3_settings import S3StagingSettings

if TYPE_CHECKING:  # stubs, of which there is nothing at run time
    from mypy_boto3_s3 import S3Client

_CONNECTIONS = 64
"""Kept open at the most: for the copies, downloads and small questions of one process."""

FAILURES = (boto.BotoCoreError, boto.ClientError, ResponseParserError, HTTPError, HTTPException, OSError)
"""All that a request, or reading its answer, may raise."""

GONE = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
_NO_BUCKET = frozenset({"NoSuchBucket"})
_FORBIDDEN = frozenset(
    {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed"}
)
_WRONG_KEY = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "401"})
_CLOCK = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "301", "IllegalLocationConstraintException"}
)
_FULL = frozenset(
    {"QuotaExceeded", "XMinioStorageFull", "InsufficientStorage", "507", "InsufficientCapacity"}
)
_BUSY = frozenset(
    {"SlowDown", "ServiceUnavailable", "503", "InternalError", "500", "502", "504", "RequestTimeout"}
)
DAMAGED = frozenset(
    {
        "BadDigest",
        "InvalidDigest",
        "XAmzContentChecksumMismatch",
        "XAmzContentSHA256Mismatch",
        "InvalidChecksum",
    }
)
"""The S3 got other bytes than were sent."""


def connect(settings: S3StagingSettings, endpoint_url: str | None) -> S3Client:
    """Make a client, which any thread may use.

    Args:
        settings: The settings.
        endpoint_url: Where the S3 is, for this client.

    Raises:
        StagingWriteFailed: The settings cannot be used.
    """
    if settings.ca_bundle is not None and not settings.ca_bundle.is_file():
        raise StagingWriteFailed(f"staging.ca_bundle: there is no file {settings.ca_bundle}")
    secret, token = settings.secret_access_key, settings.session_token
    with explained("be reached", settings):
        session = boto3.Session(
            aws_access_key_id=settings.access_key_id,
            aws_secret_access_key=None if secret is None else secret.get_secret_value(),
            aws_session_token=None if token is None else token.get_secret_value(),
            region_name=settings.region,
        )
        return session.client(
            "s3",
            endpoint_url=endpoint_url,
            verify=None if settings.ca_bundle is None else str(settings.ca_bundle),
            config=_config(settings),
        )


def _config(settings: S3StagingSettings) -> Config:
    return Config(
        signature_version="s3v4",
        # Checksums are given with each part; boto3 would add its own, and not every S3 understands how.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=settings.connect_timeout,
        read_timeout=settings.read_timeout,
        retries={"mode": "standard", "total_max_attempts": settings.attempts},
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        s3={"addressing_style": settings.addressing, "payload_signing_enabled": settings.signs_payload},
    )


def code_of(error: BaseException) -> str:
    """Give what the S3 calls an error; empty where it is none of the S3's."""
    if not isinstance(error, boto.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def place_of(settings: S3StagingSettings) -> str:
    """Name the bucket, and where it is."""
    return f"the bucket {settings.bucket} at {settings.endpoint_url or f'AWS, {settings.region}'}"


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
    except FAILURES as error:
        raise staging_error(what, settings, error) from error
    except ValueError as error:  # boto3 checks an endpoint itself
        raise StagingWriteFailed(
            f"{place_of(settings)} cannot {what}: correct staging.endpoint_url"
        ) from error


def staging_error(what: str, settings: S3StagingSettings, error: BaseException) -> StagingError:
    """Say in words what a request met, and who can do something about it; never with a secret in it."""
    told = f"{place_of(settings)} cannot {what}"
    if code_of(error) in GONE:
        return StagedFileMissing(f"{told}: it is not there")
    advice = _advice_of_the_s3(error) if isinstance(error, boto.ClientError) else _advice(error)
    return StagingWriteFailed(f"{told}: {advice}")


def _advice_of_the_s3(error: boto.ClientError) -> str:
    code = code_of(error)
    if code in _NO_BUCKET:
        return "there is no such bucket; make it, or correct staging.bucket"
    if code in _FORBIDDEN:
        return (
            f"the key has no right to ({code}); let it read, write, list and delete objects, and list and abort "
            "multipart uploads"
        )
    if code in _WRONG_KEY:
        return f"the key is refused ({code}); correct staging.access_key_id and staging.secret_access_key"
    if code in _CLOCK:
        return "this machine's clock differs from the S3's; set it right"
    if code in _REGION:
        return f"it is in another region ({code}); correct staging.region"
    if code in _FULL:
        return f"it is full ({code}); free some space, or lower staging.capacity_bytes"
    if code in _BUSY:
        return f"the S3 is busy or ill ({code}); look after it if that lasts"
    if code in DAMAGED:
        return f"the S3 got other bytes than were sent ({code}); look after the network, and this machine's memory"
    message = str(error.response.get("Error", {}).get("Message", ""))[:200]
    return f"the S3 refuses: {code}: {message}"


def _advice(error: BaseException) -> str:
    kind = type(error).__name__
    if isinstance(error, boto.SSLError) or "SSL" in kind:
        return (
            "its TLS certificate is not trusted, or TLS fails; name the CA's file in staging.ca_bundle, and compare the "
            "host name"
        )
    if isinstance(
        error, boto.NoCredentialsError | boto.PartialCredentialsError | boto.CredentialRetrievalError
    ):
        return "there is no key; set staging.access_key_id and staging.secret_access_key"
    if isinstance(error, boto.EndpointConnectionError | boto.ConnectTimeoutError | boto.ProxyConnectionError):
        return "nothing answers there; see that the S3 runs and the network lets it be reached"
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectionClosedError):
        return "it stopped answering; look after the S3 and the network if that lasts"
    if isinstance(error, boto.ParamValidationError | boto.InvalidConfigError):
        return f"the settings of staging cannot be used ({kind})"
    return f"the connection failed ({kind}); look after the S3 and the network if that lasts"
