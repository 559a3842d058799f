"""The digests of pieces are those of every 16 MiB, however the bytes come."""

import random
import zlib
from itertools import cycle

import pytest

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.pieces import PIECE_BYTES, Pieces, PieceSums, pieces_of

DATA = random.Random(1).randbytes(2 * PIECE_BYTES + 5)


def summed(data: bytes, cuts: tuple[int, ...]) -> Pieces:
    sums, at = PieceSums(ChecksumAlgorithm.CRC32), 0
    for cut in cycle(cuts):
        if at >= len(data):
            break
        sums.update(memoryview(data)[at : at + cut])
        at += cut
    return Pieces(sums.size, {ChecksumAlgorithm.CRC32: sums.digests()})


@pytest.mark.parametrize("size", [0, 1, PIECE_BYTES - 1, PIECE_BYTES, PIECE_BYTES + 1, len(DATA)])
@pytest.mark.parametrize("cuts", [(len(DATA),), (4 << 20,), (1_000_003, 7)])
def test_each_piece_has_its_own_digest(size: int, cuts: tuple[int, ...]) -> None:
    data = DATA[:size]
    expected = [f"{zlib.crc32(data[at : at + PIECE_BYTES]):08x}" for at in range(0, size, PIECE_BYTES)]
    found = summed(data, cuts)
    assert (found.size, found.of(ChecksumAlgorithm.CRC32)) == (size, expected)
    assert len(found) == pieces_of(size) == len(expected)


def test_a_changed_byte_is_found_in_its_piece() -> None:
    changed = bytearray(DATA)
    changed[PIECE_BYTES + 5] ^= 1
    right, wrong = (summed(data, (4 << 20,)).of(ChecksumAlgorithm.CRC32) for data in (DATA, bytes(changed)))
    assert [one == other for one, other in zip(right, wrong, strict=True)] == [True, False, True]


def test_pieces_have_no_digests_of_another_algorithm() -> None:
    with pytest.raises(KeyError):
        summed(b"x", (1,)).of(ChecksumAlgorithm.SHA256)
