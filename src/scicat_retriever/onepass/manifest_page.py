"""A page of a manifest: some members, written as columns; `onepass.manifest` says how."""

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from operator import sub
from typing import Literal

from zlib_ng import zlib_ng

from scicat_retriever.onepass.errors import ManifestDamaged
from scicat_retriever.onepass.member import Member, MemberKind

LETTERS = {
    MemberKind.FILE: "f",
    MemberKind.DIRECTORY: "d",
    MemberKind.SYMLINK: "s",
    MemberKind.HARDLINK: "h",
    MemberKind.LABEL: "l",
    MemberKind.OTHER: "o",
}
"""The letter that stands for each kind; a capital for a member that is ``unsafe``."""
_KINDS = {letter: kind for kind, letter in LETTERS.items()} | {
    letter.upper(): kind for kind, letter in LETTERS.items()
}
_HEAD = struct.Struct("<4I")
_FAST = 2  # level 1 of zlib-ng gives twice the bytes
_WORD, _CRC = 8, 4
_WORDS, _WORDS_WITH_CRC = 2, 4


@dataclass(frozen=True, slots=True)
class Page:
    """Some members that follow on each other, column by column: much faster to go through than members.

    All columns but `digests` are of the same length, one value for each member.

    Attributes:
        letters: kinds, by `LETTERS`.
        names: paths.
        sizes: bytes of content.
        offsets: where the content begins, in bytes.
        starts: where the headers begin, in bytes; zeros where the manifest has no CRC-32.
        crcs: the CRC-32 of each file; zeros where the manifest has none.
        mtimes: times of change, seconds since 1970 UTC; zeros where the manifest has no CRC-32.
        links: targets of links; else empty.
        digests: the raw digests of the files alone, one after the other.
    """

    letters: str
    names: list[str]
    sizes: "array[int]"
    offsets: "array[int]"
    starts: "array[int]"
    crcs: "array[int]"
    mtimes: "array[int]"
    links: list[str]
    digests: bytes

    def __len__(self) -> int:
        """Count the members."""
        return len(self.letters)

    def hexdigests(self) -> list[str]:
        """Give the digest of each member, in hexadecimal digits; empty for all that is no file."""
        digits = self.digests.hex()
        files = self.letters.lower().count("f")
        width = len(digits) // max(files, 1)
        each = iter([digits[at : at + width] for at in range(0, files * width, max(width, 1))])
        return [next(each, "") if letter in "fF" else "" for letter in self.letters]

    def members(self) -> Iterator[Member]:
        """Give the members, in their order."""
        return map(
            Member,
            self.names,
            [_KINDS[letter] for letter in self.letters],
            self.sizes,
            self.offsets,
            self.hexdigests(),
            self.links,
            map(str.isupper, self.letters),
            self.crcs,
            self.mtimes,
            self.starts,
        )


def packed_page(members: Sequence[Member]) -> tuple[bytes, bytes, bytes, bytes]:
    """Write members as the head and the three columns of a page.

    Args:
        members: in the order of the archive, in which contents never begin before those of earlier members.
    """
    names, kinds, sizes, offsets, digests, links, unsafe, crcs, mtimes, starts = zip(*members, strict=True)
    letters = "".join(map(LETTERS.__getitem__, kinds))
    if any(unsafe):
        letters = "".join(
            letter.upper() if danger else letter for letter, danger in zip(letters, unsafe, strict=True)
        )
    text = "\0".join((*names, *links, ""))
    numbers = (sizes, list(map(sub, offsets, (0, *offsets))), list(map(sub, offsets, starts)), mtimes)
    columns = (
        zlib_ng.compress(letters.encode("ascii") + b"".join(_packed("Q", each) for each in numbers), _FAST),
        zlib_ng.compress(text.encode("utf-8", "surrogateescape"), _FAST),
        _packed("I", crcs) + bytes.fromhex("".join(digests)),
    )
    return (_HEAD.pack(len(members), *map(len, columns)), *columns)


def places_of_pages(pages: memoryview) -> list[int]:
    """Find where each page begins.

    Raises:
        ManifestDamaged: the pages do not end where the manifest ends.
    """
    places, at = [], 0
    while at < len(pages):
        places.append(at)
        if at + _HEAD.size > len(pages):
            break
        at += _HEAD.size + sum(_HEAD.unpack_from(pages, at)[1:])
    if at != len(pages):
        raise ManifestDamaged(f"the manifest's last page is not whole: {len(pages)} bytes, not {at}")
    return places


def read_page(pages: memoryview, at: int, *, has_crc: bool) -> Page:
    """Read the page that begins at a position.

    Args:
        pages: all pages.
        at: the position.
        has_crc: whether the page has the columns that came with `SCRM3`.

    Raises:
        ManifestDamaged: it is no page.
    """
    count, *lengths = _HEAD.unpack_from(pages, at)
    stops = list(accumulate(lengths, initial=at + _HEAD.size))
    columns = [pages[start:stop] for start, stop in pairwise(stops)]
    try:
        return _read(count, columns, has_crc=has_crc)
    except (zlib_ng.error, ValueError, OverflowError) as broken:  # type: ignore[misc] # its stub has an instance
        raise ManifestDamaged(f"the page at byte {at} of the manifest cannot be read: {broken}") from broken


def _read(count: int, columns: Sequence[memoryview], *, has_crc: bool) -> Page:
    numbers, names, digests = columns
    unpacked = zlib_ng.decompress(numbers)
    words = _WORDS_WITH_CRC if has_crc else _WORDS
    if len(unpacked) != count * (1 + words * _WORD):
        raise ValueError(f"{len(unpacked)} bytes of numbers for {count} members")
    letters = unpacked[:count].decode("ascii")
    if letters.strip("".join(_KINDS)):
        raise ValueError(f"kinds {letters[:20]!r}")
    sizes, offsets, *more = (
        _unpacked("Q", unpacked[at : at + count * _WORD]) for at in range(count, len(unpacked), count * _WORD)
    )
    texts = zlib_ng.decompress(names).decode("utf-8", "surrogateescape").split("\0")
    if len(texts) != 2 * count + 1:
        raise ValueError(f"{len(texts)} names for {count} members")
    starts = mtimes = array("Q", bytes(count * _WORD))
    crcs = array("I", bytes(count * _CRC))
    if has_crc:
        offsets = array("Q", accumulate(offsets))
        starts, mtimes = array("Q", map(sub, offsets, more[0])), more[1]
        crcs, digests = _unpacked("I", digests[: count * _CRC]), digests[count * _CRC :]
    return Page(
        letters, texts[:count], sizes, offsets, starts, crcs, mtimes, texts[count : 2 * count], bytes(digests)
    )


def _packed(kind: Literal["Q", "I"], values: Sequence[int]) -> bytes:
    numbers = array(kind, values)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers.tobytes()


def _unpacked(kind: Literal["Q", "I"], packed: bytes | memoryview) -> "array[int]":
    numbers = array(kind, bytes(packed))
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
