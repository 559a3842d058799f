"""Reading an object from any place, by ranges."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from botocore.response import StreamingBody

from scicat_retriever.storage.staging.s3_connection import FAILURES, code_of, explained
from scicat_retriever.storage.staging.s3_settings import S3StagingSettings

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client

_RANGE_BYTES = 64 << 20
"""Bytes asked for at once: in small ranges reading takes longer, and a connection should not stay open for hours."""


class ObjectReader(io.RawIOBase):
    """An object's bytes, in order or from anywhere. Errors are those of the staging area.

    Args:
        client: The connection.
        settings: Say which bucket, and how often to try.
        key: The object.
        size: Its bytes.
    """

    def __init__(self, client: S3Client, settings: S3StagingSettings, key: str, size: int) -> None:
        super().__init__()
        self._client = client
        self._settings = settings
        self._key = key
        self._size = size
        self._at = 0
        self._body: StreamingBody | None = None
        self._left = 0

    def readable(self) -> bool:
        """Say yes."""
        return True

    def seekable(self) -> bool:
        """Say yes."""
        return True

    def tell(self) -> int:
        """Give the position."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a position; what was asked for and not read yet is dropped."""
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if begin + offset < 0:
            raise ValueError("a position before the beginning")
        if begin + offset != self._at:
            self._drop()
            self._at = begin + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read some bytes; a connection that breaks is made again at the same place.

        Raises:
            StagedFileMissing: The object is gone.
            StagingWriteFailed: It cannot be read.
        """
        room = memoryview(buffer).cast("B")
        if self._at >= self._size or not len(room):
            return 0
        for tries_left in reversed(range(self._settings.attempts)):
            with explained("be read", self._settings):
                try:
                    piece = self._some(len(room))
                except FAILURES as error:
                    self._drop()
                    if not tries_left or code_of(error):  # what the S3 itself answers was tried again already
                        raise
                else:
                    room[: len(piece)] = piece
                    self._at += len(piece)
                    return len(piece)
        raise AssertionError

    def close(self) -> None:
        """Drop the connection."""
        self._drop()
        super().close()

    def _some(self, most: int) -> bytes:
        if self._body is None or not self._left:
            self._drop()
            last = min(self._at + _RANGE_BYTES, self._size) - 1
            answer = self._client.get_object(
                Bucket=self._settings.bucket, Key=self._key, Range=f"bytes={self._at}-{last}"
            )
            self._body, self._left = answer["Body"], last + 1 - self._at
        piece = self._body.read(min(most, self._left))
        if not piece:
            raise ConnectionResetError("the answer is shorter than it should be")
        self._left -= len(piece)
        return piece

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
        self._body, self._left = None, 0
