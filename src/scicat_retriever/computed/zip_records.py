"""The records of a zip whose entries are stored as they are, after PKWARE's APPNOTE.TXT 6.3.10.

Sizes and CRC-32 stand in the local header: general purpose bit 3 is clear, and no data descriptor follows
(4.4.4). Names are UTF-8 (bit 11). Zip64 fields are there only where a 32-bit field overflows (4.5.3).
"Version made by" says unix (4.4.2), so that programs take the modes in the external attributes (4.4.15).
"""

from __future__ import annotations

import struct
import time
from typing import NamedTuple

LIMIT = 0xFFFFFFFF
"""What a 32-bit field says where the number is in a zip64 field: this number and larger ones (4.4.1.4)."""

MOST_ENTRIES = 0xFFFE
"""Most entries of a zip without zip64 records: 0xFFFF says that the number is there (4.4.21)."""

_LOCAL, _LOCAL_ZIP64 = struct.Struct("<IHHHIIIIHH"), struct.Struct("<HHQQ")
_CENTRAL, _EXTRA_HEAD = struct.Struct("<IHHHHIIIIHHHHHII"), struct.Struct("<HH")
_END, _END_ZIP64, _LOCATOR = struct.Struct("<IHHHHIIH"), struct.Struct("<IQHHIIQQQQ"), struct.Struct("<IIQI")
_TIME = struct.Struct("<HHBI")

LOCAL_BYTES = _LOCAL.size + _TIME.size
"""Bytes of a local header, without name and zip64 field."""

LOCAL_ZIP64_BYTES = _LOCAL_ZIP64.size
"""Bytes of the zip64 field of a local header, which has to hold both sizes (4.5.3)."""

CENTRAL_BYTES = _CENTRAL.size + _TIME.size
"""Bytes of an entry of the central directory, without name and zip64 field."""

_MADE_BY = 3 << 8 | 63
_STORED_NEEDS, _FOLDER_NEEDS, _ZIP64_NEEDS = 10, 20, 45
_UTF8 = 1 << 11
_IS_FOLDER = 0x10
_EARLIEST, _LATEST = 315_532_800, 4_354_819_199
"""The first and the last second that a DOS time can say: 1980-01-01 and 2107-12-31, in UTC."""


class ZipEntry(NamedTuple):
    """An entry as both of its records need it.

    Attributes:
        name: its path, in UTF-8; with a ``/`` at the end for a folder.
        size: bytes of content.
        crc: CRC-32 of the content.
        mtime: seconds since 1970, UTC.
        mode: file type and rights, as unix has them.
    """

    name: bytes
    size: int
    crc: int
    mtime: int
    mode: int


def local_header(entry: ZipEntry) -> bytes:
    """Write what stands before the content of an entry (4.3.7)."""
    name, size, crc, mtime, _ = entry
    extra, stated = unix_time(mtime), size
    if size >= LIMIT:
        extra, stated = _LOCAL_ZIP64.pack(1, 16, size, size) + extra, LIMIT
    head = _LOCAL.pack(
        0x04034B50,
        _needs(name, size, 0),
        _UTF8,
        0,
        dos_time(mtime),
        crc,
        stated,
        stated,
        len(name),
        len(extra),
    )
    return head + name + extra


def central_entry(entry: ZipEntry, offset: int) -> bytes:
    """Write the entry of the central directory (4.3.12).

    Args:
        entry: the entry.
        offset: where its local header begins.
    """
    name, size, crc, mtime, mode = entry
    numbers = ((size, size) if size >= LIMIT else ()) + ((offset,) if offset >= LIMIT else ())
    extra = unix_time(mtime)
    if numbers:
        extra = struct.pack(f"<HH{len(numbers)}Q", 1, 8 * len(numbers), *numbers) + extra
    stated = min(size, LIMIT)
    attributes = mode << 16 | (_IS_FOLDER if name.endswith(b"/") else 0)
    head = _CENTRAL.pack(
        0x02014B50, _MADE_BY, _needs(name, size, offset), _UTF8, 0, dos_time(mtime), crc, stated, stated,
        len(name), len(extra), 0, 0, 0, attributes, min(offset, LIMIT),
    )  # fmt: skip
    return head + name + extra


def central_zip64_bytes(size: int, offset: int) -> int:
    """Give the bytes of the zip64 field that :func:`central_entry` writes (4.5.3)."""
    numbers = (2 if size >= LIMIT else 0) + (offset >= LIMIT)
    return _EXTRA_HEAD.size + 8 * numbers if numbers else 0


def end_records(entries: int, offset: int, length: int) -> bytes:
    """Write the end of a zip (4.3.14 to 4.3.16).

    Args:
        entries: how many entries there are.
        offset: where the central directory begins.
        length: its bytes.
    """
    records = b""
    if entries > MOST_ENTRIES or offset >= LIMIT or length >= LIMIT:
        records = _END_ZIP64.pack(
            0x06064B50, _END_ZIP64.size - 12, _MADE_BY, _ZIP64_NEEDS, 0, 0, entries, entries, length, offset
        ) + _LOCATOR.pack(0x07064B50, 0, offset + length, 1)
    few = min(entries, MOST_ENTRIES + 1)
    return records + _END.pack(0x06054B50, 0, 0, few, few, min(length, LIMIT), min(offset, LIMIT), 0)


def dos_time(mtime: int) -> int:
    """Give date (upper half) and time in DOS's form, in UTC, in steps of two seconds (4.4.6).

    What it cannot say becomes the nearest that it can: 1980 to 2107.
    """
    year, month, day, hour, minute, second, *_ = time.gmtime(min(max(mtime, _EARLIEST), _LATEST))
    return (year - 1980) << 25 | month << 21 | day << 16 | hour << 11 | minute << 5 | second >> 1


def unix_time(mtime: int) -> bytes:
    """Write the extra field 0x5455 with the seconds of an mtime, in UTC (Info-ZIP's ``extrafld.txt``)."""
    return _TIME.pack(0x5455, _TIME.size - _EXTRA_HEAD.size, 1, min(max(mtime, 0), LIMIT))


def _needs(name: bytes, size: int, offset: int) -> int:
    """Give the version of the format that is needed to extract an entry (4.4.3.2)."""
    if size >= LIMIT or offset >= LIMIT:
        return _ZIP64_NEEDS
    return _FOLDER_NEEDS if name.endswith(b"/") else _STORED_NEEDS
