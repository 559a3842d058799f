"""Lists of files and datasets as compressed bytes, by chunks; the fingerprint of a datablock's entry."""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from scicat_retriever.domain.dataset import CataloguedDatablock, EntryKind, Extract, FileEntry, Selection
from scicat_retriever.domain.evidence import NO_ODDITIES, Oddities
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.likeness import Likeness, Matched

FILES_IN_CHUNK = 2000
"""Files in one chunk: some 200 kB of JSON.

Another number gives other fingerprints, so datablocks count as changed.
"""

_KIND = 3
"""Where an entry's kind stands in its row, if it has one."""


def pack_selections(selections: Sequence[Selection]) -> bytes:
    """Give a job's dataset list as compressed JSON."""
    return _pack([[s.pid, list(s.files)] for s in selections])


def unpack_selections(packed: bytes) -> tuple[Selection, ...]:
    """Undo `pack_selections`."""
    return tuple(Selection(DatasetPid(pid), tuple(files)) for pid, files in _unpack(packed))


def pack_extract(extract: Extract | None) -> str:
    """Give an extract as JSON: the whole datablock's id, its archive's bytes, the ranges.

    Empty text where there is no extract.
    """
    return "" if extract is None else json.dumps([extract.of, extract.archive_size, extract.ranges])


def unpack_extract(packed: str) -> Extract | None:
    """Undo `pack_extract`."""
    if not packed:
        return None
    of, archive_size, ranges = json.loads(packed)
    return Extract(DatablockId(of), archive_size, tuple((start, length) for start, length in ranges))


def pack_respelled(respelled: Mapping[str, str]) -> str:
    """Give chosen names and the catalogued paths that they mean as JSON; empty text where there are none."""
    return json.dumps(dict(respelled)) if respelled else ""


def unpack_respelled(packed: str) -> dict[str, str]:
    """Undo `pack_respelled`."""
    return dict(json.loads(packed)) if packed else {}


def pack_matched(matched: Sequence[Matched]) -> str:
    """Give kinds of likeness with their counts and examples as JSON; empty text where there are none."""
    return json.dumps([[each.kind, each.files, each.examples] for each in matched]) if matched else ""


def unpack_matched(packed: str) -> tuple[Matched, ...]:
    """Undo `pack_matched`."""
    return tuple(
        Matched(Likeness(kind), files, tuple((catalogued, archived) for catalogued, archived in examples))
        for kind, files, examples in (json.loads(packed) if packed else ())
    )


def pack_oddities(oddities: Oddities) -> str:
    """Give members passed over, members replaced, and tars, as JSON; empty text where nothing is odd."""
    told = [oddities.passed_over, oddities.replaced, oddities.tars]
    return "" if oddities == NO_ODDITIES else json.dumps(told)


def unpack_oddities(packed: str) -> Oddities:
    """Undo `pack_oddities`."""
    return Oddities(*json.loads(packed)) if packed else NO_ODDITIES


class Fingerprint:
    """A digest over what the catalogue says of a datablock: equal digests, equal entries.

    That an entry is a regular file is left out of the digest, since earlier versions did not read it: else
    each such datablock would count as changed.
    """

    def __init__(self, entry: CataloguedDatablock) -> None:
        block = entry.datablock
        header = [block.archive_id, block.size, block.packed_size, block.algorithm, block.file_count]
        self._digest = hashlib.blake2b(_json(header), digest_size=20)
        self._files = entry.files

    def chunks(self) -> Iterator[bytes]:
        """Give the file list as packed chunks, taking each into the digest."""
        for start in range(0, len(self._files), FILES_IN_CHUNK):
            rows = [_row(file) for file in self._files[start : start + FILES_IN_CHUNK]]
            raw = _json(rows)
            told = any(row[_KIND:] == [EntryKind.FILE] for row in rows)
            self._digest.update(_json([_without_file_kind(row) for row in rows]) if told else raw)
            yield zlib.compress(raw, level=3)

    def hexdigest(self) -> str:
        """Give the digest, once all chunks were taken."""
        return self._digest.hexdigest()


def unpack_files(chunks: Iterable[bytes]) -> Iterator[FileEntry]:
    """Give the files of packed chunks, unpacking one chunk at a time."""
    for chunk in chunks:
        for path, size, digest, *kind in _unpack(chunk):
            yield FileEntry(path, size, digest, EntryKind(kind[0]) if kind else None)


def _row(file: FileEntry) -> list[object]:
    row: list[object] = [file.path, file.size, file.digest]
    return row if file.kind is None else [*row, file.kind]


def _without_file_kind(row: list[object]) -> list[object]:
    return row[:_KIND] if row[_KIND:] == [EntryKind.FILE] else row


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _pack(value: object) -> bytes:
    return zlib.compress(_json(value), level=3)


def _unpack(packed: bytes) -> Any:  # noqa: ANN401
    return json.loads(zlib.decompress(packed))
