"""The members that only describe the next one: pax ``x`` and ``g`` headers, GNU long names ``L`` and ``K``."""

from scicat_retriever.onepass.errors import BadHeader, HeaderTooLarge
from scicat_retriever.onepass.tar_header import Header
from scicat_retriever.onepass.tar_pax import pax_size, refuse_shaping_globals, shaping_records

EXTENSION_TYPES = frozenset((b"x", b"X", b"g", b"L", b"K"))
"""Type flags of describing members; ``X`` is what Solaris wrote before POSIX settled on ``x``."""

LARGEST_EXTENSION = 1 << 20
"""Most bytes that may describe one member."""

LONGEST_PATH = 4096
"""Most bytes of a name or of a link target: Linux's PATH_MAX, limits.h(0p)."""


class Extensions:
    """What has been said about the next member so far."""

    def __init__(self) -> None:
        self._name: bytes | None = None
        self._link: bytes | None = None
        self._pax: dict[bytes, bytes] = {}
        self._bytes = 0
        self.pending = False

    def announce(self, header: Header, offset: int) -> None:
        """Check the size of a describing member before any of it is kept.

        Raises:
            HeaderTooLarge: it, or all that describe the next member together, exceed the bound.
        """
        self._bytes += header.size
        if self._bytes > LARGEST_EXTENSION:
            raise HeaderTooLarge(
                f"extended headers of {self._bytes} bytes at offset {offset}; {LARGEST_EXTENSION} is the most"
            )

    def take(self, header: Header, body: bytes, offset: int) -> None:
        """Take the content of a describing member, which begins at an offset of the stream.

        Raises:
            BadHeader: it is malformed.
            SparseMember: it describes a sparse file.
        """
        if header.type == b"g":
            refuse_shaping_globals(body, offset)
            if not self.pending:
                self._bytes = 0
            return
        self.pending = True
        if header.type == b"L":
            self._name = body.partition(b"\0")[0]
        elif header.type == b"K":
            self._link = body.partition(b"\0")[0]
        else:
            self._pax.update(shaping_records(body, offset))

    def apply(self, header: Header, offset: int) -> Header:
        """Give the member's header with all that was said about it, and forget that.

        Raises:
            BadHeader: pax and GNU headers name different paths, or the size is impossible.
            HeaderTooLarge: a path is longer than any that can be unpacked.
        """
        name, link = self._pax.get(b"path"), self._pax.get(b"linkpath")
        if (name and self._name and name != self._name) or (link and self._link and link != self._link):
            raise BadHeader(f"pax and GNU long names disagree about the member at offset {offset}")
        size = self._pax.get(b"size")
        applied = Header(
            type=header.type,
            name=name or self._name or header.name,
            size=pax_size(size, offset) if size else header.size,
            link=link or self._link or header.link,
        )
        longest = max(len(applied.name), len(applied.link))
        if longest > LONGEST_PATH:
            raise HeaderTooLarge(
                f"a path of {longest} bytes for the member at offset {offset}; {LONGEST_PATH} is the most"
            )
        self._name = self._link = None
        self._pax = {}
        self._bytes = 0
        self.pending = False
        return applied
