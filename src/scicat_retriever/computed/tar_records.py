"""The blocks of a tar: POSIX.1-2008, pax(1), "ustar Interchange Format" and "pax Extended Header"."""

from __future__ import annotations

from typing import NamedTuple

BLOCK = 512
"""Bytes of a block: headers have one, contents end with zeros where one ends."""

_RECORD = 20 * BLOCK
LONGEST_NAME = 100
"""Most bytes of a path or a link target of a header."""

MOST = 8**11 - 1
"""The largest size and mtime of a header, which has 11 octal digits for each."""

_HEADER_OF_PAX = b"././@PaxHeader"
_IN_ONE_BLOCK = 400
"""Bytes of path and link target with which all records fit into a block: the rest of them is under 100."""

_OWNER = b"0000000\0" * 2
_TAIL = b"ustar\x0000" + bytes(64) + b"0000000\0" * 2 + bytes(167)
_SUM_OF_THE_REST = sum(_TAIL) + 8 * ord(" ")
"""The sum of a header counts the eight bytes of the sum itself as blanks."""


class TarEntry(NamedTuple):
    """An entry as its header needs it.

    Attributes:
        path: in UTF-8; with a ``/`` at the end for a folder.
        size: bytes of content.
        mtime: seconds since 1970, UTC.
        link: the target of a symbolic link, in UTF-8; else empty.
        mode: the rights.
        type: the type flag: ``0`` for a file, ``2`` for a symbolic link, ``5`` for a folder.
    """

    path: bytes
    size: int
    mtime: int
    link: bytes
    mode: int
    type: bytes


def header(entry: TarEntry) -> bytes:
    """Write all that stands before the content: the header, after an extended one where that is needed."""
    path, size, mtime, link, mode, kind = entry
    return extended_header(path, size, mtime, link) + _block(
        path[:LONGEST_NAME],
        size if size <= MOST else 0,
        min(max(mtime, 0), MOST),
        link[:LONGEST_NAME],
        mode,
        kind,
    )


def extended_header(path: bytes, size: int, mtime: int, link: bytes) -> bytes:
    """Write the extended header of an entry: what its header cannot say. Empty where it says all.

    Names are there unless they are ASCII and short: the ``prefix`` of a header is never used.
    """
    if not _is_extended(path, size, mtime, link):
        return b""
    records = _records(path, size, mtime, link)
    return _block(_HEADER_OF_PAX, len(records), 0, b"", 0o644, b"x") + records + padding(len(records))


def extended_bytes(path: bytes, size: int, mtime: int, link: bytes) -> int:
    """Give the bytes of :func:`extended_header`, mostly without writing it."""
    if not _is_extended(path, size, mtime, link):
        return 0
    if len(path) + len(link) <= _IN_ONE_BLOCK:
        return 2 * BLOCK
    records = len(_records(path, size, mtime, link))
    return BLOCK + records + -records % BLOCK


def padding(length: int) -> bytes:
    """Give the zeros that follow on so many bytes."""
    return bytes(-length % BLOCK)


def end_blocks(length: int) -> bytes:
    """Give the end of a tar: two blocks of zeros, and as many more as make whole records of 10,240 bytes.

    Args:
        length: bytes of the tar so far.
    """
    return bytes(2 * BLOCK + -(length + 2 * BLOCK) % _RECORD)


def _block(name: bytes, size: int, second: int, link: bytes, mode: int, kind: bytes) -> bytes:
    before = name.ljust(100, b"\0") + b"%07o\0" % mode + _OWNER + b"%011o\0%011o\0" % (size, second)
    total = sum(before) + ord(kind) + sum(link) + _SUM_OF_THE_REST
    return before + b"%06o\0 " % total + kind + link.ljust(100, b"\0") + _TAIL


def _is_extended(path: bytes, size: int, mtime: int, link: bytes) -> bool:
    return (
        len(path) > LONGEST_NAME
        or not path.isascii()
        or size > MOST
        or not 0 <= mtime <= MOST
        or len(link) > LONGEST_NAME
        or not link.isascii()
    )


def _records(path: bytes, size: int, mtime: int, link: bytes) -> bytes:
    records = b""
    if len(path) > LONGEST_NAME or not path.isascii():
        records += _record(b"path", path)
    if len(link) > LONGEST_NAME or not link.isascii():
        records += _record(b"linkpath", link)
    if size > MOST:
        records += _record(b"size", b"%d" % size)
    if not 0 <= mtime <= MOST:
        records += _record(b"mtime", b"%d" % mtime)
    return records


def _record(key: bytes, value: bytes) -> bytes:
    """Write a record: its whole length in decimal digits, blank, key, ``=``, value, line feed."""
    rest, digits = len(key) + len(value) + 3, 2
    while rest + digits >= 10**digits:
        digits += 1
    return b"%d %b=%b\n" % (rest + digits, key, value)
