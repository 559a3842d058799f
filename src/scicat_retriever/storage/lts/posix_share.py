"""A long-term store that is a mounted folder, with an HSM (GPFS, Lustre, DMF, dCache over NFS ...) behind it or not.

What an HSM has moved to tape keeps its size and loses its blocks, and comes back when it is read. Any call may hang
when the file server does; so those that must answer run on a few threads of their own, with a deadline.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Literal, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    DatablockUnreadable,
    RecallError,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.archive_path import PathTemplate, path_below_root
from scicat_retriever.storage.lts.confined import located, reopened
from scicat_retriever.storage.lts.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.recall_reads import RecallReads

T = TypeVar("T")

BLOCK = 512
"""The unit of `st_blocks`, whatever the file system's own block size (POSIX sys/stat.h, Linux stat(2))."""

SMALL = 4096
"""Files below so many bytes may be kept inline, without blocks; they are taken as online."""

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_FORBIDDEN = frozenset({errno.EACCES, errno.EPERM})


class PosixShareSettings(BaseModel):
    """A mounted folder that holds the archives. Durations are seconds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["posix"] = Field("posix", description="A mounted folder, with or without an HSM behind it.")
    root: Path = Field(description="The folder; absolute. No archiveId leads out of it.")
    path_template: str = Field(
        "{archive_id}",
        description="Path of an archive below `root`, from its archiveId. Slices are allowed: "
        "`{archive_id[0:2]}/{archive_id}.tar`. An absolute archiveId is taken as the path itself.",
    )
    catalogued_root: PurePosixPath | None = Field(
        None,
        description="What absolute archiveIds begin with in place of `root`, where the machine that archived saw the "
        "folder under another name.",
    )
    must_exist: str | None = Field(
        None,
        min_length=1,
        description="A file or folder below `root` that is there whenever the share is mounted. Without it an "
        "absent or empty `root` alone counts as not mounted.",
    )
    offline_by_blocks: bool = Field(
        True,
        description="Whether an archive with fewer blocks on disk than bytes is on tape. Set it to false on file "
        "systems that compress or deduplicate, and where no HSM is behind.",
    )
    settle_seconds: NonNegativeFloat = Field(
        0.0, description="How long an archive must have been left unchanged before it is read."
    )
    answer_timeout: PositiveFloat = Field(
        30.0, description="How long the share may take to say where a file is."
    )
    answer_threads: PositiveInt = Field(8, description="Such questions asked at the same time.")
    recall_requests: PositiveInt = Field(
        4, description="Reads that may block at the same time so that the HSM recalls a file."
    )

    @field_validator("root", "catalogued_root")
    @classmethod
    def _absolute(cls, value: PurePosixPath | None) -> PurePosixPath | None:
        if value is not None and (not value.is_absolute() or ".." in value.parts):
            raise ValueError("must be an absolute path without '..'")
        return value

    @field_validator("path_template")
    @classmethod
    def _usable(cls, value: str) -> str:
        PathTemplate(value)
        return value


class OpenArchive:
    """An open archive file; `readinto` reads with `read()` alone, which is what makes an HSM bring the bytes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        """Give the file descriptor."""
        return self._descriptor

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end. May block for hours.

        Raises:
            OSError: The read failed, or the archive is closed.
        """
        return os.readv(self._descriptor, [buffer])

    def close(self) -> None:
        """Close it. A thread that was left blocked in `readinto` finds it closed, and never reads another's file."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class PosixShare:
    """Archives as files below a folder. A `LongTermStore`.

    Args:
        settings: Where, and how.
        now: Gives the time as seconds since the epoch, to compare with files' modification times.
    """

    def __init__(self, settings: PosixShareSettings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._template = PathTemplate(settings.path_template)
        self._catalogued_root = settings.catalogued_root or PurePosixPath(settings.root)
        self._answers = DaemonPool("share", settings.answer_threads)
        self._recalls = RecallReads(settings.recall_requests)

    def request_recall(self, archive_id: ArchiveId) -> None:
        """Have a byte of the archive read in the background, unless it is known to be online.

        Returns once the share has said where the file is. How the recall ends, `recall_state` tells.

        Raises:
            ArchiveIdUnsafe, StoreUnavailable, DatablockUnreadable: As `recall_state`.
        """
        found = self._ask(archive_id, lambda: self._look(archive_id))
        if found is None or (self._settings.offline_by_blocks and not self._on_tape(found)):
            return
        self._recalls.begin(archive_id, lambda: self._read_a_byte(archive_id))

    def recall_state(self, archive_id: ArchiveId) -> RecallState:
        """Say where the archive is, within `answer_timeout` seconds.

        After a recall that this process asked for, an archive with some of its blocks missing counts as online: it
        could be read, so it is compressed or sparse. One without any block is still on its way.

        Raises:
            ArchiveIdUnsafe: It leads out of the store.
            StoreUnavailable: The share hangs, fails, or is not mounted.
            DatablockUnreadable: The archive is there and may not be read, or is no regular file.
        """
        found = self._ask(archive_id, lambda: self._look(archive_id))
        if found is None:
            return RecallState(Locality.MISSING, reason=f"there is no such file in {self._settings.root}")
        size, recall = found.st_size, self._recalls.last(archive_id)
        if 0 < self._settings.settle_seconds > abs(self._now() - found.st_mtime):
            return RecallState(Locality.RECALLING, size, "it is still being written: it changed a moment ago")
        on_tape = self._on_tape(found)
        if on_tape and recall.blocks and found.st_blocks >= recall.blocks and not recall.under_way:
            return RecallState(
                Locality.ONLINE, size, "readable, with fewer blocks than bytes: compressed or sparse"
            )
        if not on_tape and (self._settings.offline_by_blocks or not (recall.under_way or recall.failure)):
            return RecallState(Locality.ONLINE, size)
        if recall.under_way:
            again = f"; the attempt before failed: {recall.failure}" if recall.failure else ""
            return RecallState(Locality.RECALLING, size, f"its recall from tape was asked for{again}")
        if recall.failure:
            return RecallState(Locality.OFFLINE, size, f"its recall failed: {recall.failure}")
        if recall.blocks is not None:
            return RecallState(
                Locality.RECALLING, size, "it was read from, and its blocks are not on disk yet"
            )
        return RecallState(Locality.OFFLINE, size, "it is on tape")

    @contextmanager
    def open(self, archive_id: ArchiveId) -> Iterator[OpenArchive]:
        """Open the archive for one sequential read. Plain: without a deadline, and may block as long as a recall.

        Raises:
            DatablockMissing: There is no such file.
            ArchiveIdUnsafe, StoreUnavailable, DatablockUnreadable: As `recall_state`.
        """
        archive = OpenArchive(self._open(archive_id))
        try:
            with suppress(OSError):  # only a hint
                os.posix_fadvise(archive.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            yield archive
        finally:
            archive.close()

    def release(self, archive_id: ArchiveId) -> None:
        """Forget how the archive's recall ended. The HSM itself decides what it moves to tape again."""
        self._parts(archive_id)
        self._recalls.forget(archive_id)

    def _parts(self, archive_id: ArchiveId) -> tuple[str, ...]:
        return path_below_root(archive_id, self._template, self._catalogued_root)

    def _on_tape(self, found: os.stat_result) -> bool:
        fewer = found.st_blocks * BLOCK < found.st_size
        return self._settings.offline_by_blocks and found.st_size >= SMALL and fewer

    def _ask(self, archive_id: ArchiveId, question: Callable[[], T]) -> T:
        self._parts(archive_id)  # an unsafe name is refused even while the share hangs
        try:
            return self._answers.ask(question, self._settings.answer_timeout)
        except CallHung as hung:
            raise StoreTimedOut(
                f"the share {self._settings.root} hangs: {hung}; look after its mount and its file server"
            ) from None

    def _look(self, archive_id: ArchiveId) -> os.stat_result | None:
        try:
            with self._found(archive_id) as handle:
                readable = os.access(f"/proc/self/fd/{handle}", os.R_OK, effective_ids=True)
                if not readable:  # the answer yes proves nothing, the answer no does
                    raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
                return os.fstat(handle)
        except OSError as error:
            meaning = self._recall_error(archive_id, error)
            if isinstance(meaning, DatablockMissing):
                return None
            raise meaning from error

    def _open(self, archive_id: ArchiveId) -> int:
        try:
            with self._found(archive_id) as handle:
                return reopened(handle)
        except OSError as error:
            raise self._recall_error(archive_id, error) from error

    def _read_a_byte(self, archive_id: ArchiveId) -> int:
        """Read the last byte, since some HSMs keep the first ones on disk; give the blocks on disk afterwards."""
        descriptor = self._open(archive_id)
        try:
            os.pread(descriptor, 1, max(0, os.fstat(descriptor).st_size - 1))
            return os.fstat(descriptor).st_blocks
        except OSError as error:
            raise self._recall_error(archive_id, error) from error
        finally:
            os.close(descriptor)

    @contextmanager
    def _found(self, archive_id: ArchiveId) -> Iterator[int]:
        with located(self._settings.root, self._parts(archive_id)) as handle:
            mode = os.fstat(handle).st_mode
            if stat.S_ISLNK(
                mode
            ):  # all links were followed before: one in a circle, or put there this moment
                raise ArchiveIdUnsafe(f"{archive_id!r} in {self._settings.root} is a link that leads nowhere")
            if not stat.S_ISREG(mode):
                raise DatablockUnreadable(f"{archive_id!r} in {self._settings.root} is no regular file")
            yield handle

    def _recall_error(self, archive_id: ArchiveId, error: OSError) -> RecallError:
        root = self._settings.root
        if error.errno in _ABSENT:
            return self._not_mounted() or DatablockMissing(f"the share {root} has no {archive_id!r}")
        if error.errno in _FORBIDDEN:
            return DatablockUnreadable(
                f"{archive_id!r} in {root} may not be read by user id {os.geteuid()}: give it the right to"
            )
        return StoreUnavailable(f"the share {root} fails for {archive_id!r}: {error.strerror}")

    def _not_mounted(self) -> StoreUnavailable | None:
        """Say why the share seems not mounted: then a missing file is no lost data."""
        root, marker = self._settings.root, self._settings.must_exist
        try:
            if marker is not None:
                (root / marker).stat()
            else:
                with os.scandir(root) as entries:
                    next(entries)
        except StopIteration:
            return StoreUnavailable(f"{root} is empty: mount the share")
        except OSError as error:
            missing = root if marker is None else root / marker
            return StoreUnavailable(f"{missing} cannot be seen ({error.strerror}): mount the share {root}")
        return None
