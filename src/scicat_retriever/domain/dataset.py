"""What the catalogue says: jobs, datasets, datablocks and their files. All frozen."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId


@dataclass(frozen=True, slots=True)
class Selection:
    """One entry of a job's dataset list.

    Attributes:
        pid: The dataset.
        files: Names of the wanted files; empty means the whole dataset (SciCat's `files: []`).
    """

    pid: DatasetPid
    files: tuple[str, ...] = ()


def united(selections: Iterable[Selection]) -> tuple[Selection, ...]:
    """Give each dataset once, with the files of all its entries; whole if one entry asks for it whole."""
    wanted: dict[DatasetPid, dict[str, None]] = {}
    whole: set[DatasetPid] = set()
    for selection in selections:
        wanted.setdefault(selection.pid, {}).update(dict.fromkeys(selection.files))
        if not selection.files:
            whole.add(selection.pid)
    return tuple(Selection(pid, () if pid in whole else tuple(files)) for pid, files in wanted.items())


@dataclass(frozen=True, slots=True)
class RetrieveJob:
    """A retrieve job as SciCat handed it over.

    Attributes:
        id: The job's id.
        type: SciCat's job type, `retrieve` by default.
        datasets: What to bring back; empty when the job came in the short form, which names the job alone.
        owner_user: The user who asked, where SciCat says so.
        owner_group: The group that owns the job, where SciCat says so.
    """

    id: JobId
    type: str
    datasets: tuple[Selection, ...] = ()
    owner_user: str | None = None
    owner_group: str | None = None


@dataclass(frozen=True, slots=True)
class Dataset:
    """What the catalogue declares of a dataset.

    Attributes:
        pid: The dataset's identifier.
        name: `datasetName`, or the pid where it has none.
        files_archived: `numberOfFilesArchived`: how many files its datablocks hold in all.
        packed_size: `packedSize`: bytes of all its datablocks in the long-term store.
        owner_group: The group that owns it.
        updated_at: When the catalogue last changed it (UTC).
        storage_location: `datasetlifecycle.storageLocation`: where it was archived, or None where SciCat does
            not say.
        source_folder: `sourceFolder`: where its files lay before they were archived, or None where SciCat
            does not say.
    """

    pid: DatasetPid
    name: str
    files_archived: int
    packed_size: int
    owner_group: str | None = None
    updated_at: datetime | None = None
    storage_location: str | None = None
    source_folder: str | None = None


class EntryKind(StrEnum):
    """What an entry of a file list is: the letter that `ls -l` shows."""

    FILE = "-"
    FOLDER = "d"
    LINK = "l"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file of a datablock, as catalogued; or a folder or symbolic link that is listed beside files.

    Attributes:
        path: Its name in the archive, as catalogued.
        size: Bytes.
        digest: Its checksum as catalogued, hexadecimal digits in lower case, or None where the catalogue has
            none.
        kind: What its permissions (`perm`) say that it is; None where they do not say, and for a file with a
            checksum.
    """

    path: str
    size: int
    digest: str | None = None
    kind: EntryKind | None = None

    @property
    def is_folder(self) -> bool:
        """Whether it is catalogued as a folder: by its permissions, or by a `/` at its end."""
        return self.kind is EntryKind.FOLDER or self.path.endswith("/")

    @property
    def is_file(self) -> bool:
        """Whether it is catalogued as a regular file: by a checksum, or by its permissions.

        Permissions count only where the path does not end with `/`.
        """
        return self.digest is not None or (self.kind is EntryKind.FILE and not self.is_folder)


@dataclass(frozen=True, slots=True)
class OriginalFile:
    """A file of a dataset, as it was before it was archived.

    SciCat takes no job for a file that it does not list in this way.

    Attributes:
        path: Its name, as catalogued.
        size: Bytes, or None where the catalogue does not say.
        digest: Its checksum as catalogued, or None where the catalogue has none.
        algorithm: `chkAlg` as spelled in the catalogue, or None.
    """

    path: str
    size: int | None
    digest: str | None = None
    algorithm: str | None = None


@dataclass(frozen=True, slots=True)
class Extract:
    """The part of an archive that an extract is: a tar of some members of a datablock that SciCat lists.

    SciCat does not list the extract itself.

    Attributes:
        of: The datablock that SciCat lists.
        archive_size: Bytes of its whole archive, as catalogued; 0 where the catalogue does not know.
        ranges: The first byte and the length of each range of the archive that is read, in their order; two
            blocks of zeros follow. Empty where the whole archive is read after all, since the extract was not
            right.
    """

    of: DatablockId
    archive_size: int
    ranges: tuple[tuple[int, int], ...]


_ENDING = re.compile(r"\.tar\Z", re.IGNORECASE)
_GZIP_ENDING = re.compile(r"(?:\.tar)?\.(?:gz|gzip)\Z|\.(?:tgz|taz)\Z", re.IGNORECASE)


def without_gzip_ending(name: str) -> str:
    """Give the name of the tar that an archive of this name unpacks to: `a.tar` for `a.tar.gz`, `a.tgz`."""
    return _GZIP_ENDING.sub(".tar", name)


@dataclass(frozen=True, slots=True)
class Datablock:
    """A tar archive in the long-term store that holds a part of a dataset.

    Attributes:
        id: SciCat's id of it.
        pid: The dataset that it belongs to.
        archive_id: Its name in the long-term store.
        size: Bytes of its files, unpacked.
        packed_size: Bytes of the archive itself; 0 where the catalogue does not know.
        algorithm: `chkAlg` as spelled in the catalogue, or None.
        file_count: How many files it declares.
        extract: The part of the archive that it is, for an extract; None for a datablock that SciCat lists.
            `size`, `packed_size` and `file_count` of an extract are its own.
    """

    id: DatablockId
    pid: DatasetPid
    archive_id: ArchiveId
    size: int
    packed_size: int
    algorithm: str | None
    file_count: int
    extract: Extract | None = None

    @property
    def ranges(self) -> tuple[tuple[int, int], ...]:
        """The byte ranges of the archive that are read; empty where the whole archive is read."""
        return () if self.extract is None else self.extract.ranges

    @property
    def file_name(self) -> ArchiveId:
        """The archiveId; for an extract made of ranges, a name that tells so: `a/0001.part-12ab34cd.tar`."""
        if not self.ranges:
            return self.archive_id
        return ArchiveId(f"{_ENDING.sub('', self.archive_id)}.part-{self.id[-8:]}.tar")


@dataclass(frozen=True, slots=True)
class CataloguedDatablock:
    """A datablock together with its file list, as read from the catalogue."""

    datablock: Datablock
    files: tuple[FileEntry, ...] = field(repr=False)
