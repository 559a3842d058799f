"""The walk through a tar as its bytes come by: every member named, every file hashed, nothing read twice.

What is taken and what is refused:

- An archive must end with two blocks of zeros; only zeros may follow. One that stops anywhere before, be it
  between two members, is truncated. (GNU tar and ``tarfile`` accept both faults in silence: bytes that no
  checksum covers, or members that nobody misses.) Only whoever knows from elsewhere that nothing is cut off
  may have it taken without that end; and only where that is wanted, another tar may follow.
- Links, directories and devices have no content, whatever their size field says (as POSIX has it).
- Type flags that are not known are OTHER, and their content is passed over.
- A regular file of an old tar whose name ends in ``/`` is a directory.
- What GNU tar, bsdtar and Python's ``tarfile`` would unpack in different ways is refused: a fuzzer compares
  them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from zlib_ng.zlib_ng import crc32

from scicat_retriever.onepass.checksums import Digester, StartsDigest
from scicat_retriever.onepass.errors import (
    AnotherTar,
    BadHeader,
    GnuIncremental,
    TooManyMembers,
    TrailingGarbage,
    TruncatedArchive,
)
from scicat_retriever.onepass.member import Member, MemberKind, is_unsafe, tidy_name
from scicat_retriever.onepass.tar.extensions import EXTENSION_TYPES, Extensions
from scicat_retriever.onepass.tar.foreign_formats import refuse_alike, refuse_foreign
from scicat_retriever.onepass.tar.header import BLOCK, Header, padding_after, read_header
from scicat_retriever.onepass.tar.kinds import FILE_TYPES, content_bytes, kind_of_other
from scicat_retriever.onepass.tar.rules import TarRules

_FILE = MemberKind.FILE  # the look-up in the enumeration costs as much as a hash of 200 bytes
_new = tuple.__new__  # half the time of calling the class
_SHORT_NAME = 256
_NO_FILE_NAME = (b"/", b"/.")
_FEW_RECORDS = 64
_STRIDE = 256 << 10
"""Bytes of content that are hashed at once: few enough to be in the processor's cache for the CRC-32, too."""


class StartsDigests(Protocol):
    """A checksum algorithm, or several in the same pass."""

    @property
    def start(self) -> StartsDigest:
        """The function that starts a running checksum."""
        ...


@dataclass(slots=True)
class MemberCounts:
    """How many members of each kind a tar has."""

    files: int = 0
    directories: int = 0
    symlinks: int = 0
    hardlinks: int = 0
    others: int = 0

    @property
    def members(self) -> int:
        """The sum over all kinds."""
        return self.files + self.directories + self.symlinks + self.hardlinks + self.others


def members_allowance(files: int) -> int:
    """Give the most members of an honest tar with so many declared files, folders and links included.

    See `TarWalker`'s ``most_members`` for how they are counted.
    """
    return 4 * files + 100_000


class TarWalker:
    """Walks one tar, fed in pieces of any length.

    Args:
        algorithm: the algorithm that files are hashed with, or several in the same pass.
        on_member: gets each member once the last byte of its content was seen, in the order of the archive.
        most_members: members that the tar may have; looked at after each piece that is fed. A long name
            counts as one more for every 256 bytes, so that this bounds the memory that all names take, and 64
            pax records count as one more. None for any number.
        rules: what is accepted beyond what every program unpacks alike.
        crc: whether the CRC-32 of files is computed; else it is given as 0.

    Attributes:
        tars: how many tars follow on each other, so far.
    """

    def __init__(
        self,
        algorithm: StartsDigests,
        on_member: Callable[[Member], None],
        most_members: int | None = None,
        rules: TarRules = TarRules(),  # noqa: B008 - frozen
        *,
        crc: bool = True,
    ) -> None:
        self._start_digest = algorithm.start
        self._crc32: Callable[[memoryview, int], int] = crc32 if crc else _no_crc32
        self._on_member = on_member
        self._most_members = most_members
        self._rules = rules
        self.tars = 1
        self._counted_for_names = 0
        self._counts = MemberCounts()
        self._extensions = Extensions()
        self._step: Callable[[memoryview, int], int] = self._header_step
        self._base = 0
        self._wanted = 0
        self._held = bytearray()
        self._header = Header(b"", b"", 0, b"")
        self._digester: Digester | None = None
        self._crc = self._start = self._described_from = 0
        self._content_offset = 0
        self._lone_zero_block = False

    @property
    def offset(self) -> int:
        """Bytes walked so far."""
        return self._base

    def feed(self, chunk: memoryview) -> None:
        """Walk the next bytes; they may be overwritten afterwards.

        Args:
            chunk: a view of single bytes.

        Raises:
            TarFault: the tar cannot be trusted.
        """
        at, end = 0, len(chunk)
        while at < end:
            at = self._step(chunk, at)
        self._base += end
        counted = self._counts.members + self._counted_for_names + self._extensions.records // _FEW_RECORDS
        if self._most_members is not None and counted > self._most_members:
            raise TooManyMembers(
                f"{self._counts.members} members before offset {self._base}, counted as {counted} for their headers; "
                f"{self._most_members} is the most"
            )

    def finish(self, *, needs_marker: bool = True) -> MemberCounts:
        """End the tar: no more bytes come.

        Args:
            needs_marker: whether a tar without its end-of-archive marker, or with a half of it, counts as
                truncated. If not, a tar without it must stop behind a whole member.

        Raises:
            TruncatedArchive: the tar is truncated.
            NotATar: the bytes are of another known format.
        """
        if self._step == self._ended_step:
            return self._counts
        between = self._step == self._header_step and not any(self._held) and not self._extensions.pending
        if between and self._counts.members and not needs_marker:
            return self._counts
        if self._base == len(self._held):
            refuse_foreign(bytes(self._held))
        if self._step == self._header_step:
            where = f"without an end-of-archive marker after {self._counts.files} files"
        else:
            where = f"{self._wanted} bytes short inside the member {self._header.shown()}"
        raise TruncatedArchive(f"the tar ends at offset {self._base}, {where}")

    def _header_step(self, chunk: memoryview, at: int) -> int:
        after = at + BLOCK - len(self._held)
        if after > len(chunk):
            self._held += chunk[at:]
            return len(chunk)
        offset = self._base + after - BLOCK
        if offset == 0:
            header = self._first_header(chunk[at:after])
        elif self._held:
            header = self._read_held(chunk[at:after], offset)
        else:
            header = read_header(chunk, at, offset)
        if header is None or self._lone_zero_block:
            if header is None or not self._rules.joined:
                self._end(header, offset)
                return after
            self._begin_next_tar()
        if header[0] in EXTENSION_TYPES:
            return self._begin_extension(header, after, len(chunk))
        start = offset
        if self._extensions.alters:
            start = self._described_from if self._extensions.pending else offset
            header = self._extensions.apply(header, offset)
            self._counted_for_names += (len(header.name) + len(header.link)) // _SHORT_NAME
        kind, name, _, _, _, stray, _ = header  # in half the time of asking for each
        if stray or not name:
            self._refuse_odd_name(header, offset)
        if kind in FILE_TYPES and not name.endswith(_NO_FILE_NAME):
            return self._begin_file(header, start, chunk, after)
        return self._begin_other(header, start, offset, after, len(chunk))

    def _first_header(self, rest: memoryview) -> Header | None:
        """Read the header by whose first bytes programs tell what the file is."""
        block = bytes(self._held) + bytes(rest)
        try:
            header = self._read_held(rest, 0)
        except BadHeader:
            refuse_foreign(block)
            raise
        refuse_alike(block)
        return header

    def _read_held(self, rest: memoryview, offset: int) -> Header | None:
        """Read a header that came in pieces."""
        self._held += rest
        header = read_header(bytes(self._held), 0, offset)
        self._held.clear()
        return header

    def _refuse_odd_name(self, header: Header, offset: int) -> None:
        if not header.name:
            raise BadHeader(f"the member at offset {offset} has no name")
        if not self._rules.gnu_incremental:
            raise GnuIncremental(
                f"the member {header.shown()} at offset {offset} has something else (tar --incremental: times) where "
                "Python's tarfile looks for the start of its path"
            )

    def _begin_file(self, header: Header, start: int, chunk: memoryview, after: int) -> int:
        size = header.size
        end = after + size
        offset = self._base + after
        self._header = header
        follows = end + -size % BLOCK
        if follows <= len(chunk) and size <= _STRIDE:
            content = chunk[after:end]
            self._emit_file(header, start, offset, self._start_digest(content), self._crc32(content, 0))
            return follows
        self._start, self._content_offset = start, offset
        self._digester, self._crc = self._start_digest(), 0
        self._wanted = size
        self._step = self._content_step
        return after

    def _content_step(self, chunk: memoryview, at: int) -> int:
        if self._digester is None:
            raise AssertionError
        end = min(at + self._wanted, len(chunk))
        for begin in range(at, end, _STRIDE):
            content = chunk[begin : min(begin + _STRIDE, end)]
            self._digester.update(content)
            self._crc = self._crc32(content, self._crc)
        self._wanted -= end - at
        if not self._wanted:
            self._emit_file(self._header, self._start, self._content_offset, self._digester, self._crc)
            return self._skip(end, padding_after(self._header.size), len(chunk))
        return end

    def _emit_file(self, header: Header, start: int, offset: int, digester: Digester, crc: int) -> None:
        _, raw, size, _, _, _, mtime = header
        name = tidy_name(raw.decode("utf-8", "surrogateescape"))
        self._counts.files += 1
        digest, unsafe = digester.hexdigest(), is_unsafe(name)
        self._on_member(_new(Member, (name, _FILE, size, offset, digest, "", unsafe, crc, mtime, start)))

    def _begin_other(self, header: Header, start: int, offset: int, after: int, end: int) -> int:
        self._header, self._start = header, start
        kind = kind_of_other(header, offset, self._rules, after_pax=self._extensions.pax)
        content = content_bytes(header)
        self._emit_other(kind, offset + BLOCK, content if kind is MemberKind.DIRECTORY else 0)
        return self._skip(after, content + padding_after(content), end)

    def _emit_other(self, kind: MemberKind, offset: int, size: int) -> None:
        name = tidy_name(self._header.name.decode("utf-8", "surrogateescape"))
        link, unsafe = "", is_unsafe(name)
        if kind is MemberKind.DIRECTORY:
            self._counts.directories += 1
        elif kind is MemberKind.SYMLINK:
            self._counts.symlinks += 1
            link = self._header.link.decode("utf-8", "surrogateescape")
        elif kind is MemberKind.HARDLINK:
            self._counts.hardlinks += 1
            link = tidy_name(self._header.link.decode("utf-8", "surrogateescape"))
            unsafe = unsafe or is_unsafe(link)
        else:
            self._counts.others += 1
        mtime, start = self._header.mtime, self._start
        self._on_member(Member(name, kind, size, offset, "", link, unsafe, 0, mtime, start))

    def _begin_extension(self, header: Header, after: int, end: int) -> int:
        if not self._extensions.pending:
            self._described_from = self._base + after - BLOCK
        self._extensions.begin(header, self._base + after)
        self._header = header
        self._wanted = header.size
        self._step = self._extension_step
        return after if header.size else self._end_extension(after, end)

    def _extension_step(self, chunk: memoryview, at: int) -> int:
        end = min(at + self._wanted, len(chunk))
        self._extensions.feed(chunk[at:end])
        self._wanted -= end - at
        return end if self._wanted else self._end_extension(end, len(chunk))

    def _end_extension(self, at: int, end: int) -> int:
        self._extensions.end()
        return self._skip(at, padding_after(self._header.size), end)

    def _skip(self, at: int, count: int, end: int) -> int:
        """Pass over bytes from a position of the chunk on, into the next chunks if need be."""
        if at + count <= end:
            self._step = self._header_step
            return at + count
        self._wanted = at + count - end
        self._step = self._skip_step
        return end

    def _skip_step(self, chunk: memoryview, at: int) -> int:
        return self._skip(at, self._wanted, len(chunk))

    def _end(self, header: Header | None, offset: int) -> None:
        if header is not None:
            raise BadHeader(f"a single block of zeros before offset {offset}, and a header after it")
        if self._extensions.pending:
            raise BadHeader(f"an extended header without a member before offset {offset}")
        if self._lone_zero_block:
            self._step = self._ended_step
        self._lone_zero_block = True

    def _begin_next_tar(self) -> None:
        self._lone_zero_block = False
        self.tars += 1

    def _ended_step(self, chunk: memoryview, at: int) -> int:
        rest = bytes(chunk[at:])
        if rest.count(0) == len(rest):
            return len(chunk)
        zeros = len(rest) - len(rest.lstrip(b"\0"))
        first = self._base + at + zeros
        if not self._rules.joined or first % BLOCK:
            told = f"bytes other than zeros after the end of the tar, at offset {first}"
            raise TrailingGarbage(told) if first % BLOCK else AnotherTar(f"{told}: another tar, perhaps")
        self._begin_next_tar()
        self._step = self._header_step
        return at + zeros


def _no_crc32(content: memoryview, before: int) -> int:  # noqa: ARG001 - in the place of crc32
    return 0
