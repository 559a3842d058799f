"""Unpacking gzip (RFC 1952) as a stream, without trust in what the stream claims."""

from collections.abc import Callable

from zlib_ng import zlib_ng

from scicat_retriever.onepass.errors import BadGzip, UnpackedTooLarge

_WITH_GZIP_HEADER = 31
_LARGEST_PIECE = 1 << 20
_SMALLEST_STRIDE, _LARGEST_STRIDE = 4 << 10, 64 << 10
_MAGIC = b"\x1f\x8b\x08"

MAGIC_BYTES = len(_MAGIC)
"""How many of the first bytes tell whether it is gzip."""

_ESTIMATE_PER_FILE = 1 << 10  # a header, and up to one block of padding
_ESTIMATE_AT_LEAST = 10 << 10  # as most programs fill a tar up at its end
_ALLOWANCE_PER_FILE = 16 << 10
_ALLOWANCE_AT_LEAST = 16 << 20


def has_gzip_magic(first_bytes: bytes) -> bool:
    """Tell whether the first bytes are those of gzip with its one method, deflate.

    A tar could begin so only if its first member had a name of control characters.
    """
    return first_bytes.startswith(_MAGIC)


def unpacked_estimate(content_bytes: int, files: int) -> int:
    """Give the bytes that a tar with such content takes, about: long names and folders need more.

    Args:
        content_bytes: the declared sizes of all files together.
        files: how many files are declared.
    """
    return content_bytes + files * _ESTIMATE_PER_FILE + _ESTIMATE_AT_LEAST


def unpacked_allowance(content_bytes: int, files: int) -> int:
    """Give the most bytes that an honest tar with such content may unpack to.

    Headers, long names, folders and padding are included.

    Args:
        content_bytes: the declared sizes of all files together.
        files: how many files are declared.
    """
    return content_bytes + files * _ALLOWANCE_PER_FILE + _ALLOWANCE_AT_LEAST


class Gunzip:
    """Unpacks one gzip stream of any number of members, in pieces of at most 1 MiB.

    Zeros may follow the last member, as tapes and some tars pad; anything else is refused.

    Args:
        sink: gets the unpacked pieces in order.
        most: bytes that may come out, all together; None for any number.
    """

    def __init__(self, sink: Callable[[memoryview], None], most: int | None) -> None:
        self._sink = sink
        self._most = most
        self._unpacked = 0
        self._packed = 0
        self._stride = _SMALLEST_STRIDE
        self._padding = False
        self._member: zlib_ng._Decompress | None = zlib_ng.decompressobj(_WITH_GZIP_HEADER)

    def feed(self, chunk: memoryview) -> None:
        """Unpack the next bytes.

        Raises:
            BadGzip: they are no gzip stream, or a damaged one.
            UnpackedTooLarge: they unpack to more than is allowed.
            TransferFault: what the sink raises.
        """
        at, end = 0, len(chunk)
        while at < end:
            # Rests of a slice are copied when a member ends in it: small slices keep many small members
            # cheap.
            piece = chunk[at : at + self._stride]
            taken = self._skip_padding(piece) if self._member is None else self._unpack(self._member, piece)
            at += taken
            self._packed += taken

    def finish(self) -> None:
        """End the stream: no more bytes come.

        Raises:
            BadGzip: the last member is not complete.
        """
        if self._member is not None:
            raise BadGzip(f"the gzip stream ends inside a member at offset {self._packed}")

    def _unpack(self, member: "zlib_ng._Decompress", piece: memoryview) -> int:
        """Feed the member; give the bytes that it took."""
        rest: bytes | memoryview = piece
        while rest and not member.eof:
            try:
                self._pass_on(member.decompress(rest, _LARGEST_PIECE))
            except zlib_ng.error as broken:  # type: ignore[misc] # its stub has an instance
                raise BadGzip(f"the gzip stream is damaged near offset {self._packed}: {broken}") from broken
            rest = member.unconsumed_tail
        if not member.eof:
            self._stride = min(2 * self._stride, _LARGEST_STRIDE)
            return len(piece)
        self._member = None
        self._stride = _SMALLEST_STRIDE
        return len(piece) - len(member.unused_data)

    def _pass_on(self, unpacked: bytes) -> None:
        self._unpacked += len(unpacked)
        if self._most is not None and self._unpacked > self._most:
            raise UnpackedTooLarge(f"the gzip stream unpacks to more than {self._most} bytes")
        if unpacked:
            self._sink(memoryview(unpacked))

    def _skip_padding(self, piece: memoryview) -> int:
        """Between members: begin the next one, or pass over zeros up to the end; give the bytes taken."""
        if piece[0] == _MAGIC[0] and not self._padding:
            self._member = zlib_ng.decompressobj(_WITH_GZIP_HEADER)
            return 0
        if bytes(piece).count(0) != len(piece):
            raise BadGzip(f"something other than gzip follows the gzip stream, near offset {self._packed}")
        self._padding = True
        return len(piece)
