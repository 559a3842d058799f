"""Algorithms by any of their names."""

import hashlib
import zlib

import pytest
import xxhash

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm

DATA = b"some bytes of a detector"


@pytest.mark.parametrize(
    ("spelling", "algorithm"),
    [
        ("md5", ChecksumAlgorithm.MD5),
        ("MD5", ChecksumAlgorithm.MD5),
        ("md5sum", ChecksumAlgorithm.MD5),
        ("sha1", ChecksumAlgorithm.SHA1),
        ("SHA-1", ChecksumAlgorithm.SHA1),
        ("sha256", ChecksumAlgorithm.SHA256),
        ("sha-256", ChecksumAlgorithm.SHA256),
        ("SHA_256", ChecksumAlgorithm.SHA256),
        (" Sha 256 ", ChecksumAlgorithm.SHA256),
        ("SHA2-256", ChecksumAlgorithm.SHA256),
        ("sha3-256", ChecksumAlgorithm.SHA3_256),
        ("SHA3_512", ChecksumAlgorithm.SHA3_512),
        ("sha384", ChecksumAlgorithm.SHA384),
        ("SHA-512", ChecksumAlgorithm.SHA512),
        ("blake2b", ChecksumAlgorithm.BLAKE2B),
        ("BLAKE2b-512", ChecksumAlgorithm.BLAKE2B),
        ("b2sum", ChecksumAlgorithm.BLAKE2B),
        ("blake2s", ChecksumAlgorithm.BLAKE2S),
        ("CRC-32", ChecksumAlgorithm.CRC32),
        ("Adler32", ChecksumAlgorithm.ADLER32),
        ("xxh3", ChecksumAlgorithm.XXH3_64),
        ("XXH128", ChecksumAlgorithm.XXH3_128),
    ],
)
def test_a_spelling_leads_to_its_algorithm(spelling: str, algorithm: ChecksumAlgorithm) -> None:
    assert ChecksumAlgorithm.named(spelling) is algorithm


@pytest.mark.parametrize("algorithm", list(ChecksumAlgorithm))
def test_an_algorithm_is_found_by_the_name_it_shows(algorithm: ChecksumAlgorithm) -> None:
    assert ChecksumAlgorithm.named(str(algorithm)) is algorithm


@pytest.mark.parametrize(
    "spelling", ["", "sum", "sha", "sha512/256", "blake2b-256", "crc32c", "whirlpool", "md5\0"]
)
def test_an_unknown_algorithm_is_named(spelling: str) -> None:
    with pytest.raises(UnknownChecksumAlgorithm) as caught:
        ChecksumAlgorithm.named(spelling)
    assert repr(spelling) in str(caught.value)


@pytest.mark.parametrize(
    ("algorithm", "digest"),
    [
        (ChecksumAlgorithm.MD5, hashlib.md5(DATA).hexdigest()),
        (ChecksumAlgorithm.SHA1, hashlib.sha1(DATA).hexdigest()),
        (ChecksumAlgorithm.SHA256, hashlib.sha256(DATA).hexdigest()),
        (ChecksumAlgorithm.SHA512, hashlib.sha512(DATA).hexdigest()),
        (ChecksumAlgorithm.SHA3_256, hashlib.sha3_256(DATA).hexdigest()),
        (ChecksumAlgorithm.BLAKE2B, hashlib.blake2b(DATA).hexdigest()),
        (ChecksumAlgorithm.CRC32, f"{zlib.crc32(DATA):08x}"),
        (ChecksumAlgorithm.ADLER32, f"{zlib.adler32(DATA):08x}"),
        (ChecksumAlgorithm.XXH3_128, xxhash.xxh3_128(DATA).hexdigest()),
    ],
)
def test_digests_are_those_of_the_algorithm_in_one_go_and_in_pieces(
    algorithm: ChecksumAlgorithm, digest: str
) -> None:
    pieces = algorithm.start(DATA[:3])
    pieces.update(memoryview(DATA)[3:])
    assert (algorithm.start(DATA).hexdigest(), pieces.hexdigest()) == (digest, digest)
