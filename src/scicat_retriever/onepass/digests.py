"""Digests as catalogues write them: the algorithm of each, and its digits.

A catalogue names one algorithm for many files, and often only a family of algorithms: ``sha2``, as in
SciCat's own example, or ``sha``. Then the length of each digest decides. Digits are hexadecimal or, as iRODS
writes them (``sha2:LPJNul+wow4=``), base64.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Self

from scicat_retriever.onepass.checksums import ChecksumAlgorithm, Digester, StartsDigest, bare_name
from scicat_retriever.onepass.errors import UnknownChecksumAlgorithm

LONGEST_DIGEST = 300
"""The most characters of a digest that are read; the longest known one has 128 hexadecimal digits."""
_BYTES_OF_32_BITS = 4
_HEX = re.compile(r"(?:0[xX])?([0-9a-fA-F]+)\Z")
_BASE64 = re.compile(r"[0-9A-Za-z+/_-]+={0,2}\Z")
_URL_SAFE = str.maketrans("-_", "+/")

_SHA2 = (
    ChecksumAlgorithm.SHA224,
    ChecksumAlgorithm.SHA256,
    ChecksumAlgorithm.SHA384,
    ChecksumAlgorithm.SHA512,
)
_SHA3 = (
    ChecksumAlgorithm.SHA3_224,
    ChecksumAlgorithm.SHA3_256,
    ChecksumAlgorithm.SHA3_384,
    ChecksumAlgorithm.SHA3_512,
)
_FAMILIES: MappingProxyType[str, tuple[ChecksumAlgorithm, ...]] = MappingProxyType(
    {
        "sha": (ChecksumAlgorithm.SHA1, *_SHA2),
        "sha2": _SHA2,
        "sha3": _SHA3,
        "blake2": (ChecksumAlgorithm.BLAKE2B, ChecksumAlgorithm.BLAKE2S),
        "xxh3": (ChecksumAlgorithm.XXH3_64, ChecksumAlgorithm.XXH3_128),
        "adler": (ChecksumAlgorithm.ADLER32,),
        "crc": (ChecksumAlgorithm.CRC32,),
    }
)
"""Names of families, as `bare_name` gives them. No two of a family have digests of one length."""


def algorithms_named(spelling: str) -> tuple[ChecksumAlgorithm, ...]:
    """Give the algorithms that a catalogue can mean by a name.

    That is one algorithm, or those of a family (``sha2``, ``SHA``, ``adler``).

    Args:
        spelling: the name as the catalogue has it; see `ChecksumAlgorithm.named`.

    Raises:
        UnknownChecksumAlgorithm: for any other name.
    """
    family = _FAMILIES.get(bare_name(spelling))
    return (ChecksumAlgorithm.named(spelling),) if family is None else family


@dataclass(frozen=True, slots=True)
class Digest:
    """A catalogued digest that was understood.

    Attributes:
        algorithm: the algorithm that made it.
        digits: lower-case hexadecimal digits, all of them.
    """

    algorithm: ChecksumAlgorithm
    digits: str

    @classmethod
    def read(cls, catalogued: str, named: Sequence[ChecksumAlgorithm]) -> Self | None:
        """Read a digest as a catalogue has it.

        None where its length and alphabet fit no algorithm of `named`.

        It may have blanks around it, ``0x`` before it, and be in either case. A prefix such as ``sha256:``
        that names an algorithm which fits decides; any other is passed over. 32-bit checksums may lack their
        leading zeros. Base64 is taken in both alphabets, with padding or, of more than 32 bits, without.

        Args:
            catalogued: the digest as the catalogue has it.
            named: the algorithms that the catalogue may mean, from `algorithms_named`.
        """
        if len(catalogued) > LONGEST_DIGEST:
            return None
        head, _, text = (part.strip() for part in catalogued.rpartition(":"))
        for meant in (_prefixed(head.rpartition(":")[2]), named):
            for digits_in in (_hexadecimal, _base64):
                for algorithm in meant:
                    if (digits := digits_in(text, algorithm.digest_bytes)) is not None:
                        return cls(algorithm, digits)
        return None


@dataclass(frozen=True, slots=True)
class Hashing:
    """The algorithms that each member is hashed with, all in the same pass.

    A member's digest is the digests of all algorithms, one after the other. Written as ``sha256+sha512``.

    Attributes:
        algorithms: one or more, each once.
    """

    algorithms: tuple[ChecksumAlgorithm, ...]

    @classmethod
    def of(cls, algorithms: Iterable[ChecksumAlgorithm]) -> Self:
        """Make it of these algorithms, in one fixed order."""
        wanted = set(algorithms)
        return cls(tuple(algorithm for algorithm in ChecksumAlgorithm if algorithm in wanted))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Undo `str`.

        Raises:
            UnknownChecksumAlgorithm: it names an algorithm that is not known.
        """
        return cls(tuple(ChecksumAlgorithm.named(name) for name in text.split("+")))

    def __str__(self) -> str:
        """Show their names."""
        return "+".join(self.algorithms)

    @property
    def start(self) -> StartsDigest:
        """The function that starts a running checksum of all algorithms."""
        one, *more = self.algorithms
        return partial(_SideBySide, self.algorithms) if more else one.start

    def and_also(self, further: Self | None) -> Self:
        """Give these algorithms, and behind them those of `further` that are not among them."""
        more = () if further is None else further.algorithms
        return type(self)((*self.algorithms, *(each for each in more if each not in self.algorithms)))

    def part(self, digest: str, algorithm: ChecksumAlgorithm) -> str | None:
        """Give one algorithm's part of a member's digest; None where the member was not hashed with it."""
        place = self.place(algorithm)
        return None if place is None else digest[place]

    def place(self, algorithm: ChecksumAlgorithm) -> slice | None:
        """Say where one algorithm's part of a member's digest is; None where none is hashed with it."""
        at = 0
        for each in self.algorithms:
            length = 2 * each.digest_bytes
            if each is algorithm:
                return slice(at, at + length)
            at += length
        return None


class _SideBySide:
    """Several running checksums with the interface of one."""

    def __init__(self, algorithms: Sequence[ChecksumAlgorithm], data: bytes | memoryview = b"") -> None:
        self._digesters: list[Digester] = [algorithm.start(data) for algorithm in algorithms]

    def update(self, data: bytes | memoryview, /) -> None:
        for digester in self._digesters:
            digester.update(data)

    def hexdigest(self) -> str:
        return "".join(digester.hexdigest() for digester in self._digesters)


def _prefixed(name: str) -> tuple[ChecksumAlgorithm, ...]:
    try:
        return algorithms_named(name)
    except UnknownChecksumAlgorithm:
        return ()


def _hexadecimal(text: str, size: int) -> str | None:
    found = _HEX.match(text)
    if found is None:
        return None
    digits = found[1].lower()
    if size == _BYTES_OF_32_BITS:
        digits = digits.zfill(2 * size)
    return digits if len(digits) == 2 * size else None


def _base64(text: str, size: int) -> str | None:
    # Hexadecimal digits are also base64, of other bytes: a text of hexadecimal digits alone is never read as
    # base64, but is hexadecimal of a wrong length.
    if not _BASE64.match(text) or _HEX.match(text) or (size == _BYTES_OF_32_BITS and text[-1] != "="):
        return None
    bare = text.rstrip("=").translate(_URL_SAFE)
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        return None
    return decoded.hex() if len(decoded) == size else None
