"""One 512-byte tar header block: old v7, ustar (POSIX.1-1988) and GNU, as the pax(1) page of POSIX and the GNU tar manual lay it out."""

import struct
from typing import NamedTuple
from zlib import adler32

from scicat_retriever.onepass.errors import BadHeader

BLOCK = 512
"""Bytes of a header, and the grain that content is padded to."""

END_OF_ARCHIVE = 2 * BLOCK
"""Bytes of the zeros that end an archive."""

# name, size, checksum, type, link name, magic, prefix; the other fields do not matter here.
_FIELDS = struct.Struct("100s 24x 12s 12x 8s c 100s 6s 82x 155s 12x")
_CHECKSUM = slice(148, 156)
_POSIX = b"ustar\0"
_ZEROS = bytes(BLOCK)
_ADLER_BASE = 65521
_BLANKS_SUM = 8 * ord(" ")
_LARGEST = 2**63 - 1
_ENDS = (0, ord(" "))
_LINKS = (b"1", b"2")
_new = tuple.__new__  # half the time of calling the class


class Header(NamedTuple):
    """The fields of a header block that say what follows it.

    Attributes:
        type: the type flag, one byte.
        name: the path, prefix included, as stored.
        size: the size field, in bytes.
        link: the link target, as stored.
    """

    type: bytes
    name: bytes
    size: int
    link: bytes


def read_header(block: bytes | memoryview, at: int, offset: int) -> Header | None:
    """Read the header block at a position of a buffer.

    Args:
        block: a buffer with at least 512 bytes from the position on.
        at: the position in the buffer.
        offset: the position in the stream, for messages.

    Returns:
        The header, or None for a block of zeros.

    Raises:
        BadHeader: the checksum is wrong, or a field is not what it should be.
    """
    name, size, checksum, kind, link, magic, prefix = _FIELDS.unpack_from(block, at)
    # adler32's lower half is 1 + the sum of the bytes (mod 65521): many times faster than sum().
    seen = (adler32(block[at : at + BLOCK]) & 0xFFFF) - 1 - sum(checksum) + _BLANKS_SUM
    try:
        sound = (int(checksum.strip(b"\0 "), 8) - seen) % _ADLER_BASE == 0
    except ValueError:
        sound = False
    if not sound:
        raw = bytes(block[at : at + BLOCK])
        if raw == _ZEROS:
            return None
        _require_checksum(raw, offset)
    name = name.partition(b"\0")[0]
    if prefix[0] and magic == _POSIX:
        name = _text(prefix) + b"/" + name
    try:
        length = (
            int(size[:11], 8) if size[:11].isdigit() and size[11] in _ENDS else _number(size, "size", offset)
        )
    except ValueError:
        length = _number(size, "size", offset)
    return _new(Header, (kind, name, length, _text(link) if kind in _LINKS else b""))


def padding_after(size: int) -> int:
    """Bytes that fill content of this many bytes up to whole blocks."""
    return -size % BLOCK


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _require_checksum(raw: bytes, offset: int) -> None:
    """Accept the sum of unsigned bytes, as POSIX has it, and of signed ones, as some old tars made it."""
    stored = _number(raw[_CHECKSUM], "checksum", offset)
    rest = raw[: _CHECKSUM.start] + raw[_CHECKSUM.stop :]
    unsigned = sum(rest) + _BLANKS_SUM
    signed = unsigned - 256 * sum(byte > 127 for byte in rest)
    if stored not in (unsigned, signed):
        raise BadHeader(
            f"no tar header at offset {offset}: its checksum is {stored}, the bytes sum to {unsigned}"
        )


def _number(field: bytes, what: str, offset: int) -> int:
    """Read a numeric field: octal digits, or base-256 when the top bit is set (GNU, star)."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") - (1 << 8 * len(field) - 1)
        if field[0] & 0x40:
            raise BadHeader(f"the {what} in the header at offset {offset} is negative")
    else:
        value = _octal(_text(field).strip(b" ") or b"0", what, offset)
    if value > _LARGEST:
        raise BadHeader(f"the {what} in the header at offset {offset} is larger than 63 bits: {value}")
    return value


def _octal(digits: bytes, what: str, offset: int) -> int:
    try:
        if digits.isdigit():
            return int(digits, 8)
    except ValueError:  # an 8 or a 9
        pass
    raise BadHeader(f"the {what} in the header at offset {offset} is no octal number: {digits!r}")
