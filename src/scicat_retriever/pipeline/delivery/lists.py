r"""Lists of checksums, as `sha256sum`, `md5sum` and their kin write and check them (GNU coreutils).

A line is the digest in hexadecimal digits, two blanks, and the path within the archives of the retrieval.
Where a path holds a backslash, a line feed or a carriage return, these are written as `\\`, `\n` and `\r`,
and a backslash stands before the digest (GNU coreutils manual, "md5sum invocation").

A list holds the files of datablocks whose every file was compared with a catalogued checksum. Of datablocks
that were compared by size alone there is nothing that a list could prove.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from scicat_retriever.computed.entries import EntryKind
from scicat_retriever.domain.evidence import Integrity
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.digests import Hashing
from scicat_retriever.pipeline.delivery.contents import Contents
from scicat_retriever.ports.datablock_record import DatablockRecord

PROGRAMS: Mapping[ChecksumAlgorithm, str] = MappingProxyType(
    {
        ChecksumAlgorithm.MD5: "MD5",
        ChecksumAlgorithm.SHA1: "SHA1",
        ChecksumAlgorithm.SHA224: "SHA224",
        ChecksumAlgorithm.SHA256: "SHA256",
        ChecksumAlgorithm.SHA384: "SHA384",
        ChecksumAlgorithm.SHA512: "SHA512",
        ChecksumAlgorithm.BLAKE2B: "B2",
    }
)
"""The algorithms that a program of GNU coreutils checks a list of: in small letters with `sum` behind it."""
_ESCAPES = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Listed:
    """A list that can be given.

    Attributes:
        algorithm: Of its checksums.
        complete: Whether it has every file of what it is the list of.
    """

    algorithm: ChecksumAlgorithm
    complete: bool

    @property
    def name(self) -> str:
        """What its file is called."""
        return list_name(self.algorithm)


def list_name(algorithm: ChecksumAlgorithm) -> str:
    """Name the list of an algorithm of `PROGRAMS`."""
    return f"{PROGRAMS[algorithm]}SUMS"


def listed(how: Iterable[tuple[Integrity | None, Hashing]]) -> list[Listed]:
    """Say which lists there are of some datablocks.

    Args:
        how: What was compared of each datablock, and what its files were hashed with.
    """
    all_of_them = [
        hashing.algorithms if integrity is Integrity.VERIFIED else () for integrity, hashing in how
    ]
    return [
        Listed(algorithm, all(algorithm in each for each in all_of_them))
        for algorithm in PROGRAMS
        if any(algorithm in each for each in all_of_them)
    ]


def in_lists(record: DatablockRecord) -> bool:
    """Say whether the files of a datablock are in lists."""
    return record.integrity is Integrity.VERIFIED


def checksum_list(contents: Contents, algorithm: ChecksumAlgorithm) -> Iterator[bytes]:
    """Write the list of an algorithm, a batch of files at a time.

    Args:
        contents: The files.
        algorithm: One of `PROGRAMS`. Files that were not hashed with it are left out.
    """
    for index in range(len(contents)):
        source = contents.sources[contents.source_of(index)]
        place = source.manifest.hashing.place(algorithm)
        if place is None or not in_lists(source.record):
            continue
        batch = contents[index]
        lines = "".join(
            line(digest[place], path)
            for path, kind, digest in zip(batch.paths, batch.kinds, batch.digests, strict=True)
            if kind is EntryKind.FILE
        )
        if lines:
            yield lines.encode()


def line(digest: str, path: str) -> str:
    """Write the line of a file."""
    if "\\" in path or "\n" in path or "\r" in path:
        return f"\\{digest}  {path.translate(_ESCAPES)}\n"
    return f"{digest}  {path}\n"
