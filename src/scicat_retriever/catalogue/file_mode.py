"""`perm` of a file in SciCat's lists: free text, in which ingestors write what the file system says."""

from __future__ import annotations

import re
import stat

from scicat_retriever.domain.dataset import EntryKind

_LETTERS = re.compile(r"[dlL][-a-zA-Z]{9,10}[.+@]?\Z")
"""`ls -l` (`drwxr-xr-x`, with a mark of further rights), Python's `stat.filemode`, and Go's `FileMode` (`Lrwxrwxrwx`)."""
_OCTAL = re.compile(r"(?:0o|0)?([0-7]{5,6})\Z")
"""`st_mode` in octal digits, kind and all: `40755`, `040755`, Python's `oct` (`0o40755`)."""
_DECIMAL = re.compile(r"[1-6][0-9]{4}\Z")
_KINDS = ((stat.S_ISDIR, EntryKind.FOLDER), (stat.S_ISLNK, EntryKind.LINK))


def kind_by_mode(perm: object) -> EntryKind | None:
    """Say whether a file's `perm` is that of a folder or a symbolic link; None for a file, and for what says neither.

    Bits alone (`0755`, `rwxr-xr-x`) say neither. Five digits are octal where they can be; `16877` cannot.

    Args:
        perm: The JSON value: whatever SciCat holds.
    """
    if isinstance(perm, int) and not isinstance(perm, bool):
        return _kind(perm)
    text = perm.strip() if isinstance(perm, str) else ""
    if _LETTERS.match(text):
        return EntryKind.FOLDER if text[0] == "d" else EntryKind.LINK
    if found := _OCTAL.match(text):
        return _kind(int(found[1], 8))
    return _kind(int(text)) if _DECIMAL.match(text) else None


def _kind(mode: int) -> EntryKind | None:
    known = 0 <= mode < 1 << 16
    return next((kind for is_kind, kind in _KINDS if known and is_kind(mode)), None)
