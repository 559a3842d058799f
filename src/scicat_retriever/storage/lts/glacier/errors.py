"""The errors of an S3 with archived objects, as errors of the port that say what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from scicat_retriever.domain.errors import (
    DatablockMissing,
    DatablockUnreadable,
    NotYetOnline,
    ReadFailed,
    RetrieverError,
    StoreRefusesAccount,
    StoreUnavailable,
)
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway
from scicat_retriever.storage.s3.access import S3Access
from scicat_retriever.storage.s3.connection import (
    FAILURES,
    FORBIDDEN,
    GONE,
    NO_BUCKET,
    NO_KEY,
    ODD_ANSWER,
    WRONG_KEY,
    EndpointInvalid,
    advice,
    code_of,
)

NOT_RESTORED = frozenset({"InvalidObjectState", "RestoreAlreadyInProgress"})
"""Answers to GET for an object that is archived; the second is Scality's."""
JOINED = frozenset({"RestoreAlreadyInProgress"})
NOT_ARCHIVED = frozenset({"ObjectAlreadyInActiveTierError", "InvalidObjectState"})
"""Answers to RestoreObject for an object that can be read at once.

The first is that of AWS's reference, the second what AWS and MinIO answer.
"""
NO_EXPEDITED = frozenset({"GlacierExpeditedRetrievalNotAvailable"})
NOT_OFFERED = frozenset({"NotImplemented", "501", "MethodNotAllowed", "405"})
REPLACED = frozenset({"PreconditionFailed", "412"})

_RIGHTS = "list the bucket (s3:ListBucket), read (s3:GetObject) and restore objects (s3:RestoreObject)"
_WHOLE_STORE = NO_BUCKET | {
    "RequestTimeTooSkewed",
    "RequestExpired",
    "PermanentRedirect",
    "AuthorizationHeaderMalformed",
    "301",
}
"""Answers that are about the bucket, its region or this machine's clock, whichever object is asked for."""
_NOT_REACHED = (
    boto.EndpointConnectionError,
    boto.ConnectTimeoutError,
    boto.ProxyConnectionError,
    boto.SSLError,
    boto.InvalidConfigError,
    FileNotFoundError,
    EndpointInvalid,
)
"""Errors that come before any request is sent."""
_CLOSED_ACCOUNT = frozenset({"AccountProblem"})
_CLOSED = frozenset({"AllAccessDisabled"})
"""Said of an account, a bucket or one object; it does not tell which."""


class Explainer:
    """Turns errors of boto3, and of what it uses, into those of the port.

    Args:
        access: The bucket.
        section: The bucket's section of the settings, for errors that say what to correct.
    """

    def __init__(self, access: S3Access, section: str) -> None:
        self._access = access
        self._section = section

    @contextmanager
    def explained(self, key: str, what: str) -> Iterator[None]:
        """Raise what `error` makes of an error of boto3 that is raised within.

        Args:
            key: The object that is asked for; empty where it is the bucket.
            what: What is done with it, such as "be read".
        """
        try:
            yield
        except (*FAILURES, *ODD_ANSWER) as error:
            raise self.error(key, what, error) from error

    def error(self, key: str, what: str, error: BaseException) -> RetrieverError:
        """Give the port's error, never with a secret in it; most are `RecallError`, `ReadFailed` is not.

        `StoreAway` and `StoreRefusesAccount` are about the whole bucket, whichever object is asked for. Any
        other `StoreUnavailable` may be that object's own trouble.
        """
        code = code_of(error)
        told = f"{f'{key!r} in ' if key else ''}{self._access.place} cannot {what}"
        if code in GONE:
            return DatablockMissing(f"{told}: it is not there")
        if code in NOT_RESTORED:
            return NotYetOnline(f"{told}: it is archived, and not restored")
        if code in REPLACED:
            return ReadFailed(f"{told}: it was replaced while it was read")
        words = f"{told}: {advice(error, self._section, _RIGHTS)}"
        if code in WRONG_KEY | _CLOSED_ACCOUNT or isinstance(error, NO_KEY):
            return StoreRefusesAccount(words)
        if code in FORBIDDEN and not key:
            return StoreRefusesAccount(words)
        if code in FORBIDDEN - _CLOSED:
            return DatablockUnreadable(words)
        if code in _WHOLE_STORE or isinstance(error, _NOT_REACHED):
            return StoreAway(words)
        return StoreUnavailable(words)

    def bucket_is_gone(self) -> StoreAway:
        """Say that there is no such bucket: then no archive is missing."""
        return StoreAway(f"{self._access.place} is not there; make it, or correct {self._section}.bucket")
