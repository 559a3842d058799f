"""Names of downloaded files: `<dataset>__<archive>`, no two alike within a job, usable on every file system.

People put the files of a job into one folder. Archives of several datasets are often called alike (`1.tar`),
and some file systems take `A.tar` and `a.tar`, or two spellings of an accent, for the same file.
"""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from urllib.parse import quote

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatasetPid

LONGEST_NAME = 240
"""Bytes of a name in UTF-8. File systems take 255; browsers add ` (1)` or `.part`."""
_LONGEST_ENDING = len("~0123456789abcdef")
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_FORBIDDEN = frozenset('/\\:*?"<>|')
"""What Windows takes in no name; browsers replace them there, and then names would be alike again."""


def download_name(pid: DatasetPid, archive_id: ArchiveId) -> str:
    """Name the file of an archive by its dataset and the last part of the archiveId, ending in `.tar`."""
    archive = PurePosixPath(archive_id).name or "datablock"
    stem, ending = _split(_tame(archive))
    room = LONGEST_NAME - _LONGEST_ENDING - len(ending.encode())
    # Of long names the archive's is kept: it tells the files of a dataset apart.
    stem = _cut(stem, room * 2 // 3)
    name = f"{_cut(_tame(pid), room - len(stem.encode()) - 2)}__{stem}{ending}"
    return f"_{name[1:]}" if name.startswith((".", "-", "~")) else name


def download_names(archives: Iterable[tuple[DatablockKey, ArchiveId]]) -> Mapping[DatablockKey, str]:
    """Name the files of a job.

    Where names would be alike, each of them gets some digits that only its datablock has.
    """
    plain = {key: download_name(key.pid, archive_id) for key, archive_id in archives}
    counts = Counter(spelling for name in plain.values() for spelling in _spellings(name))
    return {
        key: name if all(counts[each] == 1 for each in _spellings(name)) else _marked(name, key, counts)
        for key, name in plain.items()
    }


def attachment(name: str) -> str:
    """Write the header `Content-Disposition` (RFC 6266) that has a file saved under a name.

    Clients that know no `filename*` (curl, wget, older ones) get the same name as far as ASCII goes.
    """
    return f"attachment; filename=\"{_in_ascii(name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def _marked(name: str, key: DatablockKey, taken: Mapping[str, int]) -> str:
    stem, ending = _split(name)
    digits = hashlib.sha256(json.dumps([key.pid, key.id]).encode()).hexdigest()[: _LONGEST_ENDING - 1]
    marked = f"{stem}~{digits[:12]}{ending}"
    return f"{stem}~{digits}{ending}" if any(each in taken for each in _spellings(marked)) else marked


def _split(name: str) -> tuple[str, str]:
    for ending in sorted(_ARCHIVE_SUFFIXES, key=len, reverse=True):
        if name.lower().endswith(ending):
            return name[: -len(ending)], name[-len(ending) :]
    return name, ".tar"


def _tame(text: str) -> str:
    return "".join(each if each.isprintable() and each not in _FORBIDDEN else "_" for each in text)


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore")


def _in_ascii(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(each if " " <= each <= "~" and each not in '"\\%' else "_" for each in kept)


def _spellings(name: str) -> set[str]:
    """Give a key that is the same for all names that a file system or an ASCII client takes for one."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return {f"folded {folded}", f"ascii {_in_ascii(name).casefold()}"}
