"""Members that only describe the next one: pax ``x`` and ``g``, GNU long names ``L`` and ``K``."""

from typing import NoReturn

from scicat_retriever.onepass.errors import AmbiguousMember, BadHeader, HeaderTooLarge
from scicat_retriever.onepass.tar.header import Header
from scicat_retriever.onepass.tar.pax import PaxReader, pax_size

_PAX_TYPES = (b"x", b"X", b"g")
EXTENSION_TYPES = frozenset((*_PAX_TYPES, b"L", b"K"))
"""Type flags of describing members; ``X`` is what Solaris wrote before POSIX settled on ``x``."""

LARGEST_LONG_NAME = 1 << 20
"""Most bytes of GNU long names that may describe one member."""

LARGEST_PAX = 1 << 30
"""Most bytes of pax headers that may describe one member.

GNU tar lists a folder there: some 50 bytes for each of its files.
"""

MOST_EXTENSIONS = 64
"""Most describing members before one member."""

LONGEST_PATH = 4096
"""Most bytes of a name or of a link target: Linux's PATH_MAX, limits.h(0p)."""

_new = tuple.__new__  # half the time of calling the class
_WITHOUT_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")


class Extensions:
    """What describing members have said about the next member so far.

    Attributes:
        pending: whether anything has been said.
        alters: whether the next member's header is not what it shows: something has been said of it, or of
            all members.
        pax: whether a pax header has been seen at all.
        records: pax records seen in all.
    """

    def __init__(self) -> None:
        self.pending = self.alters = False
        self.pax = False
        self.records = 0
        self._name: bytes | None = None
        self._link: bytes | None = None
        self._pax: dict[bytes, bytes] | None = None
        self._mtime: int | None = None
        self._mtime_of_all: int | None = None
        self._count = self._pax_bytes = self._name_bytes = 0
        self._header = Header(b"", b"", 0, b"")
        self._offset = 0
        self._long_name = bytearray()
        self._reader = PaxReader(0, 0)

    def begin(self, header: Header, offset: int) -> None:
        """Begin with a describing member; its size is checked before any of it is kept.

        Args:
            header: its header.
            offset: where its content begins in the stream.

        Raises:
            HeaderTooLarge: the describing members before the next member exceed the bounds, together or one
                alone.
        """
        is_pax = header.type in _PAX_TYPES
        self._count += 1
        if is_pax:
            self._pax_bytes += header.size
        else:
            self._name_bytes += header.size
        if (
            self._pax_bytes > LARGEST_PAX
            or self._name_bytes > LARGEST_LONG_NAME
            or self._count > MOST_EXTENSIONS
        ):
            raise HeaderTooLarge(
                f"{self._count} extended headers before one member, with {self._pax_bytes} bytes of pax records and "
                f"{self._name_bytes} of long names, at offset {offset}; {MOST_EXTENSIONS}, {LARGEST_PAX} and "
                f"{LARGEST_LONG_NAME} are the most"
            )
        self._header, self._offset = header, offset
        if is_pax:
            self.pax = True
            self._reader = PaxReader(offset, header.size)

    def feed(self, piece: memoryview) -> None:
        """Take the next bytes of the describing member's content.

        Raises:
            BadHeader: the bytes are malformed.
            HeaderTooLarge: the bytes would have to be held, and are too many.
            SparseMember: the bytes describe a sparse file.
        """
        if self._header.type not in _PAX_TYPES:
            self._long_name += piece
            return
        before = self._reader.records
        self._reader.feed(piece)
        self.records += self._reader.records - before

    def end(self) -> None:
        """End the describing member: all of its content has come.

        Raises:
            BadHeader: it is malformed, or says of all members what can be said of one alone.
            AmbiguousMember: it contradicts another describing member of the next member.
        """
        kind = self._header.type
        if kind in _PAX_TYPES:
            self._reader.finish()
        if kind == b"g":
            self._end_global()
            return
        self.pending = self.alters = True
        if kind in _PAX_TYPES:
            if self._reader.mtime is not None:
                self._mtime = self._reader.mtime
            if self._pax is not None and self._pax != self._reader.shaping:
                self._refuse_other()
            self._pax = self._reader.shaping
            return
        text = bytes(self._long_name).partition(b"\0")[0]
        self._long_name.clear()
        if kind == b"L":
            if self._name not in (None, text):
                self._refuse_other()
            self._name = text
        else:
            if self._link not in (None, text):
                self._refuse_other()
            self._link = text

    def apply(self, header: Header, offset: int) -> Header:
        """Give the member's header with all that was said about the member, and begin anew.

        Raises:
            AmbiguousMember: programs understand the member in different ways.
            BadHeader: pax and GNU headers name different paths, or the size is impossible.
            HeaderTooLarge: a path is longer than any that can be unpacked.
        """
        pax = self._pax or {}
        name, link = pax.get(b"path"), pax.get(b"linkpath")
        if (name and self._name and name != self._name) or (link and self._link and link != self._link):
            raise BadHeader(f"pax and GNU long names disagree about the member at offset {offset}")
        size = pax.get(b"size")
        if size or header.type == b"\0":
            _refuse_ambiguous(header, name or self._name, size, offset)
        if b"" in (name, link, size, self._name, self._link):
            raise AmbiguousMember(
                f"a path, a link or a size without a value describes the member at offset {offset}: "
                "some programs take that for nothing, and some for its value"
            )
        its_name, its_link = name or self._name or header.name, link or self._link or header.link
        its_size = pax_size(size, offset) if size else header.size
        is_stray = header.stray and its_name is header.name
        mtime = next((time for time in (self._mtime, self._mtime_of_all) if time is not None), header.mtime)
        applied = _new(Header, (header.type, its_name, its_size, its_link, header.posix, is_stray, mtime))
        longest = max(len(its_name), len(its_link))
        if longest > LONGEST_PATH:
            raise HeaderTooLarge(
                f"a path of {longest} bytes for the member at offset {offset}; {LONGEST_PATH} is the most"
            )
        self._name = self._link = None
        self._pax = self._mtime = None
        self._count = self._pax_bytes = self._name_bytes = 0
        self.pending = False
        self.alters = self._mtime_of_all is not None
        return applied

    def _end_global(self) -> None:
        """Check a global header, whose records would hold for every member that follows.

        Comments, times and owners are harmless, and a time is that of all members whose own pax header gives
        none; one path or one size for all members is not a real archive.
        """
        for key in self._reader.shaping:
            raise BadHeader(
                f"the global pax header at offset {self._offset} sets {key.decode()} for all members"
            )
        if self._reader.mtime is not None:
            self._mtime_of_all = self._reader.mtime
            self.alters = True
        if not self.pending:
            self._count = self._pax_bytes = self._name_bytes = 0

    def _refuse_other(self) -> NoReturn:
        """Refuse two describing members that disagree.

        GNU tar goes by the last header, Python's tarfile by the first.
        """
        raise AmbiguousMember(
            f"the extended header at offset {self._offset} and one before it disagree about the same member"
        )


def _refuse_ambiguous(header: Header, name: bytes | None, size: bytes | None, offset: int) -> None:
    """Refuse headers that GNU tar, bsdtar and Python's tarfile were seen to unpack in different ways."""
    said = ""
    if size and size.strip(b"0") and header.type in _WITHOUT_CONTENT:
        said = "is a link, a folder or a device, and has a size in its pax header, which bsdtar goes by alone"
    elif name and header.type == b"\0" and header.name.endswith(b"/") != name.endswith(b"/"):
        said = "is a folder by its short name alone, or by its long name alone"
    if said:
        raise AmbiguousMember(f"the member at offset {offset} {said}")
