"""From an archiveId to the key of an object. archiveIds come from the catalogue and are not trusted."""

from __future__ import annotations

from pathlib import PurePosixPath

from scicat_retriever.domain.errors import ArchiveIdUnsafe
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate

_LONGEST_KEY = 1024
"""Bytes of UTF-8: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html."""


def key_of(archive_id: ArchiveId, template: PathTemplate, catalogued_root: PurePosixPath | None) -> str:
    """Give the key of an archive. A key is taken literally: `a//b` and `a/b` are two objects.

    Args:
        archive_id: The archiveId, as catalogued.
        template: Makes the key.
        catalogued_root: What absolute archiveIds begin with; the rest goes into the template.

    Raises:
        ArchiveIdUnsafe: The archiveId makes no key, or a key that could be taken for another one.
    """
    key = template.expand(_relative(archive_id, catalogued_root))
    try:
        length = len(key.encode())
    except UnicodeEncodeError:
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} is no text that can be a key") from None
    if not 0 < length <= _LONGEST_KEY or "\0" in key:
        raise ArchiveIdUnsafe(
            f"the archiveId {archive_id[:100]!r} cannot be a key: 1 to {_LONGEST_KEY} bytes, no NUL"
        )
    # HTTP libraries and proxies take such steps out of a URL's path (RFC 3986, 5.2.4): another object would
    # be read.
    if {".", ".."} & set(key.split("/")):
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} makes a key with the step '.' or '..'")
    if key.startswith("/"):
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} makes a key that begins with '/'")
    return key


def _relative(archive_id: ArchiveId, catalogued_root: PurePosixPath | None) -> str:
    if not archive_id:
        raise ArchiveIdUnsafe("the archiveId is empty")
    if ".." in archive_id.split("/"):  # before it is sliced by the template
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} climbs out of its folder by '..'")
    if not archive_id.startswith("/"):
        return archive_id
    beginning = "" if catalogued_root is None else f"{str(catalogued_root).rstrip('/')}/"
    if not beginning or not archive_id.startswith(beginning) or len(archive_id) == len(beginning):
        raise ArchiveIdUnsafe(
            f"the archiveId {archive_id!r} is an absolute path outside {catalogued_root or 'the store'}: correct the "
            "catalogue, or the store's `catalogued_root`"
        )
    return archive_id.removeprefix(beginning)
