r"""The manifest of an archive: its members, written down while they go by, and sealed with a checksum.

A blob is ``SCRM1``, a line feed, the name of the checksum algorithm (of several, joined by ``+``) and a line feed, then pages of up to 4096 members,
fewer where their names are long.
A page is four little-endian 32-bit numbers (members, bytes of each of the three columns) and the columns:

- numbers, zlib: the kinds (one letter each, a capital for ``unsafe``), the sizes, the offsets (64 bits each);
- names, zlib: all names, then all link targets, each ended by a NUL, which no name holds; UTF-8 with surrogateescape;
- digests: the raw bytes of the files' digests (of several algorithms, one after the other for each file), not compressed, as they
  have no pattern.

The seal is the sha256 of the blob; it is kept elsewhere, with the state that the manifest proves.
"""

import hashlib
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import ManifestDamaged, UnknownChecksumAlgorithm
from scicat_retriever.onepass.member import Member, MemberKind

_MAGIC = b"SCRM1\n"
_PAGE = struct.Struct("<4I")
_MEMBERS_A_PAGE = 4096
_NAMES_A_PAGE = 1 << 20
"""Characters of names and link targets after which a page is turned, so that long names are not held for long."""
_LETTERS = {
    MemberKind.FILE: "f",
    MemberKind.DIRECTORY: "d",
    MemberKind.SYMLINK: "s",
    MemberKind.HARDLINK: "h",
    MemberKind.OTHER: "o",
}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_FASTEST = 1
_LONGEST_HEAD = 200
"""Bytes: the names of all algorithms have fewer together."""


@dataclass(frozen=True, slots=True)
class SealedManifest:
    """A finished manifest.

    Attributes:
        blob: its bytes.
        seal: the sha256 of the blob, in hexadecimal digits.
        members: how many members it lists.
    """

    blob: bytes
    seal: str
    members: int


class ManifestWriter:
    """Writes members down, in about 50 bytes of memory each.

    Args:
        algorithm: what the digests of the members are made with.
    """

    def __init__(self, algorithm: ChecksumAlgorithm | Hashing) -> None:
        self._pages = [_MAGIC + str(algorithm).encode("ascii") + b"\n"]
        self._open: list[Member] = []
        self._open_names = 0
        self._members = 0

    def add(self, member: Member) -> None:
        """Write one member down, after those before."""
        self._open.append(member)
        self._open_names += len(member.name) + len(member.link)
        if len(self._open) == _MEMBERS_A_PAGE or self._open_names >= _NAMES_A_PAGE:
            self._turn_page()

    def seal(self) -> SealedManifest:
        """Finish; nothing may be added afterwards."""
        if self._open:
            self._turn_page()
        blob = b"".join(self._pages)
        return SealedManifest(blob, hashlib.sha256(blob).hexdigest(), self._members)

    def _turn_page(self) -> None:
        names, kinds, sizes, offsets, digests, links, unsafe = zip(*self._open, strict=True)
        letters = "".join(
            _LETTERS[kind].upper() if danger else _LETTERS[kind]
            for kind, danger in zip(kinds, unsafe, strict=True)
        )
        text = "\0".join((*names, *links, ""))
        columns = (
            zlib.compress(letters.encode("ascii") + _packed(sizes) + _packed(offsets), _FASTEST),
            zlib.compress(text.encode("utf-8", "surrogateescape"), _FASTEST),
            bytes.fromhex("".join(digests)),
        )
        self._members += len(self._open)
        self._pages.append(_PAGE.pack(len(self._open), *map(len, columns)))
        self._pages.extend(columns)
        self._open.clear()
        self._open_names = 0


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose seal held.

    Attributes:
        hashing: what the digests of the members are made with.
    """

    hashing: Hashing
    _pages: memoryview

    def members(self) -> Iterator[Member]:
        """Give the members in the order of the archive; each call begins anew. Memory: one page."""
        at = 0
        while at < len(self._pages):
            count, *lengths = _PAGE.unpack_from(self._pages, at)
            at += _PAGE.size
            columns = []
            for length in lengths:
                columns.append(self._pages[at : at + length])
                at += length
            yield from _read_page(count, *columns)


def read_manifest(blob: bytes, seal: str) -> Manifest:
    """Open a manifest, once its bytes are proved to be those that were sealed.

    Args:
        blob: the bytes of :attr:`SealedManifest.blob`.
        seal: the sha256 that they were sealed with, in hexadecimal digits.

    Raises:
        ManifestDamaged: the bytes are not those that were sealed, or are no manifest.
    """
    seen = hashlib.sha256(blob).hexdigest()
    if seen != seal:
        raise ManifestDamaged(f"the manifest's sha256 is {seen}, sealed was {seal[:64]}")
    head, line, _ = blob[len(_MAGIC) : len(_MAGIC) + _LONGEST_HEAD].partition(b"\n")
    if not blob.startswith(_MAGIC) or not line:
        raise ManifestDamaged(f"not a manifest: it begins with {blob[:16]!r}")
    try:
        hashing = Hashing.parse(head.decode("ascii", "backslashreplace"))
    except UnknownChecksumAlgorithm as unknown:
        raise ManifestDamaged(f"the manifest names an {unknown}") from unknown
    return Manifest(hashing, memoryview(blob)[len(_MAGIC) + len(head) + 1 :])


def _read_page(count: int, numbers: memoryview, names: memoryview, digests: memoryview) -> Iterator[Member]:
    unpacked = zlib.decompress(numbers)
    letters = unpacked[:count].decode("ascii")
    sizes, offsets = _unpacked(unpacked[count : 9 * count]), _unpacked(unpacked[9 * count :])
    texts = zlib.decompress(names).decode("utf-8", "surrogateescape").split("\0")
    files = letters.lower().count("f")
    width = 2 * len(digests) // max(files, 1)
    digits = digests.hex()
    at = 0
    for index, letter in enumerate(letters):
        kind = _KINDS[letter.lower()]
        digest = ""
        if kind is MemberKind.FILE:
            digest = digits[at : at + width]
            at += width
        link = texts[count + index]
        yield Member(texts[index], kind, sizes[index], offsets[index], digest, link, letter.isupper())


def _packed(values: tuple[int, ...]) -> bytes:
    numbers = array("Q", values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(packed: bytes) -> "array[int]":
    numbers = array("Q", packed)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
