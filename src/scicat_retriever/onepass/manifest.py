r"""The manifest of an archive: its members, written down while they go by, and sealed with a checksum.

A blob is ``SCRM1``, a line feed, the name of the checksum algorithm (of several, joined by ``+``) and a
line feed, then pages of up to 4096 members, fewer where their names are long. The blob of an archive that is
compressed, or several tars, begins with ``SCRM2`` instead, and has one more line before the pages: ``gzip``
or ``plain``, a blank, and how many tars.

A page is four little-endian 32-bit numbers (members, bytes of each of the three columns) and the columns:

- numbers, zlib: the kinds (one letter each, a capital for ``unsafe``), the sizes, the offsets (64 bits each);
- names, zlib: all names, then all link targets, each ended by a NUL, which no name holds; UTF-8 with
  surrogateescape;
- digests: the raw bytes of the files' digests (of several algorithms, one after the other for each file), not
  compressed, as they have no pattern.

The manifest seal is the sha256 of the blob; it is kept elsewhere, with the state that the manifest proves.
"""

import hashlib
import re
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

_MAGIC, _MAGIC_OF_OTHERS = b"SCRM1\n", b"SCRM2\n"
_OTHERS = re.compile(rb"(gzip|plain) ([1-9][0-9]{0,17})\n")
_PAGE = struct.Struct("<4I")
_MEMBERS_A_PAGE = 4096
_NAMES_A_PAGE = 1 << 20
"""Characters of names and link targets after which a page ends, so that long names are not held for long."""
_LETTERS = {
    MemberKind.FILE: "f",
    MemberKind.DIRECTORY: "d",
    MemberKind.SYMLINK: "s",
    MemberKind.HARDLINK: "h",
    MemberKind.LABEL: "l",
    MemberKind.OTHER: "o",
}
_KINDS = {letter: kind for kind, letter in _LETTERS.items()}
_FASTEST = 1
_LONGEST_HEAD = 200
"""The most bytes of a head line: the names of all algorithms together have fewer."""


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
    """A manifest that is being written, in about 50 bytes of memory for each member.

    Args:
        algorithm: the algorithm, or several, that the members' digests are made with.
    """

    def __init__(self, algorithm: ChecksumAlgorithm | Hashing) -> None:
        self._pages = [_MAGIC + str(algorithm).encode("ascii") + b"\n"]
        self._open: list[Member] = []
        self._open_names = 0
        self._members = 0

    def add(self, member: Member) -> None:
        """Write one member, after those before."""
        self._open.append(member)
        self._open_names += len(member.name) + len(member.link)
        if len(self._open) == _MEMBERS_A_PAGE or self._open_names >= _NAMES_A_PAGE:
            self._turn_page()

    def seal(self, *, gzip: bool = False, tars: int = 1) -> SealedManifest:
        """Finish the manifest; nothing may be added afterwards.

        Args:
            gzip: whether the archive is compressed.
            tars: how many tars follow on each other in it.
        """
        if self._open:
            self._turn_page()
        if gzip or tars > 1:
            head = self._pages[0].replace(_MAGIC, _MAGIC_OF_OTHERS, 1)
            self._pages[0] = head + b"%s %d\n" % (b"gzip" if gzip else b"plain", tars)
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
        hashing: the algorithms that the members' digests are made with.
        gzip: whether the archive is compressed; manifests of release 0.1 do not tell.
        tars: how many tars follow on each other in it.
    """

    hashing: Hashing
    _pages: memoryview
    gzip: bool = False
    tars: int = 1

    @property
    def in_place(self) -> bool:
        """Whether members lie in the archive at their offsets, and make a tar if they are cut out of it."""
        return not self.gzip and self.tars == 1

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
    if not blob.startswith((_MAGIC, _MAGIC_OF_OTHERS)) or not line:
        raise ManifestDamaged(f"not a manifest: it begins with {blob[:16]!r}")
    try:
        hashing = Hashing.parse(head.decode("ascii", "backslashreplace"))
    except UnknownChecksumAlgorithm as unknown:
        raise ManifestDamaged(f"the manifest names an {unknown}") from unknown
    begin = len(_MAGIC) + len(head) + 1
    if blob.startswith(_MAGIC):
        return Manifest(hashing, memoryview(blob)[begin:])
    others = _OTHERS.match(blob, begin)
    if others is None:
        raise ManifestDamaged(f"not a manifest: it goes on with {blob[begin : begin + 16]!r}")
    return Manifest(hashing, memoryview(blob)[others.end() :], others[1] == b"gzip", int(others[2]))


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
