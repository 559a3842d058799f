"""Checksum algorithms, and the spellings under which catalogues know them."""

import hashlib
import re
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from types import MappingProxyType
from typing import Protocol, Self

import xxhash
from zlib_ng.zlib_ng import adler32, crc32

from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm


class Digester(Protocol):
    """A running checksum."""

    def update(self, data: bytes | memoryview, /) -> None:
        """Take the next bytes."""

    def hexdigest(self) -> str:
        """Give the digest of all bytes taken so far, in lower-case hexadecimal digits."""


class StartsDigest(Protocol):
    """Starts a running checksum, with the first bytes already taken."""

    def __call__(self, data: bytes | memoryview = b"", /) -> Digester:
        """Start from these bytes."""


class ChecksumAlgorithm(StrEnum):
    """A checksum that members can be hashed with; the value is the name to show and to store."""

    MD5 = "md5"
    SHA1 = "sha1"
    SHA224 = "sha224"
    SHA256 = "sha256"
    SHA384 = "sha384"
    SHA512 = "sha512"
    SHA3_224 = "sha3-224"
    SHA3_256 = "sha3-256"
    SHA3_384 = "sha3-384"
    SHA3_512 = "sha3-512"
    BLAKE2B = "blake2b"
    BLAKE2S = "blake2s"
    CRC32 = "crc32"
    ADLER32 = "adler32"
    XXH3_64 = "xxh3-64"
    XXH3_128 = "xxh3-128"

    @classmethod
    def named(cls, spelling: str) -> Self:
        """Find the algorithm that a catalogue means.

        Case, blanks and punctuation do not matter, and the names of the usual programs count too:
        ``SHA-256``, ``sha_256``, ``sha256sum``, ``SHA2-256``, ``blake2b-512``, ``xxh128``.

        Args:
            spelling: the name as the catalogue has it.

        Raises:
            UnknownChecksumAlgorithm: for any other name, ambiguous ones ("SHA") included.
        """
        bare = bare_name(spelling)
        bare = _SYNONYMS.get(bare, bare)
        for algorithm in cls:
            if bare_name(algorithm.value) == bare:
                return algorithm
        raise UnknownChecksumAlgorithm(spelling)

    @property
    def start(self) -> StartsDigest:
        """The function that starts a running checksum of this algorithm."""
        return _STARTS[self]

    @property
    def digest_bytes(self) -> int:
        """Bytes of its raw digest."""
        return _DIGEST_BYTES[self]


class _Rolling:
    """A 32-bit checksum of zlib, with the interface of hashlib."""

    def __init__(
        self, step: Callable[[bytes | memoryview, int], int], seed: int, data: bytes | memoryview = b""
    ) -> None:
        self._step = step
        self._value = step(data, seed)

    def update(self, data: bytes | memoryview, /) -> None:
        self._value = self._step(data, self._value)

    def hexdigest(self) -> str:
        return f"{self._value:08x}"


def bare_name(spelling: str) -> str:
    """Write an algorithm's name in lower case, without blanks, punctuation, and a program's ``sum``."""
    return re.sub(r"[\s_\-./]+", "", spelling).lower().removesuffix("sum")


_SYNONYMS = MappingProxyType(
    {
        "sha2224": "sha224",
        "sha2256": "sha256",
        "sha2384": "sha384",
        "sha2512": "sha512",
        "blake2b512": "blake2b",
        "b2": "blake2b",
        "blake2s256": "blake2s",
        "xxh364bits": "xxh364",
        "xxh3": "xxh364",
        "xxh128": "xxh3128",
        "xxh3128bits": "xxh3128",
    }
)

# Integrity against accidents, not security: so md5 and sha1 must work on FIPS systems too.
_STARTS: MappingProxyType[ChecksumAlgorithm, StartsDigest] = MappingProxyType(
    {
        ChecksumAlgorithm.MD5: partial(hashlib.md5, usedforsecurity=False),
        ChecksumAlgorithm.SHA1: partial(hashlib.sha1, usedforsecurity=False),
        ChecksumAlgorithm.SHA224: hashlib.sha224,
        ChecksumAlgorithm.SHA256: hashlib.sha256,
        ChecksumAlgorithm.SHA384: hashlib.sha384,
        ChecksumAlgorithm.SHA512: hashlib.sha512,
        ChecksumAlgorithm.SHA3_224: hashlib.sha3_224,
        ChecksumAlgorithm.SHA3_256: hashlib.sha3_256,
        ChecksumAlgorithm.SHA3_384: hashlib.sha3_384,
        ChecksumAlgorithm.SHA3_512: hashlib.sha3_512,
        ChecksumAlgorithm.BLAKE2B: hashlib.blake2b,
        ChecksumAlgorithm.BLAKE2S: hashlib.blake2s,
        ChecksumAlgorithm.CRC32: partial(_Rolling, crc32, 0),
        ChecksumAlgorithm.ADLER32: partial(_Rolling, adler32, 1),
        ChecksumAlgorithm.XXH3_64: xxhash.xxh3_64,
        ChecksumAlgorithm.XXH3_128: xxhash.xxh3_128,
    }
)

_DIGEST_BYTES = MappingProxyType(
    {algorithm: len(start().hexdigest()) // 2 for algorithm, start in _STARTS.items()}
)
