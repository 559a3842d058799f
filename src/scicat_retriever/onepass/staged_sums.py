"""What is kept of a staged file's bytes as they are: the checksum of the whole, and of each piece."""

from collections.abc import Iterable

import xxhash

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.pieces import Pieces, PieceSums

_STRIDE = 256 << 10
"""Bytes that all sums take before the next: few enough to stay in the processor's cache meanwhile."""


def archive_checksum_name() -> str:
    """Name the algorithm of the checksum of an archive as a whole: xxh3-128.

    It is twenty times faster than sha256, so almost free.
    """
    return ChecksumAlgorithm.XXH3_128.value


class StagedSums:
    """The sums over a file, while its bytes go by.

    Args:
        also: what the pieces are hashed with as well.
        crc: whether the pieces get their CRC-32.
    """

    def __init__(self, also: Iterable[ChecksumAlgorithm] = (), *, crc: bool = True) -> None:
        self._whole = xxhash.xxh3_128()
        algorithms = [*also, *([ChecksumAlgorithm.CRC32] if crc else [])]
        self._pieces = {algorithm: PieceSums(algorithm) for algorithm in algorithms}
        self._size = 0

    def update(self, data: memoryview) -> None:
        """Take the next bytes."""
        self._size += len(data)
        for at in range(0, len(data), _STRIDE):
            part = data[at : at + _STRIDE]
            self._whole.update(part)
            for sums in self._pieces.values():
                sums.update(part)

    @property
    def checksum(self) -> str:
        """The checksum of all bytes so far, in hexadecimal digits."""
        return self._whole.hexdigest()

    def pieces(self) -> Pieces:
        """Give the digests of all pieces; no more bytes come."""
        return Pieces(self._size, {algorithm: sums.digests() for algorithm, sums in self._pieces.items()})
