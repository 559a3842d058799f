"""A staging area in a folder: `partial/<pid>,<id>/<token>` while it is written, `staged/<pid>,<id>/<token>` when complete.

Both folders lie on one file system, so a commit is one rename. A file that is being written is locked (flock), which
keeps another process from committing it half written. Modes are 0750 and 0640, less what the umask takes away.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from typing import BinaryIO, Literal

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, field_validator

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.ports.staging_area import Partial
from scicat_retriever.storage.staging.file_names import folder_name
from scicat_retriever.storage.staging.preallocation import set_aside
from scicat_retriever.storage.staging.used_space import UsedSpace, taken_by

_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})
_ATTEMPTS = 20


class DirectoryStagingSettings(BaseModel):
    """A folder that holds the staged archives. Sizes are bytes."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["directory"] = Field("directory", description="A folder on a local or shared file system.")
    root: Path = Field(description="The folder; absolute. It is made if its parent is there.")
    keep_free_bytes: NonNegativeInt = Field(
        2**30, description="Bytes of the file system that are never filled."
    )
    capacity_bytes: PositiveInt | None = Field(
        None, description="Most bytes that staging may take; without it, what the file system has."
    )

    @field_validator("root")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        if not value.is_absolute():
            raise ValueError("must be an absolute path")
        return value


class DirectoryStaging:
    """Staged archives as files below a folder. A `StagingArea`.

    Raises:
        StagingWriteFailed: The folder cannot be used; the message says what to do.
    """

    def __init__(self, settings: DirectoryStagingSettings) -> None:
        self._settings = settings
        self._partial = settings.root / "partial"
        self._staged = settings.root / "staged"
        self._used = UsedSpace(settings.root)
        with self._explained("be set up", settings.root):
            if not settings.root.parent.is_dir():
                raise StagingWriteFailed(
                    f"the staging area {settings.root} cannot be set up: make the folder above it"
                )
            for folder in (settings.root, self._partial, self._staged):
                folder.mkdir(mode=0o750, exist_ok=True)
            self._refuse_two_file_systems()

    def free_bytes(self) -> int:
        """How many bytes may still be written.

        The least of what the file system offers this user above `keep_free_bytes`, and what is left of
        `capacity_bytes`; what other processes took of the latter may be seen up to a minute late.
        """
        with self._explained("be measured", self._settings.root):
            now = os.statvfs(self._settings.root)
            free = now.f_bavail * now.f_frsize - self._settings.keep_free_bytes
            if self._settings.capacity_bytes is not None:
                free = min(free, self._settings.capacity_bytes - self._used.bytes())
        return max(0, free)

    def total_bytes(self) -> int:
        """How many bytes the area could hold if nothing else were on its file system."""
        with self._explained("be measured", self._settings.root):
            now = os.statvfs(self._settings.root)
        reserved_for_root = now.f_bfree - now.f_bavail
        total = (now.f_blocks - reserved_for_root) * now.f_frsize - self._settings.keep_free_bytes
        if self._settings.capacity_bytes is not None:
            total = min(total, self._settings.capacity_bytes)
        return max(0, total)

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        """Make a new partial file and open it, unbuffered (`write` may take less than it was given).

        Blocks for `size` bytes are set aside at once where the file system can. Whoever still writes an older partial
        writes into a removed file from now on. An error of the body passes through, and leaves the partial.

        Raises:
            StagingWriteFailed: It cannot be made, or there is no room; then no partial is left.
        """
        self.discard_partial(key)
        token = secrets.token_hex(8)
        path = self._partial_path(key, token)
        with self._explained("be written", path):
            descriptor = self._create(path)
        with self._closed_in_the_end(os.fdopen(descriptor, "wb", buffering=0), path) as file:
            try:
                with self._explained("be written", path):
                    self._set_aside(descriptor, size, path)
                    self._used.change(taken_by(os.fstat(descriptor)))
            except BaseException:
                with suppress(OSError):  # why it was not made says more
                    path.unlink(missing_ok=True)
                _remove_if_empty(path.parent)
                raise
            yield Partial(file, token)

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this partial file, or None where it is not there."""
        return self._size(self._partial_path(key, token))

    def commit(self, key: DatablockKey, token: str) -> None:
        """Make this partial file the staged one, durably and atomically; older staged ones go. May be repeated.

        Raises:
            StagedFileMissing: It is there neither as a partial nor as a staged file.
            StagingWriteFailed: Somebody is writing the partial, or it cannot be made durable.
        """
        partial, staged = self._partial_path(key, token), self._staged_path(key, token)
        with self._explained("be committed", partial):
            for _ in range(_ATTEMPTS):
                try:
                    self._flush_and_move(partial, staged)
                    break
                except FileNotFoundError:  # committed before; or the folder was removed at this moment
                    if not partial.exists():
                        staged.lstat()
                        break
            else:
                raise StagingWriteFailed(
                    f"{staged.parent} was removed again and again while committing to it"
                )
            self._flush_folders(staged)
        self._remove_all(staged.parent, but=token)
        _remove_if_empty(partial.parent)

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this staged file, or None where it is not there."""
        return self._size(self._staged_path(key, token))

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        """Open this staged file for reading, unbuffered; stays readable while open, even if it is released.

        Raises:
            StagedFileMissing: It is not there.
        """
        path = self._staged_path(key, token)
        with self._explained("be read", path):
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb", buffering=0) as file:
            yield file

    def discard_partial(self, key: DatablockKey) -> None:
        """Remove all partial files of a datablock, and their folder."""
        self._remove_all(self._partial / folder_name(key))

    def release(self, key: DatablockKey) -> None:
        """Remove all staged files of a datablock, and their folder."""
        self._remove_all(self._staged / folder_name(key))

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

    def _remove_all(self, folder: Path, but: str | None = None) -> None:
        """Remove the files of a folder, and the folder if that leaves it empty."""
        with self._explained("be removed", folder):
            try:
                files = list(folder.iterdir())
            except FileNotFoundError:
                self._staged.stat()
                return
            for file in files:
                if file.name != but:
                    self._remove(file)
        _remove_if_empty(folder)

    def _remove(self, path: Path) -> None:
        with suppress(FileNotFoundError):  # another process was first
            taken = taken_by(path.lstat())
            path.unlink()
            self._used.change(-taken)

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
                if error.errno not in _NO_ROOM:
                    raise _staging_error("be written", path, error) from error
                free = os.fstatvfs(descriptor).f_bavail * now.f_frsize
        raise StagingWriteFailed(
            f"{path.parent} has no room for {size} bytes: at least {max(1, size - free)} bytes are missing (or the "
            "user's quota is used up); free some, or lower what staging may take"
        )

    def _flush_and_move(self, partial: Path, staged: Path) -> None:
        descriptor = os.open(partial, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            if not _lock(descriptor, fcntl.LOCK_SH):
                raise StagingWriteFailed(f"{partial} is still being written: is the datablock copied twice?")
            found = os.fstat(descriptor)
            os.ftruncate(descriptor, found.st_size)  # gives back the blocks set aside beyond the end
            os.fsync(descriptor)
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
        """Rename a file that is not there: the kernel compares the file systems before it looks for the file."""
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
    def _closed_in_the_end(self, file: FileIO, path: Path) -> Iterator[FileIO]:
        """Close a file after the body; a network file system may refuse its last bytes only then."""
        try:
            yield file
        except BaseException:
            with suppress(OSError):
                file.close()
            raise
        with self._explained("be written", path):
            file.close()

    @contextmanager
    def _explained(self, what: str, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if error.errno == errno.ENOENT and os.path.isdir(self._staged):  # noqa: PTH112 - Path's may raise
                raise StagedFileMissing(f"{path} cannot {what}: it is not there") from error
            raise _staging_error(what, path, error) from error


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


def _staging_error(what: str, path: Path, error: OSError) -> StagingWriteFailed:
    if error.errno == errno.ENOENT:
        advice = "the staging area's folders are gone; mount it, or start the service again to have them made"
    elif error.errno in _NO_ROOM:
        advice = "the file system or the user's quota is full; free some space"
    elif error.errno == errno.EROFS:
        advice = "the file system is mounted read-only; mount it for writing"
    elif error.errno in _FORBIDDEN:
        advice = f"user id {os.geteuid()} has no right to; give it to the user of the service"
    else:
        advice = f"{error.strerror}; look after the staging file system"
    return StagingWriteFailed(f"{path} cannot {what}: {advice}")
