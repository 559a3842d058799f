"""The records of pax extended headers: length, blank, key, ``=``, value, line feed (POSIX.1-2001, pax(1))."""

import re
from typing import NoReturn

from scicat_retriever.onepass.errors import BadHeader, HeaderTooLarge, SparseMember
from scicat_retriever.onepass.member import bounded_mtime

SHAPING = (b"path", b"linkpath", b"size")
"""Keys of shaping records: those that change the next member's path, link target or size."""

LARGEST_SHAPING = 8192
"""Most bytes of a shaping record. Other records may be of any length: they are passed over, and not held."""

_MTIME = b"mtime"
_LONGEST_MTIME = 100
"""Most bytes of a record of a time that is read."""
_SECONDS = re.compile(rb"(-?)([0-9]{1,20})(?:\.[0-9]*)?")
_LONGEST_KEY = 4096
_MOST_DIGITS = 10
_LARGEST = 2**63 - 1
_SPARSE = (b"GNU.sparse.", b"SCHILY.realsize")
_HEAD = re.compile(rb"([1-9][0-9]{0,9}) ([^= \t\0][^=]{0,200})=")
_BLANKS = (b" ", b"\t")
_LINE_FEED = ord("\n")


class PaxReader:
    """A reader of the body of an ``x`` or ``g`` member, which keeps the records that shape the next member.

    Values stay bytes: with ``hdrcharset=BINARY`` they need not be UTF-8, and names are taken byte for byte
    whatever character set is declared. NULs at the end are passed over.

    Args:
        offset: where the body begins in the stream, for messages.
        size: its bytes.

    Attributes:
        shaping: the records that shape the next member; of two with the same key, the later one.
        mtime: the time of change that they give, as `bounded_mtime` gives it; None where there is none.
        records: how many records there were, of all keys.
    """

    def __init__(self, offset: int, size: int) -> None:
        self.shaping: dict[bytes, bytes] = {}
        self.mtime: int | None = None
        self.records = 0
        self._offset = offset
        self._end = offset + size
        self._held = b""
        self._passing = 0
        self._padding = False

    def feed(self, piece: memoryview) -> None:
        """Take the next bytes.

        Raises:
            BadHeader: a record's length or form is wrong, or a path holds a NUL.
            HeaderTooLarge: a record that would have to be held is too long.
            SparseMember: the records describe a sparse file.
        """
        data = self._held + bytes(piece) if self._held else bytes(piece)
        at = 0
        while at < len(data):
            after = self._take_usual(data, at) or (
                self._pass_over(data, at) if self._passing else self._take(data, at)
            )
            if after == at:
                break
            at = after
        self._held = data[at:]
        self._offset += at

    def finish(self) -> None:
        """End the body.

        Raises:
            BadHeader: the last record is not whole.
        """
        if self._held or self._passing:
            self._malformed(self._held, 0)

    def _take_usual(self, data: bytes, at: int) -> int:
        """Take a record that is whole and well-formed; gives the position of its end, or 0 if it is not."""
        head = None if self._passing or self._padding else _HEAD.match(data, at)
        if head is None:
            return 0
        digits, key = head.groups()
        after = at + int(digits)
        begin = head.end()
        if not begin < after <= len(data) or data[after - 1] != _LINE_FEED or key.startswith(_SPARSE):
            return 0
        if key in SHAPING:
            return self._keep(data, at, key, begin, after) if after - at <= LARGEST_SHAPING else 0
        if key == _MTIME and after - at <= _LONGEST_MTIME:
            self._note_mtime(data[begin : after - 1])
        self.records += 1
        return after

    def _take(self, data: bytes, at: int) -> int:
        """Take the record at a position; gives the position of its end, or `at` where more has to come."""
        if self._padding or data[at] == 0:
            if data.count(0, at) != len(data) - at:
                self._malformed(data, at)
            self._padding = True
            return len(data)
        equals = data.find(b"=", at, at + _LONGEST_KEY)
        if equals < 0 and len(data) - at < _LONGEST_KEY:
            return at
        digits, _, key = data[at : max(equals, at)].partition(b" ")
        after = at + (int(digits) if digits.isdigit() and len(digits) <= _MOST_DIGITS else 0)
        # GNU tar passes over blanks before the key, others take them for a part of it.
        if not key or key.startswith(_BLANKS) or after <= equals + 1 or self._offset + after > self._end:
            self._malformed(data, at)
        if key.startswith(_SPARSE):
            raise SparseMember(
                f"the pax header at offset {self._offset + at} describes a sparse file ({_shown(key)})"
            )
        if key == _MTIME and after - at <= _LONGEST_MTIME:
            if after > len(data):
                return at
            self._note_mtime(data[equals + 1 : after - 1])
        if key not in SHAPING:
            self.records += 1
            self._passing = after - at
            return self._pass_over(data, at)
        if after - at > LARGEST_SHAPING:
            raise HeaderTooLarge(
                f"a {_shown(key)} of {after - equals - 2} bytes in the pax header at offset {self._offset + at}"
            )
        return at if after > len(data) else self._keep(data, at, key, equals + 1, after)

    def _keep(self, data: bytes, at: int, key: bytes, begin: int, after: int) -> int:
        value = data[begin : after - 1]
        if data[after - 1] != _LINE_FEED:
            self._malformed(data, at)
        if b"\0" in value:
            raise BadHeader(f"NUL in the {_shown(key)} of the pax header at offset {self._offset + at}")
        self.records += 1
        self.shaping[key] = value
        return after

    def _note_mtime(self, value: bytes) -> None:
        """Note a time; what is none is passed over, as GNU tar does."""
        time = _SECONDS.fullmatch(value)
        if time is not None:
            self.mtime = 0 if time[1] else bounded_mtime(int(time[2]))

    def _pass_over(self, data: bytes, at: int) -> int:
        """Pass over the bytes that have come of a record that shapes nothing."""
        after = at + min(self._passing, len(data) - at)
        self._passing -= after - at
        if not self._passing and data[after - 1] != _LINE_FEED:
            self._malformed(data, at)
        return after

    def _malformed(self, data: bytes, at: int) -> NoReturn:
        raise BadHeader(f"malformed pax record at offset {self._offset + at}: {data[at : at + 40]!r}")


def pax_size(value: bytes, offset: int) -> int:
    """Read the ``size`` record, a decimal number of bytes.

    Raises:
        BadHeader: it is no such number, or larger than 63 bits.
    """
    if value.isdigit() and len(value) < 20 and int(value) <= _LARGEST:
        return int(value)
    raise BadHeader(f"the size in the pax header at offset {offset} is no possible size: {value[:40]!r}")


def _shown(key: bytes) -> str:
    return key[:40].decode("ascii", "backslashreplace")
