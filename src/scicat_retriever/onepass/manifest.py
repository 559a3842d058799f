r"""The manifest of an archive: its members, written down while they go by, and sealed with a checksum.

A blob begins with three lines, each ended by a line feed:

- ``SCRM3``;
- the name of the checksum algorithm of the members (of several, joined by ``+``);
- five words with blanks between them: ``plain``, or ``gzip`` for an archive that is compressed, or
  ``unpacked`` for a compressed one of which the tar is staged; how many tars follow on each other; the
  members; the bytes of the staged file; the algorithms of its pieces' digests (`onepass.pieces`), joined by
  ``+``.

Then come the digests of the pieces, of all pieces by each algorithm in turn, then pages of up to 4096
members, fewer where their names are long. A page is four little-endian 32-bit numbers (members, bytes of each
of the three columns) and the columns:

- numbers, zlib: the kinds (one letter each, a capital for ``unsafe``), then, of 64 bits each, the sizes, how
  far each content begins behind that of the member before (of a page's first one: behind the archive's
  start), the bytes of headers before each content, the times of change;
- names, zlib: all names, then all link targets, each ended by a NUL, which no name holds; UTF-8 with
  surrogateescape;
- digests: the CRC-32 of all members, of 32 bits each, then the raw bytes of the files' digests (of several
  algorithms, one after the other for each file), not compressed, as they have no pattern.

Earlier releases wrote ``SCRM1``: no third line, no pieces, and in its pages neither headers, times nor
CRC-32, and the places of contents as they are. ``SCRM2`` is that with a third line of two words: ``gzip`` or
``plain``, and how many tars.

The manifest seal is the sha256 of the blob; it is kept elsewhere, with the state that the manifest proves.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, overload

from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import ManifestDamaged, UnknownChecksumAlgorithm
from scicat_retriever.onepass.manifest_page import Page, packed_page, places_of_pages, read_page
from scicat_retriever.onepass.member import Member
from scicat_retriever.onepass.pieces import Pieces, pieces_of

_MAGIC = re.compile(rb"SCRM([123])\n")
_THIRD_LINES = {
    1: re.compile(rb"()()"),
    2: re.compile(rb"(gzip|plain) ([1-9][0-9]{0,17})\n"),
    3: re.compile(
        rb"(gzip|plain|unpacked) ([1-9][0-9]{0,17}) ([0-9]{1,18}) ([0-9]{1,18}) ([0-9a-z+-]{0,200})\n"
    ),
}
_FIRST_WITH_CRC = 3
_MEMBERS_A_PAGE = 4096
_NAMES_A_PAGE = 1 << 20
"""Characters of names and link targets after which a page ends, so that long names are not held for long."""
_LONGEST_HEAD = 200
"""The most bytes of the line with the algorithms: the names of all of them together have fewer."""
LONGEST_BEGIN = len(b"SCRM3\n") + _LONGEST_HEAD
"""Bytes of a manifest's beginning that name the algorithms."""

Stored = Literal["plain", "gzip", "unpacked"]
"""How an archive is kept: as a tar; compressed; or compressed in the store, and staged as its tar."""


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
    """A manifest that is being written, in about 55 bytes of memory for each member.

    Args:
        algorithm: the algorithm, or several, that the members' digests are made with.
    """

    def __init__(self, algorithm: ChecksumAlgorithm | Hashing) -> None:
        self._algorithm = algorithm
        self._pages: list[bytes] = []
        self._open: list[Member] = []
        self._open_names = 0
        self._members = 0

    def add(self, member: Member) -> None:
        """Write one member, after those before."""
        self._open.append(member)
        self._open_names += len(member.name) + len(member.link)
        if len(self._open) == _MEMBERS_A_PAGE or self._open_names >= _NAMES_A_PAGE:
            self._turn_page()

    def seal(
        self,
        *,
        stored: Stored = "plain",
        tars: int = 1,
        pieces: Pieces = Pieces(),  # noqa: B008 - frozen
    ) -> SealedManifest:
        """Finish the manifest; nothing may be added afterwards.

        Args:
            stored: how the archive is kept.
            tars: how many tars follow on each other in it.
            pieces: the pieces of the staged file.
        """
        if self._open:
            self._turn_page()
        hashing = Hashing(tuple(pieces.digests))
        head = f"SCRM3\n{self._algorithm}\n{stored} {tars} {self._members} {pieces.size} {hashing}\n"
        blob = b"".join((head.encode("ascii"), *pieces.digests.values(), *self._pages))
        return SealedManifest(blob, hashlib.sha256(blob).hexdigest(), self._members)

    def _turn_page(self) -> None:
        self._pages.extend(packed_page(self._open))
        self._members += len(self._open)
        self._open.clear()
        self._open_names = 0


@dataclass(frozen=True, slots=True)
class Pages(Sequence[Page]):
    """The pages of a manifest, each read when it is asked for.

    Attributes:
        has_crc: whether they tell of CRC-32, headers and times.
    """

    has_crc: bool
    _bytes: memoryview
    _places: Sequence[int]

    def __len__(self) -> int:
        """Count the pages."""
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Page: ...

    @overload
    def __getitem__(self, index: slice) -> "Pages": ...

    def __getitem__(self, index: "int | slice") -> "Page | Pages":
        """Read one page; or choose some, which reads none.

        Raises:
            IndexError: there is no such page.
            ManifestDamaged: it cannot be read.
        """
        if isinstance(index, slice):
            return Pages(self.has_crc, self._bytes, self._places[index])
        return read_page(self._bytes, self._places[index], has_crc=self.has_crc)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest whose seal held.

    Attributes:
        hashing: the algorithms that the members' digests are made with.
        pages: its members, page by page.
        stored: how the archive is kept; manifests of release 0.1 say ``plain`` of all.
        tars: how many tars follow on each other in it.
        pieces: the pieces of the staged file; None where the manifest does not tell.
    """

    hashing: Hashing
    pages: Pages
    stored: Stored = "plain"
    tars: int = 1
    pieces: Pieces | None = field(default=None, repr=False)

    @property
    def has_crc(self) -> bool:
        """Whether it tells the CRC-32, the time and the first header of each member, and pieces.

        If not, these are 0 for all members: not known.
        """
        return self.pages.has_crc

    @property
    def in_place(self) -> bool:
        """Whether members lie in the stored archive at their offsets, and make a tar if they are cut out."""
        return self.stored == "plain" and self.tars == 1

    @property
    def in_staged(self) -> bool:
        """Whether the contents of members lie in the staged file at their offsets."""
        return self.stored != "gzip"

    def page(self, index: int) -> list[Member]:
        """Give the members of one page; see `Pages`."""
        return list(self.pages[index].members())

    def members(self) -> Iterator[Member]:
        """Give the members in the order of the archive; each call begins anew. Memory: one page."""
        for page in self.pages:
            yield from page.members()


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
    magic = _MAGIC.match(blob)
    if magic is None:
        raise ManifestDamaged(f"not a manifest: it begins with {blob[:16]!r}")
    version, begin = int(magic[1]), magic.end()
    head, line, _ = blob[begin : begin + _LONGEST_HEAD].partition(b"\n")
    begin += len(head) + 1
    third = _THIRD_LINES[version].match(blob, begin)
    if not line or third is None:
        raise ManifestDamaged(f"not a manifest: it goes on with {blob[begin : begin + 16]!r}")
    words, begin = [word.decode("ascii") for word in third.groups()], third.end()
    pieces = None
    if version >= _FIRST_WITH_CRC:
        pieces, begin = _read_pieces(blob, begin, int(words[3]), words[4])
    rest = memoryview(blob)[begin:]
    pages = Pages(version >= _FIRST_WITH_CRC, rest, places_of_pages(rest))
    stored: Stored = "gzip" if words[0] == "gzip" else "unpacked" if words[0] == "unpacked" else "plain"
    return Manifest(_hashing(head), pages, stored, int(words[1] or 1), pieces)


def algorithms_in(begin: bytes) -> str:
    """Tell what members were hashed with, as `Hashing` writes it, from the beginning of a manifest's bytes.

    Nothing is proved by that, as no seal is looked at. Empty for what is no manifest.

    Args:
        begin: at least `LONGEST_BEGIN` bytes, or all that there are.
    """
    magic = _MAGIC.match(begin)
    head, _, _ = begin[magic.end() :].partition(b"\n") if magic else (b"", b"", b"")
    return head[:_LONGEST_HEAD].decode("ascii", "replace")


def _read_pieces(blob: bytes, begin: int, size: int, names: str) -> tuple[Pieces, int]:
    """Read the digests of the pieces; gives them, and where they end."""
    digests = {}
    for algorithm in _hashing(names.encode("ascii")).algorithms if names else ():
        length = pieces_of(size) * algorithm.digest_bytes
        digests[algorithm] = blob[begin : begin + length]
        begin += length
    if begin > len(blob):
        raise ManifestDamaged(f"the manifest ends in the digests of the pieces of {size} bytes")
    return Pieces(size, digests), begin


def _hashing(names: bytes) -> Hashing:
    try:
        return Hashing.parse(names.decode("ascii", "backslashreplace"))
    except UnknownChecksumAlgorithm as unknown:
        raise ManifestDamaged(f"the manifest names an {unknown}") from unknown
