"""The pieces of a staged file: every 16 MiB has a digest of its own, so that a wrong byte is found soon.

A piece's CRC-32 finds it damaged by accident, and costs next to nothing; the proof stays the checksum of each
member. Programs that download in pieces know such lists: aria2 (Metalink, RFC 5854).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from scicat_retriever.onepass.checksums import ChecksumAlgorithm, Digester

PIECE_BYTES = 16 << 20
"""Bytes of a piece; the last one of a file has fewer."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """The digests of all pieces of a file.

    Attributes:
        size: bytes of the file.
        digests: by algorithm, the raw digests of all pieces, one after the other.
    """

    size: int = 0
    digests: Mapping[ChecksumAlgorithm, bytes] = field(default_factory=lambda: MappingProxyType({}))

    def __len__(self) -> int:
        """Count the pieces."""
        return pieces_of(self.size)

    def of(self, algorithm: ChecksumAlgorithm) -> list[str]:
        """Give the digest of each piece, in hexadecimal digits.

        Raises:
            KeyError: the pieces were not hashed with it.
        """
        raw = self.digests[algorithm]
        width = len(raw) // max(len(self), 1)
        return [raw[at : at + width].hex() for at in range(0, len(raw), max(width, 1))]


def pieces_of(size: int) -> int:
    """Count the pieces of a file of `size` bytes."""
    return -(-size // PIECE_BYTES)


class PieceSums:
    """Hashes the pieces of a file while its bytes go by.

    Args:
        algorithm: what the pieces are hashed with.

    Attributes:
        size: bytes seen so far.
    """

    def __init__(self, algorithm: ChecksumAlgorithm) -> None:
        self._algorithm = algorithm
        self._running: Digester = algorithm.start()
        self._done = bytearray()
        self.size = 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        at = 0
        while at < len(data):
            left = PIECE_BYTES - self.size % PIECE_BYTES
            part = data[at : at + left]
            self._running.update(part)
            at += len(part)
            self.size += len(part)
            if len(part) == left:
                self._end_piece()

    def digests(self) -> bytes:
        """Give the raw digests of all pieces; no more bytes come."""
        if self.size % PIECE_BYTES:
            self._end_piece()
        return bytes(self._done)

    def _end_piece(self) -> None:
        self._done += bytes.fromhex(self._running.hexdigest())
        self._running = self._algorithm.start()
