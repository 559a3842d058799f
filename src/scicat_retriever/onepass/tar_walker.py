"""The walk through a tar as its bytes come by: every member named, every file hashed, nothing read twice.

What is taken and what is refused:

- An archive must end with two blocks of zeros; only zeros may follow. One that stops anywhere before, be it
  between two members, is truncated. (GNU tar and ``tarfile`` accept both faults in silence: bytes that
  no checksum covers, or members that nobody misses.)
- Links, directories and devices have no content, whatever their size field says (as POSIX has it).
- Type flags that are not known are OTHER, and their content is passed over.
- A regular file whose name ends in ``/`` is a directory, as old tars wrote them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from scicat_retriever.onepass.checksums import ChecksumAlgorithm, Digester
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.onepass.errors import (
    BadHeader,
    SparseMember,
    TooManyMembers,
    TrailingGarbage,
    TruncatedArchive,
    UnsupportedMember,
)
from scicat_retriever.onepass.member import Member, MemberKind, is_unsafe, tidy_name
from scicat_retriever.onepass.tar_extensions import EXTENSION_TYPES, Extensions
from scicat_retriever.onepass.tar_header import BLOCK, Header, padding_after, read_header

_FILE_TYPES = frozenset((b"0", b"\0", b"7"))
_KINDS = MappingProxyType(
    {
        b"1": MemberKind.HARDLINK,
        b"2": MemberKind.SYMLINK,
        b"3": MemberKind.OTHER,
        b"4": MemberKind.OTHER,
        b"5": MemberKind.DIRECTORY,
        b"6": MemberKind.OTHER,
        b"D": MemberKind.DIRECTORY,
    }
)
_FILE = MemberKind.FILE  # the look-up in the enumeration costs as much as a hash of 200 bytes
_new = tuple.__new__  # half the time of calling the class
_SHORT_NAME = 256
_WITH_CONTENT_OF_ITS_OWN = b"D"  # GNU's directory listing of an incremental backup


@dataclass(slots=True)
class MemberCounts:
    """How many members of each kind a tar has, and how many bytes its files hold."""

    files: int = 0
    directories: int = 0
    symlinks: int = 0
    hardlinks: int = 0
    others: int = 0
    file_bytes: int = 0

    @property
    def members(self) -> int:
        """All of them."""
        return self.files + self.directories + self.symlinks + self.hardlinks + self.others


def members_allowance(files: int) -> int:
    """Members that an honest tar with so many declared files may have, folders and links included.

    See `TarWalker`'s ``most_members`` for how they are counted.
    """
    return 4 * files + 100_000


class TarWalker:
    """Walks one tar, fed in pieces of any length.

    Args:
        algorithm: what files are hashed with, one algorithm or several in the same pass.
        on_member: gets each member once its last byte of content was seen, in the order of the archive.
        most_members: members that the tar may have; looked at after each piece that is fed. A long name counts as
            one more for every 256 bytes, so that this bounds the memory that all names take. None for any number.
    """

    def __init__(
        self,
        algorithm: ChecksumAlgorithm | Hashing,
        on_member: Callable[[Member], None],
        most_members: int | None = None,
    ) -> None:
        self._start_digest = algorithm.start
        self._on_member = on_member
        self._most_members = most_members
        self._counted_for_names = 0
        self._counts = MemberCounts()
        self._extensions = Extensions()
        self._step: Callable[[memoryview, int], int] = self._header_step
        self._base = 0
        self._wanted = 0
        self._held = bytearray()
        self._header = Header(b"", b"", 0, b"")
        self._digester: Digester | None = None
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
            TarFault: this is not a tar that can be trusted.
        """
        at, end = 0, len(chunk)
        while at < end:
            at = self._step(chunk, at)
        self._base += end
        counted = self._counts.members + self._counted_for_names
        if self._most_members is not None and counted > self._most_members:
            raise TooManyMembers(
                f"{self._counts.members} members before offset {self._base}, counted as {counted} for their names; "
                f"{self._most_members} is the most"
            )

    def finish(self) -> MemberCounts:
        """Say that no more bytes come.

        Raises:
            TruncatedArchive: the end-of-archive marker was not seen.
        """
        if self._step == self._ended_step:
            return self._counts
        if self._step == self._header_step:
            where = f"without an end-of-archive marker after {self._counts.files} files"
        else:
            where = f"{self._wanted} bytes short inside the member {self._shown()}"
        raise TruncatedArchive(f"the tar ends at offset {self._base}, {where}")

    def _header_step(self, chunk: memoryview, at: int) -> int:
        after = at + BLOCK - len(self._held)
        if after > len(chunk):
            self._held += chunk[at:]
            return len(chunk)
        offset = self._base + after - BLOCK
        if self._held:
            header = read_header(bytes(self._held) + chunk[at:after], 0, offset)
            self._held.clear()
        else:
            header = read_header(chunk, at, offset)
        if header is None or self._lone_zero_block:
            self._end(header, offset)
            return after
        if header.type in EXTENSION_TYPES:
            return self._begin_extension(header, after)
        if self._extensions.pending:
            header = self._extensions.apply(header, offset)
            self._counted_for_names += (len(header.name) + len(header.link)) // _SHORT_NAME
        if not header.name:
            raise BadHeader(f"the member at offset {offset} has no name")
        if header.type in _FILE_TYPES and not header.name.endswith(b"/"):
            return self._begin_file(header, chunk, after)
        return self._begin_other(header, offset, after, len(chunk))

    def _begin_file(self, header: Header, chunk: memoryview, after: int) -> int:
        size = header.size
        end = after + size
        offset = self._base + after
        self._header = header
        if end <= len(chunk):
            self._emit_file(header, offset, self._start_digest(chunk[after:end]))
            return self._skip(end, padding_after(size), len(chunk))
        self._content_offset = offset
        self._digester = self._start_digest()
        self._wanted = size
        self._step = self._content_step
        return after

    def _content_step(self, chunk: memoryview, at: int) -> int:
        if self._digester is None:
            raise AssertionError
        end = min(at + self._wanted, len(chunk))
        self._digester.update(chunk[at:end])
        self._wanted -= end - at
        if not self._wanted:
            self._emit_file(self._header, self._content_offset, self._digester)
            return self._skip(end, padding_after(self._header.size), len(chunk))
        return end

    def _emit_file(self, header: Header, offset: int, digester: Digester) -> None:
        size = header.size
        name = tidy_name(header.name.decode("utf-8", "surrogateescape"))
        self._counts.files += 1
        self._counts.file_bytes += size
        self._on_member(_new(Member, (name, _FILE, size, offset, digester.hexdigest(), "", is_unsafe(name))))

    def _begin_other(self, header: Header, offset: int, after: int, end: int) -> int:
        self._header = header
        content = 0
        if header.type in _FILE_TYPES:
            if header.size:
                raise BadHeader(f"the member {self._shown()} at offset {offset} is a directory with content")
            kind = MemberKind.DIRECTORY
        elif header.type == b"S":
            raise SparseMember(f"the member {self._shown()} at offset {offset} is a GNU sparse file")
        elif header.type in (b"M", b"N"):
            raise UnsupportedMember(
                f"the member {self._shown()} at offset {offset} is of type {header.type!r}: "
                "a piece of a multi-volume archive, or renamings by an old GNU tar"
            )
        else:
            kind = _KINDS.get(header.type, MemberKind.OTHER)
            if header.type == _WITH_CONTENT_OF_ITS_OWN or header.type not in _KINDS:
                content = header.size
        self._emit_other(kind, offset + BLOCK)
        return self._skip(after, content + padding_after(content), end)

    def _emit_other(self, kind: MemberKind, offset: int) -> None:
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
        self._on_member(Member(name, kind, 0, offset, "", link, unsafe))

    def _begin_extension(self, header: Header, after: int) -> int:
        self._extensions.announce(header, self._base + after - BLOCK)
        self._header = header
        self._content_offset = self._base + after
        self._wanted = header.size + padding_after(header.size)
        self._step = self._extension_step
        return after

    def _extension_step(self, chunk: memoryview, at: int) -> int:
        end = min(at + self._wanted, len(chunk))
        self._held += chunk[at:end]
        self._wanted -= end - at
        if not self._wanted:
            body = bytes(self._held[: self._header.size])
            self._held.clear()
            self._extensions.take(self._header, body, self._content_offset)
            self._step = self._header_step
        return end

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

    def _ended_step(self, chunk: memoryview, at: int) -> int:
        rest = bytes(chunk[at:])
        if rest.count(0) != len(rest):
            first = self._base + at + len(rest) - len(rest.lstrip(b"\0"))
            raise TrailingGarbage(f"bytes other than zeros after the end of the tar, at offset {first}")
        return len(chunk)

    def _shown(self) -> str:
        return repr(self._header.name[:200].decode("utf-8", "backslashreplace"))
