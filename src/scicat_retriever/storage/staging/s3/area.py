"""A staging area in a bucket: `<prefix><pid>,<id>/<token>`, a multipart upload until it is complete.

Nobody sees an upload as an object before it is completed, which is one step of the S3. Each part has a
checksum that the S3 compares when the part arrives. The object has one that is compared before the object
counts as staged: so it is proved without being read back. The area uses what all S3 have in common; what some
lack is said where it is used.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import BinaryIO, NoReturn

from scicat_retriever.domain.errors import (
    NoSpaceYet,
    StagedBytesDiffer,
    StagedFileMissing,
    StagingError,
    StagingWriteFailed,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.ports.staging_area import Holding, Partial, Room
from scicat_retriever.storage.s3.reader import Extent, ObjectReader
from scicat_retriever.storage.staging import marker
from scicat_retriever.storage.staging.file_names import folder_name, is_file_name, new_token
from scicat_retriever.storage.staging.s3.checksums import Checksum, Receipt, checksum_named
from scicat_retriever.storage.staging.s3.connection import explained
from scicat_retriever.storage.staging.s3.requests import S3Requests
from scicat_retriever.storage.staging.s3.settings import S3StagingSettings
from scicat_retriever.storage.staging.s3.upload import S3Partial, other_checksum

_ABORT_SECONDS = 10.0
"""How long parts under way are waited for before an upload is aborted: a later one takes space again."""
_READ_BYTES = 1 << 20


class S3Staging:
    """Staged archives as objects of a bucket. A `StagingArea`.

    Raises:
        StagingError: The bucket is not there, or cannot be used; the message says what to do.
    """

    def __init__(self, settings: S3StagingSettings) -> None:
        self._settings = settings
        self._checksum = checksum_named(settings.checksum)
        self._requests = S3Requests(settings)
        self._requests.see_the_bucket()

    @property
    def location(self) -> str:
        """The bucket and the prefix."""
        return f"{self._settings.place}, {self._settings.prefix or 'without a prefix'}"

    def prepare(self) -> None:
        """Check that the bucket is there: nothing has to be made."""
        self._requests.see_the_bucket()

    def owner(self) -> str | None:
        """The ledger that the marker object names."""
        with suppress(StagedFileMissing):
            return marker.read(self._requests.small(self._settings.prefix + marker.NAME, marker.LONGEST))
        return None

    def mark(self, ledger: str, *, anew: bool = False) -> None:
        """Write the marker object."""
        self._requests.put(self._settings.prefix + marker.NAME, marker.written(ledger), anew=anew)

    def room(self) -> Room:
        """Give what the settings say: an S3 does not say how much room it has."""
        return Room(self._settings.capacity_bytes, None)

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        """Begin an upload, and abort all older ones of the datablock.

        A writer of an older upload is refused from now on. An upload that is not sealed in the end, by an
        error or for want of bytes, is aborted and leaves nothing. The receipt is the checksum of the whole
        object, and its size.

        Raises:
            StagingWriteFailed: The upload cannot be begun.
            NoSpaceYet: The file can never fit (`capacity_bytes`).
        """
        missing = size - self._settings.capacity_bytes
        if missing > 0:
            raise NoSpaceYet(
                f"{self._settings.place} has no room for {size} bytes: {missing} bytes are missing; enlarge "
                "staging.capacity_bytes"
            )
        self.discard_partial(key)
        name = self._file(key, new_token())
        upload_id = self._requests.begin(name, self._checksum)
        partial = S3Partial(
            self._requests.client,
            self._settings,
            self._checksum,
            name,
            upload_id,
            size,
            lambda: list(self._requests.parts(name, upload_id, self._checksum)),
        )
        try:
            yield partial
        except BaseException:
            partial.close(_ABORT_SECONDS)
            with suppress(StagingError):  # why it failed says more, and the next attempt aborts it too
                self._requests.abort(name, upload_id)
            raise
        partial.close(_ABORT_SECONDS)
        if not partial.receipt:
            self._requests.abort(name, upload_id)

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of the parts that the S3 has of this upload, or None where there is no upload."""
        name = self._file(key, token)
        for upload_id in self._requests.uploads_of(name):
            with suppress(StagedFileMissing):
                return self._uploaded(name, upload_id)
        return None

    def commit(self, key: DatablockKey, token: str, receipt: str) -> None:
        """Complete this upload, and remove the datablock's older objects. May be repeated.

        Raises:
            StagedFileMissing: There is neither an upload nor an object.
            StagedBytesDiffer: The S3 holds something else than the receipt says; it was removed.
            StagingWriteFailed: The upload cannot be completed, or the S3 does not say a checksum.
        """
        name, read = self._file(key, token), Receipt.read(receipt)
        if read is None:
            self._remove_wrong(name, receipt)
        # Of before: what another step stages while this one stands still is not older.
        older = [found.key for found in self._requests.objects(self._folder(key)) if found.key != name]
        for upload_id in self._requests.uploads_of(name):
            with suppress(StagedFileMissing):  # completed by another at this moment: the object shows it
                self._complete(name, upload_id, read)
        if self._held(name, read.checksum) != read:
            self._remove_wrong(name, receipt)
        for each in older:
            self._requests.delete(each)

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this object, or None where it is not there."""
        return self._size(self._file(key, token))

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        """Open this object for reading; it cannot be read to its end if it is deleted meanwhile.

        Raises:
            StagedFileMissing: The object is not there.
        """
        name = self._file(key, token)
        size = int(self._requests.head(name)["ContentLength"])
        with ObjectReader(
            self._requests.client,
            Extent(self._settings.bucket, name, size),
            self._settings.attempts,
            lambda: explained("be read", self._settings),
        ) as reader:
            yield io.BufferedReader(reader, _READ_BYTES)

    def download_url(self, key: DatablockKey, token: str, name: str, longest: timedelta) -> str | None:
        """Give a presigned URL, unless downloads are streamed by the service."""
        if self._settings.downloads == "stream":
            return None
        lifetime = min(self._settings.url_lifetime, int(longest.total_seconds()))
        return self._requests.presigned(self._file(key, token), name, max(1, lifetime))

    def discard_partial(self, key: DatablockKey, token: str | None = None) -> None:
        """Abort the upload of this token, or all of a datablock."""
        for upload in self._requests.uploads(self._folder(key) if token is None else self._file(key, token)):
            self._requests.abort(upload.key, upload.id)

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        """Delete the object of this token, or all of a datablock."""
        if token is None:
            self._remove_objects(key)
        else:
            self._requests.delete(self._file(key, token))

    def name_of(self, key: DatablockKey) -> str:
        """Name the part of the key before the token."""
        return folder_name(key)

    def holdings(self) -> Iterator[Holding]:
        """Give all objects and uploads with keys of the area's own; an upload's size is that of its parts."""
        prefix = self._settings.prefix
        for found in self._requests.objects(prefix):
            name, _, token = (file := found.key.removeprefix(prefix)).rpartition("/")
            if is_file_name(file):
                yield Holding(name, token, True, found.size, found.changed_at)
        for upload in self._requests.uploads(prefix):
            name, _, token = (file := upload.key.removeprefix(prefix)).rpartition("/")
            if is_file_name(file):
                with suppress(StagedFileMissing):  # completed or aborted meanwhile
                    size = self._uploaded(upload.key, upload.id)
                    yield Holding(name, token, False, size, upload.begun_at)

    def remove(self, holding: Holding) -> None:
        """Remove an object or an upload that was found; one that is gone is no error.

        An S3 does not know whether an upload is still being written. The caller has to know.
        """
        file = f"{holding.name}/{holding.token}"
        if not is_file_name(file):
            raise StagingWriteFailed(f"{file} is no file of the staging area")
        key = self._settings.prefix + file
        if holding.staged:
            self._requests.delete(key)
        else:
            self._abort_all(key)

    def _folder(self, key: DatablockKey) -> str:
        return f"{self._settings.prefix}{folder_name(key)}/"  # the slash tells "a,1" from "a,10"

    def _file(self, key: DatablockKey, token: str) -> str:
        return self._folder(key) + token

    def _uploaded(self, name: str, upload_id: str) -> int:
        return sum(part.size for part in self._requests.parts(name, upload_id, self._checksum))

    def _complete(self, name: str, upload_id: str, receipt: Receipt) -> None:
        parts = list(self._requests.parts(name, upload_id, receipt.checksum))
        told = all(part.digest for part in parts)
        size = sum(part.size for part in parts)
        if size != receipt.size or (told and Receipt.of(receipt.checksum, parts) != receipt):
            # Not every S3 removes an upload at once: when another has completed it, its parts go one by one.
            if self._size(name) is None:
                self._remove_wrong(name, str(receipt))
            return
        self._requests.complete(name, upload_id, parts, receipt)

    def _size(self, name: str) -> int | None:
        with suppress(StagedFileMissing):
            return int(self._requests.head(name)["ContentLength"])
        return None

    def _held(self, name: str, checksum: Checksum) -> Receipt:
        """Give the receipt of the object that the S3 holds, in the S3's words."""
        answer = self._requests.head(name)
        whole = checksum.whole_in(answer)
        if not whole:
            raise other_checksum(self._settings, checksum, known=False)
        return Receipt(checksum, whole, int(answer["ContentLength"]))

    def _remove_wrong(self, name: str, receipt: str) -> NoReturn:
        self._abort_all(name)
        self._requests.delete(name)
        raise StagedBytesDiffer(
            f"{self._settings.place} does not hold {name} as it was written, {receipt}; it was removed"
        )

    def _abort_all(self, name: str) -> None:
        for upload_id in self._requests.uploads_of(name):
            self._requests.abort(name, upload_id)

    def _remove_objects(self, key: DatablockKey) -> None:
        for found in self._requests.objects(self._folder(key)):
            self._requests.delete(found.key)
