"""The entity tag of a computed archive: equal wherever, and whenever, the same bytes are given."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence

from scicat_retriever.computed.entries import Batch
from scicat_retriever.computed.errors import BadEntry
from scicat_retriever.computed.names import Names

Columns = tuple[bytes, bytes, bytes, bytes, bytes, bytes]
"""Paths, link targets, sizes, CRC-32s, mtimes and digests of a batch, each value with its end."""


class EtagMaker:
    """The digest of all that decides the bytes of an archive: its layout's version, and its entries.

    Where contents lie is no part of it. Each column has a hash of its own, so that it does not matter where
    one batch ends and the next begins.

    Args:
        version: name and version of the layout; counted up when the same entries make other bytes.
    """

    def __init__(self, version: str) -> None:
        self._version = version
        self._hashes = [hashlib.sha256() for _ in range(6)]

    def add(self, columns: Columns) -> None:
        """Take the next entries."""
        for hashed, column in zip(self._hashes, columns, strict=True):
            hashed.update(column)

    def etag(self) -> str:
        """Give the tag of all entries: version, hyphen, 64 hexadecimal digits; without quotation marks."""
        whole = hashlib.sha256(b"".join(hashed.digest() for hashed in self._hashes))
        return f"{self._version}-{whole.hexdigest()}"


def columns_of(batch: Batch, names: Names) -> Columns:
    """Write down a batch, without where its contents lie.

    The kind of an entry shows in its names: the path of a folder ends with ``/``, and only
    symbolic links have a target.

    Raises:
        BadEntry: a size or an mtime has more than 64 bits, or a CRC-32 more than 32.
    """
    return (
        b"".join([path + b"\0" for path in names.paths]),
        b"".join([link + b"\0" for link in names.links]),
        _packed("Q", batch.sizes),
        _packed("I", batch.crcs),
        _packed("q", batch.mtimes),
        "".join([digest + "," for digest in batch.digests]).encode(),
    )


def _packed(letter: str, column: Sequence[int]) -> bytes:
    try:
        return struct.pack(f"<{len(column)}{letter}", *column)
    except struct.error as error:
        raise BadEntry(f"a size, a CRC-32 or an mtime: {error}") from error
