"""The files of a mounted share: found without leaving it, looked at, opened, with the port's errors."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreUnavailable,
)
from scicat_retriever.domain.foreign_text import one_line
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate, path_below_root
from scicat_retriever.storage.lts.paths.confined import located, reopened

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_PATH_SHOWN = 500


@dataclass(frozen=True, slots=True)
class SeenFile:
    """A regular file that may be read, as far as the share says.

    Attributes:
        handle: An `O_PATH` descriptor of the file.
        status: What fstat(2) says of it.
    """

    handle: int
    status: os.stat_result

    def path(self) -> Path:
        """Give the absolute path at which the file stands just now, with all links resolved."""
        return self.reference().readlink()

    def reference(self) -> Path:
        """Give a path that means this very file as long as `handle` is open."""
        return Path(f"/proc/self/fd/{self.handle}")


class ShareFiles:
    """Archives as files below a folder. Every call but `parts` may hang as long as the file server does.

    Args:
        root: The folder.
        template: Path of an archive below the folder.
        catalogued_root: What absolute archiveIds begin with.
        marker: A path below `root` that is there whenever the share is mounted; None if none is known.
    """

    def __init__(
        self, root: Path, template: PathTemplate, catalogued_root: PurePosixPath, marker: str | None
    ) -> None:
        self.root = root
        self._template = template
        self._catalogued_root = catalogued_root
        self._marker = marker

    def parts(self, archive_id: ArchiveId) -> tuple[str, ...]:
        """Give the steps from the root to the archive, without looking at the share.

        Raises:
            ArchiveIdUnsafe: The archiveId names no file below the root.
        """
        return path_below_root(archive_id, self._template, self._catalogued_root)

    def named(self, archive_id: ArchiveId) -> str:
        """Give the path at which an archive is looked for, in printable characters; raises as `parts`."""
        return one_line(str(self.root.joinpath(*self.parts(archive_id))), _PATH_SHOWN)

    @contextmanager
    def seen(self, archive_id: ArchiveId) -> Iterator[SeenFile]:
        """Look at an archive.

        Raises:
            DatablockMissing: There is no such file.
            DatablockUnreadable: The file may not be read, or is no regular file.
            ArchiveIdUnsafe: The path leads out of the root.
            StoreUnavailable: The share fails, or is not mounted.
        """
        with self._found(archive_id) as handle:
            readable = os.access(f"/proc/self/fd/{handle}", os.R_OK, effective_ids=True)
            if not readable:  # the answer yes proves nothing, the answer no does
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            yield SeenFile(handle, os.fstat(handle))

    def open(self, archive_id: ArchiveId) -> int:
        """Open an archive for reading; raises as `seen`."""
        with self._found(archive_id) as handle:
            return reopened(handle)

    def read_a_byte(self, archive_id: ArchiveId) -> int:
        """Read the last byte of an archive; give its 512-byte blocks on disk afterwards.

        It is the last one, since some HSMs keep the first bytes on disk.

        Raises:
            RecallError: As `seen`; `StoreUnavailable` where the read fails.
        """
        descriptor = self.open(archive_id)
        try:
            os.pread(descriptor, 1, max(0, os.fstat(descriptor).st_size - 1))
            return os.fstat(descriptor).st_blocks
        except OSError as error:
            raise self._recall_error(archive_id, error) from error
        finally:
            os.close(descriptor)

    @contextmanager
    def _found(self, archive_id: ArchiveId) -> Iterator[int]:
        try:
            with located(self.root, self.parts(archive_id)) as handle:
                mode = os.fstat(handle).st_mode
                # All links were followed before: this is one in a circle, or was put there this moment.
                if stat.S_ISLNK(mode):
                    raise ArchiveIdUnsafe(f"{archive_id!r} in {self.root} is a link that leads nowhere")
                if not stat.S_ISREG(mode):
                    raise DatablockUnreadable(f"{archive_id!r} in {self.root} is no regular file")
                yield handle
        except OSError as error:
            raise self._recall_error(archive_id, error) from error

    def _recall_error(self, archive_id: ArchiveId, error: OSError) -> RecallError:
        if error.errno in _ABSENT:
            return self._not_mounted() or DatablockMissing.of(
                archive_id, f"there is no {self.named(archive_id)}"
            )
        if error.errno in _FORBIDDEN:
            return DatablockUnreadable(
                f"{archive_id!r} in {self.root} may not be read by user id {os.geteuid()}: give it the right to"
            )
        return StoreUnavailable(f"the share {self.root} fails for {archive_id!r}: {error.strerror}")

    def _not_mounted(self) -> StoreAway | None:
        """Say why the share seems not mounted; None where it is. Then a missing file means no lost data."""
        try:
            if self._marker is not None:
                (self.root / self._marker).stat()
            else:
                with os.scandir(self.root) as entries:
                    next(entries)
        except StopIteration:
            return StoreAway(f"{self.root} is empty: mount the share")
        except OSError as error:
            missing = self.root if self._marker is None else self.root / self._marker
            return StoreAway(f"{missing} cannot be seen ({error.strerror}): mount the share {self.root}")
        return None
