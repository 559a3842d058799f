"""One 512-byte tar header block: old v7, ustar (POSIX.1-1988) and GNU.

Its layout is that of the pax(1) page of POSIX, and of the GNU tar manual.
"""

import re
import struct
from functools import lru_cache
from typing import NamedTuple
from zlib import adler32

from scicat_retriever.onepass.errors import AmbiguousMember, BadHeader
from scicat_retriever.onepass.member import bounded_mtime

BLOCK = 512
"""Bytes of a header; content is padded to a multiple of it."""

END_OF_ARCHIVE = 2 * BLOCK
"""Bytes of the zeros that end an archive."""

# name, numbers (mode, owner, group, size, time), checksum, type, link name, magic, device's numbers, prefix.
_FIELDS = struct.Struct("100s 48s 8s c 100s 6s 66x 16s 155s 12x")
_CHECKSUM = slice(148, 156)
_OWNERS, _SIZE, _TIME = slice(24), slice(24, 36), slice(36, 48)
_POSIX = b"ustar\0"
_SHORT, _LONG = 8, 12
_DIGITS_TO_0 = bytes.maketrans(b"1234567", b"0000000")
_USUAL_NUMBERS = b"0000000\0" * 3 + b"00000000000\0" * 2
_USUAL_DEVICES = frozenset((bytes(16), b"0000000\0" * 2, b"000000 \0" * 2))
_USUAL_CHECKSUM = b"%06o\0 "
_ANY_CHECKSUM = re.compile(rb" *[0-7]+[ \0]*")
_BASE_256 = (0x80, 0xFF)
_ZEROS = bytes(BLOCK)
_BLANKS_SUM = 8 * ord(" ")
_LARGEST = 2**63 - 1
LINK_TYPES = (b"1", b"2")
"""Type flags of hard and of symbolic links."""

_new = tuple.__new__  # half the time of calling the class


class Header(NamedTuple):
    """The fields of a header block that say what follows it.

    Attributes:
        type: the type flag, one byte.
        name: the path, prefix included, as stored.
        size: the size field, in bytes.
        link: the link target, as stored.
        posix: whether the format is that of POSIX, ustar or pax.
        stray: whether bytes stand where POSIX has the start of the path, though the format is not that of
            POSIX. GNU tar writes times there (``--incremental``).
        mtime: the time of change, in seconds since 1970 UTC, as `bounded_mtime` gives them.
    """

    type: bytes
    name: bytes
    size: int
    link: bytes
    posix: bool = False
    stray: bool = False
    mtime: int = 0

    def shown(self) -> str:
        """Write the name for a message."""
        return repr(self.name[:200].decode("utf-8", "backslashreplace"))


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
    raw = bytes(block[at : at + BLOCK])
    name, numbers, checksum, kind, link, magic, devices, prefix = _FIELDS.unpack(raw)
    # adler32's lower half is 1 + the sum of the bytes (mod 65521, which ASCII never reaches): much faster
    # than sum().
    seen = (adler32(raw) & 0xFFFF) - 1 - sum(checksum) + _BLANKS_SUM
    if checksum != _USUAL_CHECKSUM % seen or not raw.isascii():
        if raw == _ZEROS:
            return None
        _require_checksum(raw, offset)
    if numbers.translate(_DIGITS_TO_0) == _USUAL_NUMBERS and devices in _USUAL_DEVICES:
        length, mtime = int(numbers[24:35], 8), int(numbers[36:47], 8)
    else:
        _require_readable(numbers, devices, offset)
        length, mtime = _number(numbers[_SIZE], "size", offset), _mtime(numbers[_TIME])
    name = name.partition(b"\0")[0]
    posix = magic == _POSIX
    if prefix[0] and posix:
        name = _text(prefix) + b"/" + name if name else name
    link = _text(link) if kind in LINK_TYPES else b""
    return _new(Header, (kind, name, length, link, posix, not posix and prefix[0] != 0, mtime))


def padding_after(size: int) -> int:
    """Bytes of the padding after content of `size` bytes, up to whole blocks."""
    return -size % BLOCK


def _text(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _require_readable(numbers: bytes, devices: bytes, offset: int) -> None:
    owners, time = numbers[_OWNERS], numbers[_TIME]
    if not (_readable(owners, _SHORT) and _readable(devices, _SHORT) and _readable(time, _LONG)):
        raise AmbiguousMember(
            f"the header at offset {offset} has an owner, a mode, a time or a device that is no number: "
            "Python's tarfile stops there without a word, other programs go on"
        )


@lru_cache(maxsize=1024)
def _readable(fields: bytes, width: int) -> bool:
    """Say whether Python's tarfile and bsdtar can read these numeric fields.

    Where tarfile cannot, it takes the header for the end of the tar. bsdtar takes the whole tar for another
    format if anything but blanks and NULs follows on a number.
    """
    for at in range(0, len(fields), width):
        field = fields[at : at + width]
        if field[0] in _BASE_256:
            continue
        number, _, rest = field.partition(b"\0")
        if rest.strip(b"\0 "):
            return False
        try:
            int(number.decode("ascii").strip() or "0", 8)
        except ValueError:
            return False
    return True


def _mtime(field: bytes) -> int:
    """Read a time that `_readable` passed; GNU tar and star write those before 1970 in base-256."""
    if field[0] in _BASE_256:
        value = int.from_bytes(field[1:], "big")
        return bounded_mtime(value if field[0] == _BASE_256[0] else value - (1 << 8 * (len(field) - 1)))
    return bounded_mtime(int(_text(field).strip() or b"0", 8))


def _require_checksum(raw: bytes, offset: int) -> None:
    """Require the header's checksum: the sum of unsigned bytes (POSIX), or of signed ones (some old tars)."""
    field = raw[_CHECKSUM]
    if not _ANY_CHECKSUM.fullmatch(field):
        raise BadHeader(f"no tar header at offset {offset}: its checksum is no octal number: {field!r}")
    stored = int(field.strip(b"\0 "), 8)
    rest = raw[: _CHECKSUM.start] + raw[_CHECKSUM.stop :]
    unsigned = sum(rest) + _BLANKS_SUM
    if stored != unsigned and stored != unsigned - 256 * sum(byte > 127 for byte in rest):
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
        digits = _text(field).strip(b" ")
        if not digits and field.strip(b"\0 "):
            raise AmbiguousMember(
                f"the {what} in the header at offset {offset} is behind a NUL: GNU tar passes that over, other "
                "programs stop there"
            )
        value = _octal(digits or b"0", what, offset)
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
