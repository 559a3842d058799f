"""The requests to an S3 with archived objects. Errors are those of the long-term store."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from functools import partial
from os.path import commonprefix
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from scicat_retriever.domain.errors import (
    DatablockMissing,
    DatablockUnreadable,
    NotYetOnline,
    RecallError,
    StoreRefusesAccount,
    StoreUnavailable,
)
from scicat_retriever.storage.lts.glacier.errors import (
    JOINED,
    NO_EXPEDITED,
    NOT_ARCHIVED,
    NOT_OFFERED,
    Explainer,
)
from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings, Tier
from scicat_retriever.storage.lts.glacier.state import (
    DEEP,
    TIERING,
    SeenObject,
    is_archived,
    is_restored_for_ever,
    seen_in_head,
    seen_in_listing,
)
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway
from scicat_retriever.storage.s3.connection import FORBIDDEN, GONE, ODD_ANSWER, code_of, connect
from scicat_retriever.storage.s3.reader import Extent, ObjectReader

if TYPE_CHECKING:  # stubs, of which there is nothing at run time
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import RestoreRequestTypeDef

_PAGE = 1000
"""Keys of one answer, by the limits of S3."""
_SAYS_TOO_LITTLE = frozenset({"400", "401", "403"})
"""Codes that boto3 makes up for HEAD, whose answers have no body to say what is wrong."""


class GlacierRequests:
    """The requests, over connections that any thread may use. The first request connects.

    Args:
        settings: The bucket, and how objects are restored.
        explainer: Makes the port's errors.
    """

    def __init__(self, settings: S3GlacierSettings, explainer: Explainer) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self._explainer = explainer
        self._lock = threading.Lock()
        self._clients: dict[int, S3Client] = {}
        self._tells_restores = settings.use_restore_status == "always" or (
            settings.use_restore_status == "auto" and settings.endpoint_url is None
        )

    def head(self, key: str) -> SeenObject:
        """Ask for one object; for a byte of it too, where it is said to be restored without an expiry.

        Raises:
            DatablockMissing: The object is not there; or the bucket is not, see `see_the_bucket`.
            DatablockUnreadable: The object may not be looked at.
            StoreUnavailable: The S3 does not answer, or refuses the key.
        """
        seen = self._seen(key)
        if seen.size and is_restored_for_ever(seen, self._settings.archive_classes):
            try:
                self._read_a_byte(key)
            except NotYetOnline:
                return replace(seen, refused=True)
        return seen

    def _seen(self, key: str) -> SeenObject:
        with self._explained(key, "be looked at"):
            try:
                return seen_in_head(self._client().head_object(Bucket=self._bucket, Key=key))
            except ClientError as error:
                if code_of(error) not in _SAYS_TOO_LITTLE:
                    raise
                refused = error
        raise self._why_refused(key) from refused

    def see_the_bucket(self) -> None:
        """Check that the bucket is there: without a bucket, HEAD says of an object only that it is missing.

        Raises:
            StoreUnavailable: The bucket is not there, or the S3 does not say.
        """
        with self._explained("", "be used"):
            try:
                self._client().head_bucket(Bucket=self._bucket)
            except ClientError as error:
                if code_of(error) in GONE:
                    raise self._explainer.bucket_is_gone() from error
                if code_of(error) not in FORBIDDEN:  # what may not be looked at is there
                    raise

    def list_page(self, keys: tuple[str, ...]) -> dict[str, SeenObject]:
        """Ask for many objects whose keys begin alike, by one listing.

        Returns:
            The objects of which the listing says all; the others have to be asked for one by one.

        Raises:
            StoreUnavailable: The S3 does not answer, or there is no such bucket.
        """
        first = min(keys)
        with self._explained("", "be listed"):
            try:
                page = self._client().list_objects_v2(
                    Bucket=self._bucket,
                    Prefix=commonprefix(keys),  # noqa: RUF071 - prefixes are text, not paths
                    StartAfter=first[:-1],
                    MaxKeys=_PAGE,
                    OptionalObjectAttributes=["RestoreStatus"],
                )
            except ClientError as error:
                if code_of(error) in FORBIDDEN | NOT_OFFERED | {"InvalidArgument", "InvalidRequest"}:
                    return {}
                raise
            except ODD_ANSWER:  # by one entry, perhaps, which must not hide the others
                return {}
        wanted = set(keys)
        entries = [entry for entry in page.get("Contents", ()) if entry.get("Key") in wanted]
        if self._settings.use_restore_status == "auto" and any("RestoreStatus" in each for each in entries):
            self._tells_restores = True
        return {entry["Key"]: seen_in_listing(entry) for entry in entries if self._says_all(entry)}

    def restore(self, key: str, seen: SeenObject) -> RecallError | None:
        """Ask that an object be restored, or that its restored copy be kept for longer.

        Returns:
            Why the restore is refused; None where it was asked for or is under way, and where the object is
            not archived or not there.

        Raises:
            StoreUnavailable: The S3 does not answer.
            StoreAway: The S3 cannot restore.
        """
        tier = self._settings.tier_for(seen.size)
        if tier == "Expedited" and DEEP & {seen.storage_class, seen.archive_status}:
            tier = self._settings.fallback_tier
        with self._explained(key, "be restored"):
            try:
                self._restore_by(tier, key, seen)
            except ClientError as error:
                code = code_of(error)
                if code in NOT_OFFERED:
                    raise StoreAway(
                        f"{self._settings.place} has no RestoreObject ({code}); it cannot be used as s3_glacier"
                    ) from error
                if code in FORBIDDEN:
                    return StoreRefusesAccount(
                        f"{key!r} in {self._settings.place} may not be restored ({code}); let the key do "
                        "s3:RestoreObject"
                    )
                if code not in JOINED | NOT_ARCHIVED | GONE:
                    raise
        return None

    def reader(self, key: str, seen: SeenObject, end: int) -> ObjectReader:
        """Read an object as it was seen; if it is replaced meanwhile, reading fails."""
        return ObjectReader(
            self._client(),
            Extent(self._bucket, key, end, seen.etag),
            self._settings.attempts,
            partial(self._explained_of, key, seen),
        )

    @contextmanager
    def _explained_of(self, key: str, seen: SeenObject) -> Iterator[None]:
        """Turn errors of reading into those of the port.

        An object that is not restored though its class is none of `archive_classes` is a mistake there.
        """
        try:
            with self._explained(key, "be read"):
                yield
        except NotYetOnline as error:
            if is_archived(seen, self._settings.archive_classes):
                raise
            raise DatablockUnreadable(
                f"{error}; its storage class is {seen.storage_class}: add that to `archive_classes`, so that it is restored"
            ) from error

    def _read_a_byte(self, key: str) -> None:
        with self._explained(key, "be read"):
            self._client().get_object(Bucket=self._bucket, Key=key, Range="bytes=0-0")["Body"].close()

    def _restore_by(self, tier: Tier, key: str, seen: SeenObject) -> None:
        request: RestoreRequestTypeDef = {"GlacierJobParameters": {"Tier": tier}}
        if seen.storage_class != TIERING:  # it is restored for good, and Days is an error
            request["Days"] = self._settings.days
        # That there is no capacity left is a 503, which boto3 would try again, and wait.
        client = self._client(1 if tier == "Expedited" else self._settings.attempts)
        try:
            client.restore_object(Bucket=self._bucket, Key=key, RestoreRequest=request)
        except ClientError as error:
            if code_of(error) not in NO_EXPEDITED or tier != "Expedited":
                raise
            self._restore_by(self._settings.fallback_tier, key, seen)

    def _says_all(self, entry: Mapping[str, Any]) -> bool:
        """Say whether an entry of a listing tells all.

        Not every S3 lists RestoreStatus, and no listing has the archive tiers.
        """
        if "Size" not in entry:
            return False
        if "RestoreStatus" in entry:
            return True
        storage_class = entry.get("StorageClass") or "STANDARD"
        if storage_class == TIERING:
            return False
        return self._tells_restores or storage_class not in self._settings.archive_classes

    def _why_refused(self, key: str) -> RecallError:
        """Ask for a byte, since the answer to GET says why."""
        why = ""
        try:
            self._read_a_byte(key)
        except (StoreUnavailable, DatablockMissing, DatablockUnreadable) as reason:
            return reason
        except RecallError as reason:
            why = f"; {reason}"
        return DatablockUnreadable(
            f"{key!r} in {self._settings.place} may be read and not looked at (HeadObject){why}"
        )

    def _explained(self, key: str, what: str) -> AbstractContextManager[None]:
        return self._explainer.explained(key, what)

    def _client(self, attempts: int | None = None) -> S3Client:
        attempts = attempts or self._settings.attempts
        with self._lock:
            if attempts not in self._clients:
                with self._explained("", "be reached"):
                    self._clients[attempts] = connect(self._settings, self._settings.endpoint_url, attempts)
            return self._clients[attempts]
