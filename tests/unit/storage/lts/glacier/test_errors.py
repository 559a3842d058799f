"""Whatever boto3 and what is below it raise is an error of the port, with what to do and without secrets."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto
from botocore.exceptions import ClientError

from scicat_retriever.domain.errors import (
    DatablockMissing,
    DatablockUnreadable,
    NotYetOnline,
    ReadFailed,
    RetrieverError,
    StoreRefusesAccount,
    StoreUnavailable,
)
from scicat_retriever.storage.lts.glacier.errors import Explainer
from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway
from scicat_retriever.storage.s3.connection import EndpointInvalid
from tests.unit.foreign_errors import exceptions_of

SETTINGS = S3GlacierSettings.model_validate(
    {"kind": "s3_glacier", "endpoint_url": "https://s3.example.org", "bucket": "archive"}
)
NEVER_MET = {"UndefinedModelAttributeError", "MissingServiceIdError", "NoInitialResponseError"}
"""Raised where boto3's description of a service is wrong, and by streams of events, of which none is asked for."""
FOREIGN = [
    kind
    for library in ("botocore.exceptions", "botocore.parsers", "urllib3.exceptions")
    for kind in exceptions_of(library, below=False)
    if kind.__name__ not in NEVER_MET
]


def told(error: Exception, key: str = "a.tar") -> RetrieverError:
    with (
        pytest.raises(RetrieverError) as raised,
        Explainer(SETTINGS, "stores.glacier").explained(key, "be read"),
    ):
        raise error
    return raised.value


def refusal(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetObject")


@pytest.mark.parametrize("kind", FOREIGN, ids=lambda kind: kind.__name__)
def test_every_exception_of_the_libraries_becomes_an_error_that_may_be_tried_again(
    kind: type[Exception],
) -> None:
    error = kind.__new__(kind, "some text")
    if isinstance(error, ClientError):
        error.response = {"Error": {"Code": "Any", "Message": "no"}}
    failure = told(error)
    assert isinstance(failure, StoreUnavailable)
    assert "archive at https://s3.example.org cannot be read" in str(failure)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("NoSuchKey", DatablockMissing),
        ("404", DatablockMissing),
        ("InvalidObjectState", NotYetOnline),
        ("RestoreAlreadyInProgress", NotYetOnline),
        ("PreconditionFailed", ReadFailed),
        ("AccessDenied", DatablockUnreadable),
        ("InvalidAccessKeyId", StoreRefusesAccount),
        ("SignatureDoesNotMatch", StoreRefusesAccount),
        ("ExpiredToken", StoreRefusesAccount),
        ("AccountProblem", StoreRefusesAccount),
        ("AllAccessDisabled", StoreUnavailable),
        ("NoSuchBucket", StoreAway),
        ("RequestTimeTooSkewed", StoreAway),
        ("PermanentRedirect", StoreAway),
        ("InvalidRequest", StoreUnavailable),
        ("KMS.DisabledException", StoreUnavailable),
        ("InternalError", StoreUnavailable),
        ("SlowDown", StoreUnavailable),
        ("SomethingNew", StoreUnavailable),
    ],
)
def test_what_the_s3_answers_is_an_error_of_its_own(code: str, kind: type[RetrieverError]) -> None:
    assert type(told(refusal(code))) is kind


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (boto.EndpointConnectionError(endpoint_url="https://s3.example.org"), StoreAway),
        (boto.ConnectTimeoutError(endpoint_url="https://s3.example.org"), StoreAway),
        (boto.SSLError(endpoint_url="https://s3.example.org", error=OSError()), StoreAway),
        (boto.ReadTimeoutError(endpoint_url="https://s3.example.org"), StoreUnavailable),
        (boto.ConnectionClosedError(endpoint_url="https://s3.example.org"), StoreUnavailable),
        (ValueError("no date"), StoreUnavailable),
    ],
    ids=lambda each: getattr(each, "__name__", type(each).__name__),
)
def test_only_what_fails_before_the_object_is_asked_for_is_about_the_whole_store(
    error: Exception, kind: type[RetrieverError]
) -> None:
    assert type(told(error)) is kind


def test_a_bucket_that_may_not_be_used_is_no_unreadable_archive() -> None:
    assert type(told(refusal("AccessDenied"), key="")) is StoreRefusesAccount


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (refusal("NoSuchBucket"), "correct stores.glacier.bucket"),
        (refusal("AccessDenied"), "s3:RestoreObject"),
        (refusal("InvalidAccessKeyId"), "correct stores.glacier.access_key_id"),
        (boto.NoCredentialsError(), "set stores.glacier.access_key_id"),
        (FileNotFoundError(2, "no", "/ca.pem"), "stores.glacier.ca_bundle: there is no file /ca.pem"),
        (EndpointInvalid("Invalid endpoint"), "correct stores.glacier.endpoint_url"),
    ],
)
def test_what_to_do_is_told_with_the_key_of_the_settings(error: Exception, advice: str) -> None:
    assert advice in str(told(error))


def test_an_error_of_the_program_is_left_as_it_is() -> None:
    with pytest.raises(ZeroDivisionError), Explainer(SETTINGS, "lts").explained("a", "be read"):
        raise ZeroDivisionError
