"""Looking into a dataset of a retrieval: the folders and files of a folder, and one file by its path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from scicat_retriever.computed.entries import Entry, EntryKind
from scicat_retriever.pipeline.delivery.contents import Contents


@dataclass(frozen=True, slots=True)
class Listing:
    """Some of what a folder holds, by name.

    Attributes:
        folders: Names of folders.
        files: Names of files, and their bytes.
        last: The last name that is given; None where nothing follows.
    """

    folders: tuple[str, ...]
    files: tuple[tuple[str, int], ...]
    last: str | None


def listing(contents: Contents, folder: str, after: str, limit: int) -> Listing | None:
    """List a folder; None where there is no such folder.

    Args:
        contents: The files.
        folder: Its path in the archive, without a `/` at the end.
        after: The name that the names given are behind; empty for the first ones.
        limit: The most names.
    """
    folders: set[str] = set()
    files: dict[str, int] = {}
    begin, is_there = f"{folder}/", False
    for entry in _entries(contents):
        if not entry.path.startswith(begin):
            is_there = is_there or entry.path == folder
            continue
        is_there = True
        name, below, _ = entry.path[len(begin) :].partition("/")
        if below or entry.kind is EntryKind.FOLDER:
            folders.add(name)
        else:
            files[name] = entry.size
    if not is_there:
        return None
    names = sorted(each for each in folders | files.keys() if each > after)
    given = names[:limit]
    return Listing(
        tuple(each for each in given if each in folders),
        tuple((each, files[each]) for each in given if each in files),
        given[-1] if len(names) > limit else None,
    )


def file_at(contents: Contents, path: str) -> Entry | None:
    """Give the file of a path in the archive; None where there is none."""
    for index in range(len(contents)):
        batch = contents[index]
        if path in batch.paths:
            entry = Entry(*(column[batch.paths.index(path)] for column in batch))  # type: ignore[arg-type]
            return entry if entry.kind is EntryKind.FILE else None
    return None


def _entries(contents: Contents) -> Iterator[Entry]:
    for index in range(len(contents)):
        yield from contents[index].entries()
