"""Names that a person understands and every file system takes, no two alike within a job.

- The folder of a dataset: its `datasetName`, or the last part of its `sourceFolder`, or its pid.
- A file within it: its catalogued path, relative to the `sourceFolder`.
- The file of a datablock: `<dataset>__<archive>`.

People put the files of a job into one folder. Archives of several datasets are often called alike (`1.tar`),
and some file systems take `A.tar` and `a.tar`, or two spellings of an accent, for the same file.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import PurePosixPath
from urllib.parse import quote

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import ArchiveId, DatasetPid
from scicat_retriever.ports.titles import Title

LONGEST_NAME = 240
"""Bytes of a name in UTF-8. File systems take 255; browsers add ` (1)` or `.part`."""
_LONGEST_ENDING = len("~0123456789abcdef")
_ARCHIVE_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_PLAIN_PID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,59}")
"""Pids that stand whole, as they are, in front of each name of their datablocks, in every spelling of it."""
_FORBIDDEN = frozenset('/\\:*?"<>|')
"""What Windows takes in no name; browsers replace them there, and then names would be alike again."""
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?:\..*)?\Z", re.IGNORECASE
)
"""What Windows takes for devices, with any ending (Microsoft, "Naming Files, Paths, and Namespaces")."""
_ODD = ("//", "\0/", "/\0", " /", " \0", "./", ".\0")
"""What paths that need no change have nowhere, written with a NUL before and behind each."""
_PERHAPS_RESERVED = re.compile(r"[/\0](?:con|prn|aux|nul|com|lpt)")
"""What they may have, in small letters, but need a closer look for."""
LONGEST_FOLDER = 100
"""Bytes of the name of a dataset's folder, in UTF-8: Windows takes 260 characters for a whole path."""
_DIGITS = 8
"""Digits that tell altered names apart."""


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


def may_be_alike(pid: DatasetPid, pids: Iterable[DatasetPid]) -> Iterator[DatasetPid]:
    """Give those of a job's datasets without whose datablocks a dataset's cannot be named, itself among them.

    That is all that may have a name alike; it spares reading the whole of a job for the names of one dataset.
    """
    own = _beginning(pid)
    for each in pids:
        other = _beginning(each)
        if own.startswith(other) or other.startswith(own) or not (own and other):
            yield each


def folder_names(titles: Mapping[DatasetPid, Title | None]) -> Mapping[DatasetPid, str]:
    """Name the folders of a job's datasets.

    Where names would be alike, each of them gets some digits that only its dataset has.

    Args:
        titles: What SciCat calls the datasets, all of the job; None where that is not known.
    """
    plain = {pid: _folder_name(pid, title) for pid, title in titles.items()}
    counts = Counter(spelling for name in plain.values() for spelling in _spellings(name))
    return {
        pid: name if all(counts[each] == 1 for each in _spellings(name)) else f"{name}~{_digits(pid, 12)}"
        for pid, name in plain.items()
    }


def relative_path(path: str, source_folder: str | None) -> str:
    """Give a catalogued path relative to the `sourceFolder`; one that lies elsewhere, relative to `/`."""
    folder = "" if source_folder is None else source_folder.rstrip("/")
    inside = path.removeprefix(f"{folder}/") if folder.startswith("/") else path
    return inside.lstrip("/")


def usable_path(path: str) -> str:
    """Give a relative path whose parts Linux, macOS and Windows take.

    A part that one of them refuses is altered, and gets digits of its own, so that no two become alike that
    were not. Names that differ by case alone stay as they are.

    Args:
        path: Relative, its parts separated by `/`; bytes that are no UTF-8 as lone surrogates (PEP 383).
    """
    return "/".join(_usable(part) for part in path.split("/"))


def usable_paths(paths: Sequence[str]) -> list[str]:
    """Give many paths as `usable_path` gives each, and empty ones as they are."""
    # Looking at all of them at once takes a twentieth of the time.
    joined = "\0".join(("", *filter(None, paths), ""))
    longest = LONGEST_NAME if joined.isascii() else LONGEST_NAME // 4
    if (
        len(max(paths, key=len, default="")) <= longest
        and joined.replace("\0", "").isprintable()
        and (_FORBIDDEN - {"/"}).isdisjoint(joined)
        and not any(each in joined for each in _ODD)
        and _PERHAPS_RESERVED.search(joined.lower()) is None
    ):
        return list(paths)
    return [usable_path(path) if path else "" for path in paths]


def attachment(name: str) -> str:
    """Write the header `Content-Disposition` (RFC 6266) that has a file saved under a name.

    Clients that know no `filename*` (curl, wget, older ones) get the same name as far as ASCII goes.
    """
    return f"attachment; filename=\"{_in_ascii(name)}\"; filename*=UTF-8''{quote(name, safe='')}"


def _beginning(pid: DatasetPid) -> str:
    """Give what each name of a dataset's datablocks begins with, in small letters; else empty."""
    return f"{_tame(pid)}__".lower() if _PLAIN_PID.fullmatch(pid) else ""


def _folder_name(pid: DatasetPid, title: Title | None) -> str:
    named = title is not None and title.name != pid and title.name.strip()
    told = title.name if title is not None and named else _last_part(title) or pid
    name = _cut(_tame(told).strip(" ."), LONGEST_FOLDER).rstrip(" .")
    return f"_{name}" if not name or name[0] in "-~" or _RESERVED.match(name) else name


def _last_part(title: Title | None) -> str:
    return "" if title is None else PurePosixPath(title.source_folder or "").name


def _usable(part: str) -> str:
    tame = "".join("_" if each in _FORBIDDEN or not each.isprintable() else each for each in part)
    tame = f"_{tame}" if _RESERVED.match(tame) or tame in {"", ".", ".."} else tame
    tame = f"{tame[:-1]}_" if tame[-1] in " ." else tame
    if tame == part and len(part.encode()) <= LONGEST_NAME:
        return part
    stem, dot, ending = tame.rpartition(".")
    if not stem or len(ending) > _DIGITS:
        stem, dot, ending = tame, "", ""
    return f"{_cut(stem, LONGEST_NAME - 2 * _DIGITS - 4 * len(ending))}~{_digits(part, _DIGITS)}{dot}{ending}"


def _digits(text: str, count: int) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:count]


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
    return text.encode("utf-8", "replace")[:most].decode(errors="ignore")


def _in_ascii(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name)
    kept = (letter for letter in letters if not unicodedata.combining(letter))
    return "".join(each if " " <= each <= "~" and each not in '"\\%' else "_" for each in kept)


def _spellings(name: str) -> set[str]:
    """Give a key that is the same for all names that a file system or an ASCII client takes for one."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    return {f"folded {folded}", f"ascii {_in_ascii(name).casefold()}"}
