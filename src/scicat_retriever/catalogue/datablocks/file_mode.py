"""`perm` of a file in SciCat's lists: free text, in which ingestors write the file system's mode."""

from __future__ import annotations

import re
import stat

from scicat_retriever.domain.dataset import EntryKind

_LETTERS = re.compile(r"([-dlL])[a-zA-Z]?[-rwxsStTl]{9}[.+@]?\Z")
"""`ls -l` (`drwxr-xr-x`, with a mark of further rights), `stat.filemode` of Python, `FileMode` of Go.

Go writes links with a large letter: `Lrwxrwxrwx`.
"""
_OCTAL = re.compile(r"(?:0o|0)?([0-7]{5,6})\Z")
"""`st_mode` in octal digits, kind and all: `40755`, `040755`, Python's `oct` (`0o40755`)."""
_DECIMAL = re.compile(r"[1-6][0-9]{4}\Z")
_LINKS_IN_DECIMAL = frozenset(str(stat.S_IFLNK | bits) for bits in (0o777, 0o755))
"""The modes that Linux (41471) and macOS (41453) give symbolic links, in decimal digits.

As octal digits these would be folders that their owner cannot enter.
"""
_LETTER_KINDS = {"-": EntryKind.FILE, "d": EntryKind.FOLDER, "l": EntryKind.LINK, "L": EntryKind.LINK}
_KINDS = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFLNK: EntryKind.LINK}
_NO_TYPES = frozenset((0o030000, 0o050000, 0o070000, 0o110000, 0o130000, 0o150000, 0o160000, 0o170000))


def kind_by_mode(perm: object) -> EntryKind | None:
    """Say whether a `perm` is that of a regular file, a folder or a symbolic link; None where it is neither.

    Permission bits alone (`0755`, `rwxr-xr-x`) do not say. Five digits are octal where they can be; `16877`
    and `33261` cannot, and `41471` is the mode of each symbolic link on Linux.

    Args:
        perm: The JSON value, whatever SciCat holds.
    """
    if isinstance(perm, int) and not isinstance(perm, bool):
        return _kind(perm)
    text = perm.strip() if isinstance(perm, str) else ""
    if found := _LETTERS.match(text):
        return _LETTER_KINDS[found[1]]
    if text in _LINKS_IN_DECIMAL:
        return EntryKind.LINK
    found = _OCTAL.match(text)
    if found and stat.S_IFMT(int(found[1], 8)) not in _NO_TYPES:
        return _kind(int(found[1], 8))
    return _kind(int(text)) if _DECIMAL.match(text) else None


def _kind(mode: int) -> EntryKind | None:
    return _KINDS.get(stat.S_IFMT(mode)) if 0 <= mode < 1 << 16 else None
