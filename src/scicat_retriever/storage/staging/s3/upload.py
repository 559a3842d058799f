"""A multipart upload as the partial file that a copy is written to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, BinaryIO, cast

from botocore.exceptions import ClientError

from scicat_retriever.domain.errors import StagedBytesDiffer, StagingError, StagingWriteFailed
from scicat_retriever.storage.s3.connection import DAMAGED, code_of
from scicat_retriever.storage.staging.s3.checksums import Checksum, Receipt, UploadPart
from scicat_retriever.storage.staging.s3.connection import explained
from scicat_retriever.storage.staging.s3.part_body import PartBody
from scicat_retriever.storage.staging.s3.settings import MIB, S3StagingSettings

if TYPE_CHECKING:  # stubs, of which there is nothing at run time
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import UploadPartOutputTypeDef

MOST_PARTS = 10_000
"""Most parts of an upload, by the limits of S3."""
_PLANNED_PARTS = 9_000
"""Parts that are planned for, so that an archive that turns out larger than catalogued fits too."""
_STEP_BYTES = 8 * MIB


def part_bytes(settings: S3StagingSettings, size: int) -> int:
    """Give the size of the parts of a file of so many bytes."""
    steps = -(-size // (_PLANNED_PARTS * _STEP_BYTES))
    return max(settings.part_bytes, steps * _STEP_BYTES)


class S3Partial:
    """A `Partial` that fills parts, and has some of them sent at the same time.

    Memory is bounded by `upload_slots` + 1 parts: the writer waits until a part is sent.

    Args:
        client: The connection.
        settings: The bucket, how many parts are sent at once, and how often each is tried.
        checksum: The kind of checksum that goes with each part.
        key: The key of the object that the upload makes.
        upload_id: The upload.
        size: The bytes to expect.
        listed: Gives the parts that the S3 has.
    """

    def __init__(
        self,
        client: S3Client,
        settings: S3StagingSettings,
        checksum: Checksum,
        key: str,
        upload_id: str,
        size: int,
        listed: Callable[[], Sequence[UploadPart]],
    ) -> None:
        self._client = client
        self._settings = settings
        self._checksum = checksum
        self._key = key
        self._upload_id = upload_id
        self._listed = listed
        self._part_bytes = part_bytes(settings, size)
        self._free: SimpleQueue[bytearray | None] = SimpleQueue()
        for _ in range(settings.upload_slots + 1):
            self._free.put(None)  # a buffer that is made when it is needed
        self._filling: bytearray | None = None
        self._filled = 0
        self._parts: dict[int, UploadPart] = {}
        self._sending: list[Future[None]] = []
        self._failure: BaseException | None = None
        self._given_up = threading.Event()
        self._senders = ThreadPoolExecutor(settings.upload_slots, thread_name_prefix="s3-part")
        self.token = key.rpartition("/")[2]
        self.receipt = ""

    def write(self, data: memoryview) -> int:
        """Copy bytes into the part that is being filled; gives their number. Waits for a free part.

        Raises:
            StagingError: A part before could not be sent, or the partial is closed.
        """
        self._refuse_after_failure()
        if self._filling is None:
            self._filling = self._free.get() or bytearray(self._part_bytes)
            self._filled = 0
            self._refuse_after_failure()
        taken = min(len(data), len(self._filling) - self._filled)
        self._filling[self._filled : self._filled + taken] = data[:taken]
        self._filled += taken
        if self._filled == len(self._filling):
            part, self._filling = self._filling, None
            self._send(part)
        return taken

    def seal(self) -> None:
        """Send the last part, wait until the S3 has all, and compare what it says it has with what was sent.

        Raises:
            StagedBytesDiffer: The S3 has something else.
            StagingError: A part could not be sent.
        """
        self._refuse_after_failure()
        if self._filling is not None or not self._sending:  # an upload needs a part, though an empty one
            last, self._filling = self._filling or bytearray(), None
            del last[self._filled :]
            self._send(last)
        self._senders.shutdown(wait=True)
        self._refuse_after_failure()
        ours = [self._parts[number] for number in sorted(self._parts)]
        self._compare(ours, self._listed())
        self.receipt = str(Receipt.of(self._checksum, ours))

    def close(self, patience: float) -> None:
        """Send no further part, and wait for those under way, `patience` seconds at the most."""
        self._given_up.set()
        self._senders.shutdown(wait=False, cancel_futures=True)
        self._free.put(None)  # wakes who waits for a free part
        wait(self._sending, timeout=patience)

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        if self._given_up.is_set():
            raise StagingWriteFailed(f"{self._key} is not written any more: its copy was given up")

    def _send(self, part: bytearray) -> None:
        number = len(self._sending) + 1
        if number > MOST_PARTS:
            raise StagingWriteFailed(
                f"the file is larger than {MOST_PARTS} parts of {self._part_bytes} bytes; enlarge staging.part_bytes"
            )
        self._sending.append(self._senders.submit(self._send_part, number, part))

    def _send_part(self, number: int, buffer: bytearray) -> None:
        try:
            if self._failure is None and not self._given_up.is_set():
                self._parts[number] = self._sent_part(number, buffer)
        except BaseException as error:  # noqa: BLE001 - carried to the thread that writes
            self._failure = error
        finally:
            self._free.put(buffer)

    def _sent_part(self, number: int, buffer: bytearray) -> UploadPart:
        digest = self._checksum.of(buffer)
        with explained("be written", self._settings):
            answer = self._upload(number, buffer, digest)
        told = self._checksum.digest_in(answer)
        if told != digest:
            raise other_checksum(self._settings, self._checksum, known=bool(told))
        return UploadPart(number, len(buffer), answer["ETag"].strip('"'), digest)

    def _upload(self, number: int, buffer: bytearray, digest: bytes) -> UploadPartOutputTypeDef:
        tries_left = self._settings.attempts
        while True:
            tries_left -= 1
            try:
                with PartBody(buffer) as body:
                    return self._client.upload_part(
                        Bucket=self._settings.bucket,
                        Key=self._key,
                        UploadId=self._upload_id,
                        PartNumber=number,
                        Body=cast("BinaryIO", body),
                        **self._checksum.sends(digest),
                    )
            except ClientError as error:
                # boto3 itself sends again after any other failure that may pass.
                if code_of(error) not in DAMAGED or not tries_left:
                    raise

    def _compare(self, ours: Sequence[UploadPart], theirs: Sequence[UploadPart]) -> None:
        told = [(part.number, part.size, part.etag) for part in theirs]
        differing = [part.number for part in theirs if part.digest and part.digest != self._digest_of(part)]
        if differing or told != [(part.number, part.size, part.etag) for part in ours]:
            raise StagedBytesDiffer(
                f"{self._settings.place} does not hold the parts of {self._key} that were sent"
            )

        if self._checksum.needs_listing and not all(part.digest for part in theirs):
            raise other_checksum(self._settings, self._checksum, known=False)

    def _digest_of(self, part: UploadPart) -> bytes | None:
        sent = self._parts.get(part.number)
        return None if sent is None else sent.digest


def other_checksum(settings: S3StagingSettings, checksum: Checksum, *, known: bool) -> StagingError:
    """Make the error that the S3 tells another checksum than was sent (`known`), or none."""
    place = settings.place
    if not known:
        return StagingWriteFailed(
            f"{place} does not tell checksums of the kind {checksum.name}, or not of the parts of an upload; set "
            "staging.checksum to another kind, or to md5, which every S3 knows"
        )
    if checksum.field is None:
        return StagingWriteFailed(
            f"{place} has ETags that are no MD5, since it encrypts perhaps; set staging.checksum to another kind"
        )
    return StagedBytesDiffer(f"{place} computed another {checksum.name} than was sent with the bytes")
