"""The requests of a staging area to its bucket. Errors are those of the staging area."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote, urlencode

from botocore.exceptions import ClientError

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.pipeline.delivery.names import attachment
from scicat_retriever.storage.s3.connection import code_of
from scicat_retriever.storage.staging.s3.checksums import Checksum, Receipt, UploadPart
from scicat_retriever.storage.staging.s3.connection import connected, explained
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings

if TYPE_CHECKING:  # stubs, of which there is nothing at run time
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

_THERE_ALREADY = frozenset({"PreconditionFailed", "412"})
_NO_CONDITIONS = frozenset({"NotImplemented", "501"})


@dataclass(frozen=True, slots=True)
class Upload:
    """A multipart upload that is neither completed nor aborted; `begun_at` is UTC."""

    key: str
    id: str
    begun_at: datetime


@dataclass(frozen=True, slots=True)
class Object:
    """An object; `size` is bytes, `changed_at` UTC."""

    key: str
    size: int
    changed_at: datetime


class S3Requests:
    """The requests, over connections that any thread may use.

    Raises:
        StagingWriteFailed: The settings cannot be used.

    Attributes:
        client: The connection.
    """

    def __init__(self, settings: S3StagingSettings) -> None:
        self._settings = settings
        self._bucket = settings.bucket
        self.client: S3Client = connected(settings, settings.endpoint_url)
        apart = settings.external_url is not None and settings.external_url != settings.endpoint_url
        self._signer = connected(settings, settings.external_url) if apart else self.client

    def see_the_bucket(self) -> None:
        """Check that the bucket is there.

        Raises:
            StagingWriteFailed: The bucket is not there, or may not be used.
        """
        try:
            with explained("be used", self._settings):
                self.client.head_bucket(Bucket=self._bucket)
        except StagedFileMissing as missing:
            place = self._settings.place
            raise StagingWriteFailed(f"{place} is not there; make it, or correct staging.bucket") from missing

    def begin(self, key: str, checksum: Checksum) -> str:
        """Begin an upload; gives its id."""
        options: dict[str, Any] = {}
        if self._settings.storage_class is not None:
            options["StorageClass"] = self._settings.storage_class
        if self._settings.tags:
            options["Tagging"] = urlencode(self._settings.tags, quote_via=quote)
        with explained("be written", self._settings):
            answer = self.client.create_multipart_upload(
                Bucket=self._bucket,
                Key=key,
                ContentType="application/octet-stream",
                **checksum.asks(),
                **options,
            )
        return answer["UploadId"]

    def uploads(self, prefix: str) -> Iterator[Upload]:
        """Give the uploads whose keys begin with `prefix`. MinIO gives them only where it is a whole key."""
        pages = self.client.get_paginator("list_multipart_uploads").paginate(
            Bucket=self._bucket, Prefix=prefix
        )
        with explained("be listed", self._settings):
            for page in pages:
                for found in page.get("Uploads", ()):
                    yield Upload(found["Key"], found["UploadId"], found["Initiated"].astimezone(UTC))

    def uploads_of(self, key: str) -> list[str]:
        """Give the ids of the uploads of this key; there is one at the most."""
        return [upload.id for upload in self.uploads(key) if upload.key == key]

    def parts(self, key: str, upload_id: str, checksum: Checksum) -> Iterator[UploadPart]:
        """Give the parts that the S3 has of an upload, by their numbers. Not every S3 tells their checksums.

        Raises:
            StagedFileMissing: There is no such upload (any more).
        """
        pages = self.client.get_paginator("list_parts").paginate(
            Bucket=self._bucket, Key=key, UploadId=upload_id
        )
        with explained("be looked at", self._settings):
            for page in pages:
                for found in page.get("Parts", ()):
                    yield UploadPart(
                        found["PartNumber"],
                        found["Size"],
                        found["ETag"].strip('"'),
                        checksum.digest_in(found),
                    )

    def abort(self, key: str, upload_id: str) -> None:
        """Remove an upload; one that is gone is no error."""
        with suppress(StagedFileMissing), explained("be cleared", self._settings):
            self.client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)

    def complete(self, key: str, upload_id: str, parts: Sequence[UploadPart], receipt: Receipt) -> None:
        """Make an upload the object. If there is an object of this key already, nothing happens.

        An S3 without conditions cannot tell, and replaces it.

        Raises:
            StagedFileMissing: There is no such upload (any more).
        """
        with explained("be completed", self._settings):
            try:
                self._complete(key, upload_id, parts, receipt, {"IfNoneMatch": "*"})
            except ClientError as error:
                if code_of(error) in _THERE_ALREADY:
                    return
                if code_of(error) not in _NO_CONDITIONS:
                    raise
                self._complete(key, upload_id, parts, receipt, {})

    def _complete(
        self,
        key: str,
        upload_id: str,
        parts: Sequence[UploadPart],
        receipt: Receipt,
        conditions: dict[str, Any],
    ) -> None:
        self.client.complete_multipart_upload(
            Bucket=self._bucket,
            Key=key,
            UploadId=upload_id,
            MultipartUpload={"Parts": [_listed(part, receipt.checksum) for part in parts]},
            **receipt.checksum.completes(receipt.whole),
            **conditions,
        )

    def objects(self, prefix: str) -> Iterator[Object]:
        """Give the objects whose keys begin with `prefix`."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with explained("be listed", self._settings):
            for page in pages:
                for found in page.get("Contents", ()):
                    yield Object(found["Key"], found["Size"], found["LastModified"].astimezone(UTC))

    def head(self, key: str) -> Mapping[str, Any]:
        """Give what the S3 says of an object, its checksum included.

        Raises:
            StagedFileMissing: The object is not there.
        """
        try:
            with explained("be looked at", self._settings):
                return self.client.head_object(Bucket=self._bucket, Key=key, ChecksumMode="ENABLED")
        except StagedFileMissing:
            self.see_the_bucket()  # answers to HEAD have no body to say that it is the bucket that is gone
            raise

    def small(self, key: str, most: int) -> bytes:
        """Give the first bytes of an object, `most` at the most.

        Raises:
            StagedFileMissing: The object is not there.
        """
        with (
            explained("be read", self._settings),
            closing(self.client.get_object(Bucket=self._bucket, Key=key)["Body"]) as body,
        ):
            return body.read(most)

    def put(self, key: str, content: bytes, *, anew: bool) -> None:
        """Write a small object. An object that is there stays, unless `anew`.

        An S3 without conditions cannot tell, and replaces it.
        """
        conditions: dict[str, Any] = {} if anew else {"IfNoneMatch": "*"}
        with explained("be written", self._settings):
            try:
                self.client.put_object(Bucket=self._bucket, Key=key, Body=content, **conditions)
            except ClientError as error:
                if code_of(error) in _THERE_ALREADY:
                    return
                if code_of(error) not in _NO_CONDITIONS or anew:
                    raise
                self.client.put_object(Bucket=self._bucket, Key=key, Body=content)

    def delete(self, key: str) -> None:
        """Remove an object; one that is gone is no error.

        One by one, not by DeleteObjects: a datablock has one or two, and not every S3 takes boto3's checksum
        of a list.
        """
        with suppress(StagedFileMissing), explained("be cleared", self._settings):
            self.client.delete_object(Bucket=self._bucket, Key=key)

    def presigned(self, key: str, name: str, lifetime: int) -> str:
        """Give a URL that reads an object as a file of this name (RFC 6266), for `lifetime` seconds."""
        with explained("be signed for", self._settings):
            return self._signer.generate_presigned_url(
                "get_object",
                Params={
                    "Bucket": self._bucket,
                    "Key": key,
                    "ResponseContentDisposition": attachment(name),
                    "ResponseContentType": "application/octet-stream",
                },
                ExpiresIn=lifetime,
            )


def _listed(part: UploadPart, checksum: Checksum) -> CompletedPartTypeDef:
    told: dict[str, Any] = {"PartNumber": part.number, "ETag": part.etag}
    if part.digest and checksum.field is not None:
        told[checksum.field] = base64.b64encode(part.digest).decode()
    return cast("CompletedPartTypeDef", told)
