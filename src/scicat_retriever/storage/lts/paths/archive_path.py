"""From an archiveId to a path below the store's root, without touching the file system.

archiveIds come from the catalogue and are not trusted. Those in the wild are plain names, relative paths and
absolute paths as the machine saw them that wrote the archive.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from scicat_retriever.domain.errors import ArchiveIdUnsafe
from scicat_retriever.domain.ids import ArchiveId

_DOT_COMMAND = ".("
"""The beginning of file names that dCache makes up over NFS: `.(access)(PNFSID)` is any of its files."""

_FIELD = re.compile(r"\{archive_id(?:\[(-?\d{1,3})?:(-?\d{1,3})?\])?\}")


class PathTemplate:
    """A text with `{archive_id}` and slices of it such as `{archive_id[0:2]}`; no other braces are allowed.

    Slices are Python's: `[0:2]` the first two characters, `[-3:]` the last three, `[2:]` all but the first
    two. Deliberately not `str.format`, which would give access to attributes.
    """

    def __init__(self, text: str) -> None:
        """Read the template.

        Raises:
            ValueError: The template cannot be used; the message says why.
        """
        self._pieces: list[str | slice] = []
        end = 0
        for match in _FIELD.finditer(text):
            start, stop = (int(bound) if bound else None for bound in match.groups())
            self._pieces += [text[end : match.start()], slice(start, stop)]
            end = match.end()
        self._pieces.append(text[end:])
        self._refuse_unusable()

    def expand(self, archive_id: str) -> str:
        """Put the archiveId in."""
        return "".join(archive_id[piece] if isinstance(piece, slice) else piece for piece in self._pieces)

    def _refuse_unusable(self) -> None:
        literal = "".join(piece for piece in self._pieces if isinstance(piece, str))
        slices = [piece for piece in self._pieces if isinstance(piece, slice)]
        if "{" in literal or "}" in literal:
            raise ValueError(
                "only {archive_id} and slices of it such as {archive_id[0:2]} may stand in braces"
            )
        if "\0" in literal or ".." in literal:
            raise ValueError("a path template must not hold '..' or NUL")
        if str(self._pieces[0]).startswith("/"):
            raise ValueError("a path template is relative to the root: it must not begin with '/'")
        bounds = [abs(bound) for piece in slices for bound in (piece.start, piece.stop) if bound is not None]
        for length in range(1, 2 * max(bounds, default=0) + 2):
            if {position for piece in slices for position in range(length)[piece]} != set(range(length)):
                raise ValueError(
                    "every character of {archive_id} must be used, or archives would share a path"
                )


def path_below_root(
    archive_id: ArchiveId, template: PathTemplate, catalogued_root: PurePosixPath
) -> tuple[str, ...]:
    """Give the folders and the file name of an archive, relative to the store's root.

    An absolute archiveId is the path of the file itself, so the template does not apply to it.

    Args:
        archive_id: The archiveId, as catalogued.
        template: The template, for archiveIds that are not absolute.
        catalogued_root: The path that absolute archiveIds begin with, in place of the store's root.

    Raises:
        ArchiveIdUnsafe: The archiveId names no file below the root, or is no usable file name.
    """
    _refuse_bad_text(archive_id)
    if not archive_id.startswith("/"):
        parts = _steps(template.expand(archive_id), archive_id)
    else:
        root, steps = catalogued_root.parts[1:], _steps(archive_id, archive_id)
        if steps[: len(root)] != root:
            raise ArchiveIdUnsafe(
                f"the archiveId {archive_id!r} is an absolute path outside {catalogued_root}: correct the catalogue, "
                "or the store's `catalogued_root`"
            )
        parts = steps[len(root) :]
    if not parts:
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} names the store itself, not a file in it")
    return parts


def _refuse_bad_text(archive_id: str) -> None:
    try:
        encoded = archive_id.encode("utf-8", "surrogateescape")  # as os.fsencode: names that are not UTF-8
    except UnicodeEncodeError:
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} cannot be a file name") from None
    if not encoded or b"\0" in encoded:
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} cannot be a file name")
    if ".." in archive_id.split("/"):
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} climbs out of its folder by '..'")


def _steps(path: str, archive_id: str) -> tuple[str, ...]:
    steps = tuple(step for step in path.split("/") if step not in {"", "."})
    if ".." in steps:
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} makes a path with '..'")
    if any(step.startswith(_DOT_COMMAND) for step in steps):
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} makes a path with a command of dCache, '.(...)'")
    return steps
