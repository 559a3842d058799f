"""One entry of SciCat's datablock lists -> the domain."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from scicat_retriever.catalogue.datablocks.file_mode import kind_by_mode
from scicat_retriever.catalogue.errors import cleaned
from scicat_retriever.catalogue.wire import amount
from scicat_retriever.domain.dataset import CataloguedDatablock, Datablock, EntryKind, FileEntry
from scicat_retriever.domain.errors import CatalogueEntryInvalid
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid

_HEX_DIGEST = re.compile(r"(?:.*:)?\s*[0-9a-fx]+\Z", re.IGNORECASE | re.DOTALL)

MAX_NAME = 2048
"""Characters of a datablock's id or archiveId: it goes into links, messages and database keys."""


def datablock_from(entry: object, pid: DatasetPid, position: int) -> CataloguedDatablock:
    """Read a datablock: `{id, datasetId, archiveId, size, packedSize, chkAlg, dataFileList}`.

    Of each file, `path`, `size`, `chk` and `perm` are read.

    Args:
        entry: The JSON value.
        pid: The dataset whose datablocks were asked for.
        position: The datablock's position in the list, which names it if it has no id.

    Raises:
        CatalogueEntryInvalid: The entry cannot be worked with.
    """
    if not isinstance(entry, Mapping):
        raise CatalogueEntryInvalid(f"Datablock no. {position + 1} of dataset {pid} is no object")
    reader = _Reader(f"Datablock {_named(entry, position)} of dataset {pid}")
    if entry.get("datasetId") not in (None, pid):
        raise reader.invalid("belongs to another dataset")
    files = entry.get("dataFileList")
    if not isinstance(files, list):
        raise reader.invalid("has no dataFileList")
    block = Datablock(
        id=DatablockId(reader.text(entry.get("id") or entry.get("_id"), "id")),
        pid=pid,
        archive_id=ArchiveId(reader.text(entry.get("archiveId"), "archiveId")),
        size=reader.amount(entry.get("size"), "size"),
        packed_size=0
        if entry.get("packedSize") is None
        else reader.amount(entry["packedSize"], "packedSize"),
        algorithm=reader.optional(entry.get("chkAlg"), "chkAlg"),
        file_count=len(files),
    )
    return CataloguedDatablock(block, tuple(reader.file(file, index) for index, file in enumerate(files)))


class _Reader:
    """Reads the fields of one entry, and names the entry in every error."""

    def __init__(self, subject: str) -> None:
        self._subject = subject

    def invalid(self, what: str) -> CatalogueEntryInvalid:
        return CatalogueEntryInvalid(f"{self._subject} {what}")

    def file(self, value: object, index: int) -> FileEntry:
        where = f"dataFileList[{index}]"
        if not isinstance(value, Mapping):
            raise self.invalid(f"has no object at {where}")
        digest = self.optional(value.get("chk"), f"{where}.chk")
        kind = kind_by_mode(value.get("perm"))
        return FileEntry(
            path=self.text(value.get("path"), f"{where}.path"),
            size=self.amount(value.get("size"), f"{where}.size"),
            # Base64 has digits in either case.
            digest=digest.lower() if digest is not None and _HEX_DIGEST.match(digest) else digest,
            # What has a checksum is known to be a file: its row in the ledger stays what it always was.
            kind=None if kind is EntryKind.FILE and digest is not None else kind,
        )

    def text(self, value: object, field: str) -> str:
        if not isinstance(value, str) or not value or len(value) > MAX_NAME or not is_storable(value):
            raise self.invalid(f"has no usable {field}")
        return value

    def amount(self, value: object, field: str) -> int:
        read = amount(value)
        if read is None:
            raise self.invalid(f"has a {field} that is no whole number of bytes")
        return read

    def optional(self, value: object, field: str) -> str | None:
        if value is not None and not isinstance(value, str):
            raise self.invalid(f"has a {field} that is no text")
        return (value or "").strip() or None


def _named(entry: Mapping[str, Any], position: int) -> str:
    for key in ("id", "_id", "archiveId"):
        if isinstance(entry.get(key), str) and entry[key]:
            return cleaned(entry[key])
    return f"no. {position + 1}"


def is_storable(text: str) -> bool:
    """Say whether a name can stand in a URL and a database: no NUL, no half of a surrogate pair."""
    return not any(character == "\0" or "\ud800" <= character <= "\udfff" for character in text)
