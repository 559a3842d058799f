"""Reading an object from any place, by ranges."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.response import StreamingBody

from scicat_retriever.storage.s3.connection import FAILURES, code_of

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import GetObjectRequestTypeDef

_RANGE_BYTES = 64 << 20
"""Bytes asked for at once: in small ranges reading takes longer, and a connection should not stay open for hours."""


@dataclass(frozen=True, slots=True)
class Extent:
    """The bytes of an object that are read.

    Attributes:
        bucket: The bucket.
        key: The object.
        end: The first byte that is not read any more: its size, or less.
        etag: The S3 is to refuse (412) where the object has another ETag, since it was replaced; empty: it is not asked.
    """

    bucket: str
    key: str
    end: int
    etag: str = ""


class ObjectReader(io.RawIOBase):
    """An object's bytes, in order or from anywhere.

    Args:
        client: The connection.
        extent: What is read.
        attempts: How often to try where the connection breaks.
        explained: Turns one of `FAILURES` into an error of the adapter.
    """

    def __init__(
        self,
        client: S3Client,
        extent: Extent,
        attempts: int,
        explained: Callable[[], AbstractContextManager[None]],
    ) -> None:
        super().__init__()
        self._client = client
        self._extent = extent
        self._attempts = attempts
        self._explained = explained
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
        begin = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._extent.end}[whence]
        if begin + offset < 0:
            raise ValueError("a position before the beginning")
        if begin + offset != self._at:
            self._drop()
            self._at = begin + offset
        return self._at

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read some bytes; a connection that breaks is made again at the same place. Raises what `explained` does."""
        room = memoryview(buffer).cast("B")
        if self._at >= self._extent.end or not len(room):
            return 0
        for tries_left in reversed(range(self._attempts)):
            with self._explained():
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
            last = min(self._at + _RANGE_BYTES, self._extent.end) - 1
            wanted: GetObjectRequestTypeDef = {
                "Bucket": self._extent.bucket,
                "Key": self._extent.key,
                "Range": f"bytes={self._at}-{last}",
            }
            if self._extent.etag:
                wanted["IfMatch"] = self._extent.etag
            self._body, self._left = self._client.get_object(**wanted)["Body"], last + 1 - self._at
        piece = self._body.read(min(most, self._left))
        if not piece:
            raise ConnectionResetError("the answer is shorter than it should be")
        self._left -= len(piece)
        return piece

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
        self._body, self._left = None, 0
