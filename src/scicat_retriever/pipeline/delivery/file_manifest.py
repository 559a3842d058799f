"""The manifest for people and their programs: `manifest.json`, all that a retrieval holds, file by file.

It is one JSON object (RFC 8259) in UTF-8, so written that each dataset, datablock and file has a line of its
own. It is made anew for each reader, a batch of files at a time. As long as what it tells of stays as it is,
so do its bytes: nothing in it says when it was asked for. `docs/reference/file-manifest.md` says what is in
it.
"""

from __future__ import annotations

import base64
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from scicat_retriever.computed.entries import Entry, EntryKind
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.pipeline.delivery.contents import Contents, Source
from scicat_retriever.pipeline.delivery.lists import PROGRAMS, in_lists, list_name

NAME = "manifest.json"
FORMAT, VERSION = "scicat-retriever-manifest", 1
_COMPARED = {Integrity.VERIFIED: "checksum", Integrity.SIZE_ONLY: "size"}
_encoded = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_string: Callable[[str], str] = json.encoder.encode_basestring
"""Writes a text as JSON, in UTF-8."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a manifest says of the retrieval.

    Attributes:
        service: The version of the service.
        job_id: The job.
        missing: Datasets of the job that should be in it and are not: failed, on their way, or gone.
    """

    service: str
    job_id: JobId
    missing: Sequence[DatasetPid] = ()


def file_manifest(contents: Contents, head: Head) -> Iterator[bytes]:
    """Write the manifest, a batch of files at a time.

    Args:
        contents: The files.
        head: What is said before them.
    """
    its = {"format": FORMAT, "version": VERSION, "service": head.service, "job": head.job_id}
    yield f"{_encoded(its)[:-1]},\n".encode()
    yield from _array("missing", ([_encoded(pid)] for pid in head.missing))
    yield from _array("datasets", ([_encoded(each)] for each in _datasets(contents.sources)))
    yield from _array("datablocks", ([_encoded(_datablock(each))] for each in contents.sources))
    sums = _Sums()
    yield from _array("files", (_files(contents, index, sums) for index in range(len(contents))))
    yield f"{_encoded(sums.told())[1:]}\n".encode()


class _Sums:
    """What is counted while files go by."""

    def __init__(self) -> None:
        self.kinds = Counter[EntryKind]()
        self.size = self.by_size_alone = 0
        self.by = Counter[ChecksumAlgorithm]()

    def told(self) -> dict[str, Any]:
        lists = [
            {"name": list_name(each), "algorithm": each, "files": self.by[each]}
            for each in PROGRAMS
            if self.by[each]
        ]
        return {
            "lists": lists,
            "algorithmsWithoutList": [
                each for each in ChecksumAlgorithm if self.by[each] and each not in PROGRAMS
            ],
            "filesComparedBySizeAlone": self.by_size_alone,
            "fileCount": self.kinds[EntryKind.FILE],
            "folderCount": self.kinds[EntryKind.FOLDER],
            "linkCount": self.kinds[EntryKind.SYMLINK],
            "bytes": self.size,
        }


def _array(name: str, batches: Iterable[Iterable[str]]) -> Iterator[bytes]:
    """Write a member whose value is an array, and a comma behind it: a line for each of its values."""
    yield f'"{name}":['.encode()
    comma = "\n"
    for batch in batches:
        lines = ",\n".join(batch)
        if lines:
            yield f"{comma}{lines}".encode()
            comma = ",\n"
    yield b"],\n"


def _datasets(sources: Sequence[Source]) -> Iterator[dict[str, Any]]:
    by_folder: dict[str, list[Source]] = {}
    for each in sources:
        by_folder.setdefault(each.folder, []).append(each)
    for folder, its in by_folder.items():
        times = [each.record.staged_at for each in its if each.record.staged_at is not None]
        yield {
            "pid": its[0].record.key.pid,
            "folder": folder,
            **_text("sourceFolder", its[0].source_folder),
            "retrieved": _moment(max(times, default=None)),
            "compared": "checksum" if all(in_lists(each.record) for each in its) else "size",
        }


def _datablock(source: Source) -> dict[str, Any]:
    record = source.record
    return {
        "id": record.key.id,
        "dataset": record.key.pid,
        "archive": record.datablock.archive_id,
        "size": record.bytes_total,
        "checksum": record.archive_checksum,
        "verified": _moment(record.staged_at),
        "compared": None if record.integrity is None else _COMPARED[record.integrity],
    }


def _files(contents: Contents, index: int, sums: _Sums) -> Iterator[str]:
    source = contents.sources[contents.source_of(index)]
    hashing, datablock = source.manifest.hashing, _string(source.record.key.id)
    places = [(each.value, place) for each in hashing.algorithms if (place := hashing.place(each))]
    originals = contents.originals(index)
    batch = contents[index]
    kinds = Counter(batch.kinds)
    for entry in batch.entries():
        # Of any year that has four digits: `onepass.member.bounded_mtime`.
        mtime = f"{datetime.fromtimestamp(entry.mtime, UTC).isoformat()[: -len('+00:00')]}Z"
        if entry.kind is EntryKind.FILE:
            # Written by hand, as there may be a million: an encoder of any values takes half as long again.
            digests = ",".join([f'"{each}":"{entry.digest[place]}"' for each, place in places])
            told = (
                f'"size":{entry.size},"mtime":"{mtime}","checksums":{{{digests}}},"crc32":"{entry.crc:08x}"'
            )
            sums.size += entry.size
        else:
            told = _encoded({"kind": entry.kind, "mtime": mtime, **_target(entry)})[1:-1]
        name = _encoded(_text("original", originals[entry.path])) if entry.path in originals else ""
        more = f",{name[1:-1]}" if name else ""
        yield f'{{"path":{_string(entry.path)},{told},"datablock":{datablock}{more}}}'
    sums.kinds.update(kinds)
    count = kinds[EntryKind.FILE]
    if in_lists(source.record):
        sums.by.update(dict.fromkeys(hashing.algorithms, count))
    else:
        sums.by_size_alone += count


def _target(entry: Entry) -> Mapping[str, Any]:
    return _text("target", entry.link) if entry.kind is EntryKind.SYMLINK else {}


def _text(name: str, text: str | None) -> Mapping[str, str | None]:
    """Tell a text; bytes in it that are no UTF-8 (lone surrogates, PEP 383) have no place in JSON.

    They are shown as U+FFFD, and all bytes are told in base64 beside.
    """
    try:
        (text or "").encode()
    except UnicodeEncodeError:
        raw = (text or "").encode("utf-8", "surrogateescape")
        return {name: raw.decode("utf-8", "replace"), f"{name}Base64": base64.b64encode(raw).decode()}
    return {name: text}


def _moment(time: datetime | None) -> str | None:
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
