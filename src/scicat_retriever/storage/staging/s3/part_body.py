"""A part of an upload, as boto3 sends it: from our own buffer, without a copy."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_PIECE_BYTES = 1 << 20


class PartBody(io.RawIOBase):
    """A file that reads a buffer, which must not change meanwhile.

    boto3 copies a bytearray as a whole to sign it, and sends a file in pieces of 16 KiB. The pieces of this
    file are views, and larger than asked for.

    Args:
        data: The part.
    """

    def __init__(self, data: bytearray) -> None:
        super().__init__()
        self._data = memoryview(data).toreadonly()
        self._at = 0

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
        """Go to a position: to the beginning, where the part is sent again."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._data)}[whence]
        return self._at

    def read(self, size: int = -1, /) -> bytes:
        """Give the next bytes, at least as many as asked for where there are; empty at the end."""
        length = len(self._data) if size < 0 else max(size, _PIECE_BYTES)
        view = self._data[self._at : self._at + length]
        self._at += len(view)
        return cast("bytes", view)

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end."""
        room = memoryview(buffer).cast("B")
        view = self._data[self._at : self._at + len(room)]
        room[: len(view)] = view
        self._at += len(view)
        return len(view)

    def close(self) -> None:
        """Let the buffer go."""
        self._data.release()
        super().close()
