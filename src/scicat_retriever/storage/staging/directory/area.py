"""A staging area in a folder.

A file is `partial/<pid>,<id>/<token>` while it is written, and `staged/<pid>,<id>/<token>` once complete.
Both folders lie on one file system, so a commit is one rename. A file that is being written is locked
(flock(2)), so that no other process commits it half written. Modes are 0750 and 0640, less the umask.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from scicat_retriever.domain.errors import NoSpaceYet, StagedBytesDiffer, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.onepass.file_sink import FileSink
from scicat_retriever.ports.staging_area import Holding, Partial, Room
from scicat_retriever.storage.staging.directory.kernel_errors import (
    NO_ROOM,
    explained,
    staging_error,
    waiting_for_room,
)
from scicat_retriever.storage.staging.directory.preallocation import set_aside
from scicat_retriever.storage.staging.directory.settings import DirectoryStagingSettings
from scicat_retriever.storage.staging.file_names import folder_name, is_file_name, new_token
from scicat_retriever.storage.staging.marker import MarkerFile

_ATTEMPTS = 20


class _FilePartial(FileSink):
    """A partial file, which its writer holds locked."""

    def __init__(self, descriptor: int, token: str) -> None:
        super().__init__(descriptor)
        self.token = token

    @property
    def receipt(self) -> str:
        return _receipt(self.size)


class DirectoryStaging:
    """Staged archives as files below a folder. A `StagingArea`; `prepare` makes its folders."""

    def __init__(self, settings: DirectoryStagingSettings) -> None:
        self._settings = settings
        self._partial = settings.root / "partial"
        self._staged = settings.root / "staged"
        self._marker = MarkerFile(settings.root)

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._settings.root)

    def prepare(self) -> None:
        """Make the folders that are not there.

        Raises:
            StagingWriteFailed: The folders cannot be made or used; the message says what to do.
        """
        root = self._settings.root
        with self._explained("be set up", root):
            if not root.parent.is_dir():
                raise StagingWriteFailed(
                    f"the staging area {root} cannot be set up: make the folder above it"
                )
            for folder in (root, self._partial, self._staged):
                folder.mkdir(mode=0o750, exist_ok=True)
            self._refuse_two_file_systems()

    def owner(self) -> str | None:
        """The ledger that the marker file names."""
        with self._explained("be looked at", self._marker.path):
            return self._marker.read()

    def mark(self, ledger: str, *, anew: bool = False) -> None:
        """Write the marker file."""
        with self._explained("be written", self._marker.path):
            self._marker.write(ledger, anew=anew)

    def room(self) -> Room:
        """Say what the area offers.

        `total` is the file system, less what is kept for root and what is kept free; at most
        `capacity_bytes`. `free` is what the file system offers this user, less what is kept free; plus what
        partial files have set aside and not written yet, since claims count that as not written, too.
        """
        with self._explained("be measured", self._settings.root):
            now = os.statvfs(self._settings.root)
        kept_for_root = now.f_bfree - now.f_bavail
        kept_free = max(
            self._settings.keep_free_bytes,
            int(self._settings.keep_free_share * now.f_blocks * now.f_frsize),
        )
        total = (now.f_blocks - kept_for_root) * now.f_frsize - kept_free
        if self._settings.capacity_bytes is not None:
            total = min(total, self._settings.capacity_bytes)
        free = now.f_bavail * now.f_frsize - kept_free
        if now.f_files and not now.f_favail:  # no file more can be made, however many bytes there are
            free = 0
        return Room(max(0, total), max(0, free + self._set_aside_unwritten()))

    def _set_aside_unwritten(self) -> int:
        """Bytes of the blocks that partial files have beyond their end."""
        with self._explained("be measured", self._partial), os.scandir(self._partial) as folders:
            files = chain.from_iterable(map(_statuses, folders))
            return sum(max(0, found.st_blocks * 512 - found.st_size) for found in files)

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        """Make a new partial file and open it.

        Blocks for `size` bytes are set aside at once where the file system can. A writer of an older partial
        writes into a removed file from now on. An error of the body passes through, and leaves the partial;
        these errors leave none. The receipt is `bytes:<size>`.

        Raises:
            StagingWriteFailed: The file cannot be made.
            NoSpaceYet: There is no room for it.
        """
        self.discard_partial(key)
        token = new_token()
        path = self._partial_path(key, token)
        with self._explained("be written", path), waiting_for_room(path):
            descriptor = self._create(path)
        with self._closed_in_the_end(_FilePartial(descriptor, token), path) as partial:
            try:
                with self._explained("be written", path):
                    self._set_aside(descriptor, size, path)
            except BaseException:
                with suppress(OSError):  # why it was not made says more
                    path.unlink(missing_ok=True)
                _remove_if_empty(path.parent)
                raise
            yield partial

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this partial file, or None where it is not there."""
        return self._size(self._partial_path(key, token))

    def commit(self, key: DatablockKey, token: str, receipt: str) -> None:
        """Make this partial file the staged one, durably and atomically; remove older ones. May be repeated.

        Raises:
            StagedFileMissing: The file is there neither as a partial nor as a staged one.
            StagedBytesDiffer: The file has another size than the receipt says; it was removed.
            StagingWriteFailed: The partial is still being written, or it cannot be made durable.
            NoSpaceYet: There is no room for its folder, or no inode.
        """
        partial, staged = self._partial_path(key, token), self._staged_path(key, token)
        # Of before: what another step stages while this one stands still is not older.
        older = [path for path in self._files_of(staged.parent) if path.name != token]
        with self._explained("be committed", partial):
            for _ in range(_ATTEMPTS):
                try:
                    self._flush_and_move(partial, staged, receipt)
                    break
                except FileNotFoundError:  # committed before; or the folder was removed at this moment
                    if not partial.exists():
                        _refuse_other_bytes(staged, staged.lstat().st_size, receipt)
                        break
            else:
                raise StagingWriteFailed(
                    f"{staged.parent} was removed again and again while committing to it"
                )
            self._flush_folders(staged)
        self._remove(older)
        _remove_if_empty(partial.parent)

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this staged file, or None where it is not there."""
        return self._size(self._staged_path(key, token))

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        """Open this staged file for reading, unbuffered; it stays readable while open, even if it is deleted.

        Raises:
            StagedFileMissing: The file is not there.
        """
        path = self._staged_path(key, token)
        with self._explained("be read", path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield file

    def download_url(self, key: DatablockKey, token: str, name: str, longest: timedelta) -> None:
        """Give none: files are read by `open_staged`."""

    def discard_partial(self, key: DatablockKey, token: str | None = None) -> None:
        """Remove this partial file, or all of a datablock, and their folder if that leaves it empty."""
        self._remove_from(self._partial / folder_name(key), token)

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        """Delete this staged file, or all of a datablock, and their folder if that leaves it empty."""
        self._remove_from(self._staged / folder_name(key), token)

    def name_of(self, key: DatablockKey) -> str:
        """Name the folder of a datablock's files."""
        return folder_name(key)

    def holdings(self) -> Iterator[Holding]:
        """Give all files with names of the area's own, partial and staged; sizes as written, not reserved."""
        for folder in (self._partial, self._staged):
            with self._explained("be listed", folder), os.scandir(folder) as names:
                for name in names:
                    yield from self._holdings_of(name.path, name.name, staged=folder is self._staged)

    def _holdings_of(self, folder: str, name: str, *, staged: bool) -> Iterator[Holding]:
        try:
            with os.scandir(folder) as files:
                for file in files:
                    found = file.stat(follow_symlinks=False)
                    if is_file_name(f"{name}/{file.name}") and file.is_file(follow_symlinks=False):
                        changed = datetime.fromtimestamp(found.st_mtime, UTC)
                        yield Holding(name, file.name, staged, found.st_size, changed)
        except (FileNotFoundError, NotADirectoryError):  # removed meanwhile, or none of ours
            return

    def remove(self, holding: Holding) -> None:
        """Remove a file that was found, if it is still there and is no partial that is being written."""
        if not is_file_name(f"{holding.name}/{holding.token}"):
            raise StagingWriteFailed(f"{holding.name}/{holding.token} is no file of the staging area")
        path = (self._staged if holding.staged else self._partial) / holding.name / holding.token
        with self._explained("be removed", path), suppress(FileNotFoundError):
            if holding.staged or not _is_being_written(path):
                path.unlink()
        _remove_if_empty(path.parent)

    def _partial_path(self, key: DatablockKey, token: str) -> Path:
        return self._partial / folder_name(key) / token

    def _staged_path(self, key: DatablockKey, token: str) -> Path:
        return self._staged / folder_name(key) / token

    def _size(self, path: Path) -> int | None:
        with self._explained("be looked at", path):
            try:
                return path.lstat().st_size
            except FileNotFoundError:
                self._staged.stat()
                return None

    def _files_of(self, folder: Path) -> list[Path]:
        with self._explained("be looked at", folder):
            try:
                return list(folder.iterdir())
            except FileNotFoundError:
                self._staged.stat()
                return []

    def _remove_from(self, folder: Path, token: str | None) -> None:
        """Remove one file or all of a folder, and the folder if that leaves it empty."""
        self._remove(file for file in self._files_of(folder) if token in {None, file.name})
        _remove_if_empty(folder)

    def _remove(self, files: Iterable[Path]) -> None:
        for file in files:
            with (
                self._explained("be removed", file),
                suppress(FileNotFoundError),
            ):  # another process was first
                file.unlink()

    def _create(self, path: Path) -> int:
        """Make a new file that is locked by this writer."""
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW
        for _ in range(_ATTEMPTS):
            with suppress(FileExistsError):  # exist_ok fails if the folder is removed at this moment
                path.parent.mkdir(mode=0o750, exist_ok=True)
            with suppress(FileNotFoundError):
                descriptor = os.open(path, flags, 0o640)
                _lock(descriptor, fcntl.LOCK_EX)
                return descriptor
        raise StagingWriteFailed(f"{path.parent} was removed again and again while making a file in it")

    def _set_aside(self, descriptor: int, size: int, path: Path) -> None:
        now = os.fstatvfs(descriptor)
        free = now.f_bavail * now.f_frsize
        if size <= free:
            try:
                set_aside(descriptor, size)
                return
            except OSError as error:
                if error.errno not in NO_ROOM:
                    raise staging_error("be written", path, error) from error
                free = os.fstatvfs(descriptor).f_bavail * now.f_frsize
        raise NoSpaceYet(
            f"{path.parent} has no room for {size} bytes: at least {max(1, size - free)} bytes are missing (or the "
            "user's quota is used up); free some, or lower what staging may take"
        )

    def _flush_and_move(self, partial: Path, staged: Path, receipt: str) -> None:
        descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not _lock(descriptor, fcntl.LOCK_SH):
                raise StagingWriteFailed(f"{partial} is still being written: is the datablock copied twice?")
            size = os.fstat(descriptor).st_size
            _refuse_other_bytes(partial, size, receipt)
            os.ftruncate(descriptor, size)  # gives back the blocks set aside beyond the end
            os.fsync(descriptor)
            with waiting_for_room(staged):
                with suppress(FileExistsError):  # exist_ok fails if the folder is removed at this moment
                    staged.parent.mkdir(mode=0o750)
                partial.rename(staged)
        finally:
            os.close(descriptor)

    def _flush_folders(self, staged: Path) -> None:
        for folder in (staged.parent, self._staged):
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _refuse_two_file_systems(self) -> None:
        """Rename a file that is not there: the kernel compares the file systems before it looks for it."""
        absent = ".no-such-file"
        try:
            (self._partial / absent).rename(self._staged / absent)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            raise StagingWriteFailed(
                f"{self._partial} and {self._staged} must be on the same mounted file system: a commit is a rename"
            ) from error

    @contextmanager
    def _closed_in_the_end(self, partial: _FilePartial, path: Path) -> Iterator[_FilePartial]:
        """Close a file after the body; a network file system may refuse its last bytes only then."""
        try:
            yield partial
        except BaseException:
            with suppress(OSError):
                partial.close()
            raise
        with self._explained("be written", path):
            partial.close()

    def _explained(self, what: str, path: Path) -> AbstractContextManager[None]:
        return explained(what, path, self._staged)


def _statuses(folder: os.DirEntry[str]) -> list[os.stat_result]:
    """Give the status of each file of a folder; none where something was removed meanwhile."""
    try:
        with os.scandir(folder) as files:
            return [file.stat(follow_symlinks=False) for file in files]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # not empty, or another process was first
        folder.rmdir()


def _lock(descriptor: int, kind: int) -> bool:
    """Lock a file; gives False if another's lock forbids it. A file system without locks grants it always."""
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def _is_being_written(partial: Path) -> bool:
    descriptor = os.open(partial, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _receipt(size: int) -> str:
    return f"bytes:{size}"


def _refuse_other_bytes(path: Path, size: int, receipt: str) -> None:
    """Remove a file that has not the size of its receipt, and raise that."""
    if receipt == _receipt(size):
        return
    path.unlink(missing_ok=True)
    raise StagedBytesDiffer(f"{path} has {size} bytes and not {receipt!r}; it was removed")
