"""The connection to an S3, and its errors in words that say what to do."""

from __future__ import annotations

import errno
from functools import cache
from http.client import HTTPException
from typing import TYPE_CHECKING

import boto3
import botocore.session
from botocore import exceptions as boto
from botocore.config import Config
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from urllib3.exceptions import HTTPError

from scicat_retriever.domain.foreign_text import one_line
from scicat_retriever.storage.s3.access import S3Access

if TYPE_CHECKING:  # stubs, of which there is nothing at run time
    from mypy_boto3_s3 import S3Client

_CONNECTIONS = 64
"""Most connections kept open: for the copies, downloads and small requests of one process."""

FAILURES = (boto.BotoCoreError, boto.ClientError, ResponseParserError, HTTPError, HTTPException, OSError)
"""All that a request, or reading its answer, may raise, beside `ODD_ANSWER` and `EndpointInvalid`."""

ODD_ANSWER = (ValueError, KeyError, OverflowError, RuntimeError)
"""Errors of boto3 for an answer that lacks something, or has a number or a date that is none."""

GONE = frozenset({"NoSuchKey", "NoSuchUpload", "404", "NotFound"})
NO_BUCKET = frozenset({"NoSuchBucket"})
FORBIDDEN = frozenset(
    {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem", "MethodNotAllowed"}
)
WRONG_KEY = frozenset({"InvalidAccessKeyId", "SignatureDoesNotMatch", "InvalidToken", "ExpiredToken", "401"})
NO_KEY = (boto.NoCredentialsError, boto.PartialCredentialsError, boto.CredentialRetrievalError)
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
"""Codes that mean: the S3 got other bytes than were sent."""


class EndpointInvalid(ValueError):
    """boto3 does not accept the endpoint as an address."""


def connect(access: S3Access, endpoint_url: str | None, attempts: int | None = None) -> S3Client:
    """Make a client, which any thread may use.

    Args:
        access: The settings.
        endpoint_url: Where the S3 is, for this client.
        attempts: How often this client sends a request in all; None for the number of the settings.

    Raises:
        FileNotFoundError: There is no such file of CA certificates.
        EndpointInvalid: The endpoint is no address. Or one of `FAILURES`.
    """
    if access.ca_bundle is not None and not access.ca_bundle.is_file():
        raise FileNotFoundError(errno.ENOENT, "there is no such file", str(access.ca_bundle))
    secret, token = access.secret_access_key, access.session_token
    session = boto3.Session(
        aws_access_key_id=access.access_key_id,
        aws_secret_access_key=None if secret is None else secret.get_secret_value(),
        aws_session_token=None if token is None else token.get_secret_value(),
        region_name=access.region,
        botocore_session=_session_with_models(),
    )
    try:
        return session.client(
            "s3",
            endpoint_url=endpoint_url,
            verify=None if access.ca_bundle is None else str(access.ca_bundle),
            config=_config(access, attempts or access.attempts),
        )
    except ValueError as error:
        raise EndpointInvalid(str(error)) from error


def _session_with_models() -> botocore.session.Session:
    session = botocore.session.get_session()
    session.register_component("data_loader", _models(session.get_config_variable("data_path")))
    return session


@cache
def _models(data_path: str | None) -> Loader:
    """The descriptions of S3's requests, read once for all clients: that takes 0.1 s."""
    return create_loader(data_path)


def _config(access: S3Access, attempts: int) -> Config:
    return Config(
        signature_version="s3v4",
        # Checksums are given with each part; boto3 would add its own, and not every S3 understands how.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        connect_timeout=access.connect_timeout,
        read_timeout=access.read_timeout,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=_CONNECTIONS,
        tcp_keepalive=True,
        s3={"addressing_style": access.addressing, "payload_signing_enabled": access.signs_payload},
    )


def code_of(error: BaseException) -> str:
    """Give the S3's code of an error; empty where the error is not the S3's."""
    if not isinstance(error, boto.ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code", ""))


def advice(error: BaseException, section: str, rights: str) -> str:
    """Say what went wrong with a request, and who can do something about it; never with a secret in it.

    Args:
        error: One of `FAILURES` or `ODD_ANSWER`, or `EndpointInvalid`.
        section: The bucket's section of the settings.
        rights: What the key must have the right to do, in words that follow "let it".
    """
    if isinstance(error, boto.ClientError):
        return _advice_of_the_s3(error, section, rights)
    return _advice(error, section)


def _advice_of_the_s3(error: boto.ClientError, section: str, rights: str) -> str:
    code = code_of(error)
    if code in NO_BUCKET:
        return f"there is no such bucket; make it, or correct {section}.bucket"
    if code in FORBIDDEN:
        return f"the key has no right to ({code}); let it {rights}"
    if code in WRONG_KEY:
        return f"the key is refused ({code}); correct {section}.access_key_id and {section}.secret_access_key"
    if code in _CLOCK:
        return "this machine's clock differs from the S3's; set it right"
    if code in _REGION:
        return f"it is in another region ({code}); correct {section}.region"
    if code in _FULL:
        return f"it is full ({code}); free some space, or lower {section}.capacity_bytes"
    if code in _BUSY:
        return f"the S3 is busy or ill ({code}); look after it if that lasts"
    if code in DAMAGED:
        return f"the S3 got other bytes than were sent ({code}); look after the network, and this machine's memory"
    message = str(error.response.get("Error", {}).get("Message", ""))
    return f"the S3 refuses: {one_line(code, 200)}: {one_line(message, 200)}"


def _advice(error: BaseException, section: str) -> str:
    kind = type(error).__name__
    if isinstance(error, FileNotFoundError):
        return f"{section}.ca_bundle: there is no file {error.filename}"
    if isinstance(error, boto.SSLError) or "SSL" in kind:
        return (
            f"its TLS certificate is not trusted, or TLS fails; name the CA's file in {section}.ca_bundle, and compare "
            "the host name"
        )
    if isinstance(error, NO_KEY):
        return f"there is no key; set {section}.access_key_id and {section}.secret_access_key"
    if isinstance(error, boto.EndpointConnectionError | boto.ConnectTimeoutError | boto.ProxyConnectionError):
        return "nothing answers there; see that the S3 runs and the network lets it be reached"
    if isinstance(error, boto.ReadTimeoutError | boto.ConnectionClosedError):
        return "it stopped answering; look after the S3 and the network if that lasts"
    if isinstance(error, boto.ParamValidationError | boto.InvalidConfigError):
        return f"the settings of {section} cannot be used ({kind})"
    if isinstance(error, EndpointInvalid):
        return f"correct {section}.endpoint_url"
    if isinstance(error, ODD_ANSWER) and not isinstance(error, FAILURES):
        return f"its answer cannot be read ({kind}: {one_line(str(error), 200)}); see that what answers there is an S3"
    return f"the connection failed ({kind}); look after the S3 and the network if that lasts"
