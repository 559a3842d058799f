"""The kernel's errors on a staging folder, as errors of the service that say what to do."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from scicat_retriever.domain.errors import NoSpaceYet, StagedFileMissing, StagingWriteFailed

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Codes that mean: there is no space, or none for this user."""
_GIVEN_BACK = NO_ROOM - {errno.EFBIG}
"""Codes of these where others may give back what is missing."""
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


@contextmanager
def explained(what: str, path: Path, area: Path) -> Iterator[None]:
    """Turn an error of the kernel into one of the service.

    Args:
        what: What was being done to the path, such as "be read".
        path: The file or folder.
        area: A folder that is there for as long as the staging area is.

    Raises:
        StagedFileMissing: The path is not there, while the area is.
        StagingWriteFailed: Anything else.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.isdir(area):  # noqa: PTH112 - Path's may raise
            raise StagedFileMissing(f"{path} cannot {what}: it is not there") from error
        raise staging_error(what, path, error) from error


@contextmanager
def waiting_for_room(path: Path) -> Iterator[None]:
    """Turn an error for want of room into `NoSpaceYet`, which is waited for: others will give some back.

    A file system may be out of inodes while it has bytes, and says the same then (ENOSPC, open(2)).

    Raises:
        NoSpaceYet: There is no room for the file or folder.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _GIVEN_BACK:
            raise
        with suppress(OSError):  # its folder may just have been made for it; one that holds something stays
            path.parent.rmdir()
        raise NoSpaceYet(
            f"{path.parent} has no room for another file: the file system, its inodes, or the user's quota are used up; "
            "free some"
        ) from error


def staging_error(what: str, path: Path, error: OSError) -> StagingWriteFailed:
    """Make the error of a path: what the kernel said of it, and who can do something about it."""
    if error.errno == errno.ENOENT:
        advice = "the staging area's folders are gone; mount it, or start the service again to have them made"
    elif error.errno in NO_ROOM:
        advice = "the file system or the user's quota is full; free some space"
    elif error.errno == errno.EROFS:
        advice = "the file system is mounted read-only; mount it for writing"
    elif error.errno in _FORBIDDEN:
        advice = f"user id {os.geteuid()} has no right to; give it to the user of the service"
    else:
        advice = f"{error.strerror}; look after the staging file system"
    return StagingWriteFailed(f"{path} cannot {what}: {advice}")
