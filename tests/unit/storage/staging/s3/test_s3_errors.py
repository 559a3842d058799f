"""Whatever boto3 and what is below it raise is told in errors of the service, with what to do and without secrets."""

from __future__ import annotations

import ssl

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from scicat_retriever.domain.errors import StagedFileMissing, StagingError, StagingWriteFailed
from scicat_retriever.storage.s3.connection import EndpointInvalid, code_of, connect
from scicat_retriever.storage.staging.s3.connection import explained
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings
from tests.unit.foreign_errors import exceptions_of

SETTINGS = S3StagingSettings.model_validate(
    {
        "kind": "s3",
        "endpoint_url": "https://s3.example.org",
        "bucket": "staging",
        "capacity_bytes": 1,
        "access_key_id": "id-of-the-key",
        "secret_access_key": "a-secret",
    }
)
NEVER_MET = {"UndefinedModelAttributeError", "MissingServiceIdError", "NoInitialResponseError"}
"""Raised where boto3's description of a service is wrong, and by streams of events, of which none is asked for."""
FOREIGN = [
    kind
    for library, below in (
        ("botocore.exceptions", False),
        ("botocore.parsers", False),
        ("urllib3.exceptions", False),
    )
    for kind in exceptions_of(library, below=below)
    if kind.__name__ not in NEVER_MET
]


def told(error: Exception) -> StagingError:
    with pytest.raises(StagingError) as raised, explained("be read", SETTINGS):
        raise error
    return raised.value


def refusal(code: str, message: str = "no") -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": message}}, "GetObject")


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_libraries_becomes_a_staging_error(kind: type[Exception]) -> None:
    error = kind.__new__(kind, "some text")
    if isinstance(error, ClientError):
        error.response = {"Error": {"Code": "Any", "Message": "no"}}
    failure = told(error)
    assert failure.retryable
    assert "staging at https://s3.example.org cannot be read" in str(failure)


def test_the_exceptions_of_the_libraries_are_found() -> None:
    names = {kind.__name__ for kind in FOREIGN}
    assert {"EndpointConnectionError", "ResponseParserError", "ProtocolError", "ClientError"} <= names


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("NoSuchBucket", "correct staging.bucket"),
        ("AccessDenied", "list and abort multipart uploads"),
        ("InvalidAccessKeyId", "correct staging.access_key_id"),
        ("SignatureDoesNotMatch", "correct staging.access_key_id"),
        ("ExpiredToken", "correct staging.access_key_id"),
        ("RequestTimeTooSkewed", "clock"),
        ("AuthorizationHeaderMalformed", "correct staging.region"),
        ("XMinioStorageFull", "lower staging.capacity_bytes"),
        ("SlowDown", "busy"),
        ("XAmzContentChecksumMismatch", "other bytes than were sent"),
        ("SomethingNew", "SomethingNew: no"),
    ],
)
def test_what_the_s3_refuses_is_told_with_what_to_do(code: str, advice: str) -> None:
    failure = told(refusal(code))
    assert isinstance(failure, StagingWriteFailed)
    assert advice in str(failure)


@pytest.mark.parametrize("code", ["NoSuchKey", "NoSuchUpload", "404"])
def test_what_is_not_there_is_told_as_missing(code: str) -> None:
    assert isinstance(told(refusal(code)), StagedFileMissing)


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (boto.SSLError(endpoint_url="x", error=OSError()), "staging.ca_bundle"),
        (ssl.SSLCertVerificationError("no"), "staging.ca_bundle"),
        (boto.NoCredentialsError(), "staging.access_key_id"),
        (boto.EndpointConnectionError(endpoint_url="x"), "nothing answers"),
        (boto.ReadTimeoutError(endpoint_url="x"), "stopped answering"),
        (ConnectionResetError(), "the connection failed"),
        (EndpointInvalid("Invalid endpoint"), "correct staging.endpoint_url"),
        (
            ValueError("Invalid timestamp: soon"),
            "its answer cannot be read (ValueError: Invalid timestamp: soon)",
        ),
    ],
)
def test_what_the_connection_meets_is_told_with_what_to_do(error: Exception, advice: str) -> None:
    assert advice in str(told(error))


def test_a_long_message_of_the_s3_is_cut() -> None:
    assert len(str(told(refusal("Odd", "x" * 10_000)))) < 500


def test_what_the_s3_says_is_one_printable_line() -> None:
    words = str(told(refusal("Odd\nCode", "no\r\nFAKE line of a log\x1b[2J\u2028end")))
    assert words.isprintable()
    assert "Odd Code: no FAKE line of a log [2J end" in words


def test_an_odd_answer_is_not_taken_for_a_wrong_address() -> None:
    assert "endpoint_url" not in str(told(ValueError("invalid literal\nfor int()")))
    assert str(told(ValueError("invalid literal\nfor int()"))).isprintable()


def test_an_address_that_boto3_takes_for_none_is_told_as_such() -> None:
    with pytest.raises(EndpointInvalid):
        connect(SETTINGS, "https://[:1")


def test_an_error_of_no_s3_has_no_code() -> None:
    assert code_of(OSError()) == ""


def test_an_error_of_the_program_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), explained("be read", SETTINGS):
        raise ZeroDivisionError
