"""The members of a tar."""

from enum import StrEnum
from typing import NamedTuple

LATEST_MTIME = 8**11 - 1
"""The latest time of a member: what the 11 octal digits of every tar header can hold, in the year 2242."""

_SHOWN = 200


class MemberKind(StrEnum):
    """The kind of a member, once unpacked; OTHER is a device, a FIFO or an unknown type.

    LABEL is the name of a tape (``tar --label``): nothing is unpacked of it.
    """

    FILE = "file"
    DIRECTORY = "directory"
    SYMLINK = "symlink"
    HARDLINK = "hardlink"
    LABEL = "label"
    OTHER = "other"


class Member(NamedTuple):
    """One member of a tar, with all of its bytes read.

    Names are text with the bytes that are not UTF-8 kept as lone surrogates (PEP 383), so that encoding
    with ``surrogateescape`` gives the stored bytes back.

    Attributes:
        name: path without leading ``./``, doubled ``/``, inner ``.`` and trailing ``/``; ``.`` for the root.
        kind: what it is.
        size: bytes of content: of a file, or of a folder whose content is passed over; else 0.
        offset: where the content begins in the (decompressed) stream, in bytes.
        digest: hexadecimal digest of the content; empty unless it is a file.
        link: for a symlink the target as stored, for a hard link the tidied name of the earlier member.
        unsafe: the name, or the target of a hard link, is absolute or has a ``..`` in it.
        crc: CRC-32 of the content of a file (that of zip, gzip and ``zlib.crc32``); else 0.
        mtime: when it was changed last, in whole seconds since 1970 UTC, as `bounded_mtime` gives them.
        start: where the first of its header blocks begins in the (decompressed) stream: what describes it
            alone included, so that from here on it can be cut out whole.
    """

    name: str
    kind: MemberKind
    size: int
    offset: int
    digest: str
    link: str
    unsafe: bool
    crc: int = 0
    mtime: int = 0
    start: int = 0


def bounded_mtime(seconds: int) -> int:
    """Give a time of change that every archive can hold, for one that may be anything.

    A time before 1970 becomes 0, one after `LATEST_MTIME` that. Parts of a second are cut off before.

    Args:
        seconds: since 1970 UTC.
    """
    return min(max(seconds, 0), LATEST_MTIME)


def tidy_name(path: str) -> str:
    """Give the one spelling of a path: no leading ``./``, doubled ``/``, inner ``.``, trailing ``/``.

    ``..`` and a leading ``/`` stay, for :func:`is_unsafe` to find.
    """
    short = path.removeprefix("./")
    if "//" not in short and "/." not in short and short[:1] not in "./" and short[-1] != "/":
        return short
    parts = [part for part in path.split("/") if part not in ("", ".")]
    root = "/" if path.startswith("/") else ""
    return root + "/".join(parts) or "."


def shown(name: str) -> str:
    """Write a name or a path for a message: quoted, odd characters escaped, at most 200 characters of it."""
    return repr(name[:_SHOWN]) + ("…" if len(name) > _SHOWN else "")


def is_unsafe(name: str) -> bool:
    """Tell whether a tidied path could lead out of the folder that it is unpacked in."""
    return name[:1] == "/" or (".." in name and ".." in name.split("/"))
