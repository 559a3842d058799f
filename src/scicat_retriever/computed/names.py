"""Paths and link targets as an archive holds them: UTF-8, and none that it could not hold."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from scicat_retriever.computed.entries import Batch, EntryKind
from scicat_retriever.computed.errors import BadEntry

LONGEST = 65_534
"""Most bytes of a path or a link target: a zip counts them in 16 bits, and a folder gets a ``/``."""

_NO_PARTS = frozenset((b"", b".", b".."))
_SHOWN = 200


class Names(NamedTuple):
    """The encoded names of a batch.

    Attributes:
        paths: the paths; those of folders end with ``/``.
        links: the targets of symbolic links; empty for everything else.
    """

    paths: list[bytes]
    links: list[bytes]


def names_of(batch: Batch) -> Names:
    """Encode the names of a batch, and look at its kinds.

    Raises:
        BadEntry: a name is not Unicode, has a NUL or more than :data:`LONGEST` bytes; a path is absolute, or
            has an empty part, ``.`` or ``..``; what is no file has content; a symbolic link has no target, or
            something else has one.
    """
    count = len(batch.paths)
    paths = _encoded(batch.paths)
    parts = b"/".join((b"", *paths, b""))
    if count and (b"//" in parts or b"/." in parts):
        for path, name in zip(paths, batch.paths, strict=True):
            if not _NO_PARTS.isdisjoint(path.split(b"/")):
                raise BadEntry(f"{_shown(name)} is absolute, or has an empty part, '.' or '..'")
    if batch.kinds.count(EntryKind.FILE) == count and not any(batch.links):
        return Names(paths, [b""] * count)
    links = _encoded(batch.links)
    for index, entry in enumerate(batch.entries()):
        if (entry.kind is EntryKind.SYMLINK) != bool(entry.link):
            raise BadEntry(f"{_shown(entry.path)}: a symbolic link has a target, and nothing else has one")
        if entry.kind is EntryKind.FOLDER:
            paths[index] += b"/"
        if entry.kind is not EntryKind.FILE and entry.size:
            raise BadEntry(f"{_shown(entry.path)} has content, but is a {entry.kind}")
    return Names(paths, links)


def _encoded(names: Sequence[str]) -> list[bytes]:
    if not names:
        return []
    try:
        encoded = "\0".join(names).encode().split(b"\0")
    except UnicodeEncodeError as error:
        raise BadEntry(f"{_shown(_first_beyond_unicode(names))} cannot be written as UTF-8") from error
    if len(encoded) != len(names):
        broken = next(name for name in names if "\0" in name)
        raise BadEntry(f"{_shown(broken)} has a NUL")
    longest = max(encoded, key=len)
    if len(longest) > LONGEST:
        raise BadEntry(f"{_shown(longest.decode())} has {len(longest)} bytes; the most are {LONGEST}")
    return encoded


def _first_beyond_unicode(names: Sequence[str]) -> str:
    return next(name for name in names if any("\ud800" <= letter <= "\udfff" for letter in name))


def _shown(name: str) -> str:
    return ascii(name[:_SHOWN]) + ("..." if len(name) > _SHOWN else "")
