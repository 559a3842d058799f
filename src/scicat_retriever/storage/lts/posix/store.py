"""A long-term store that is a mounted folder, with or without an HSM (GPFS, Lustre, DMF, dCache over NFS).

A file that an HSM has moved to tape keeps its size and loses its blocks, and comes back when it is read. Any
call may hang when the file server does; so calls that must answer run on a few threads of their own, with a
deadline.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import NamedTuple

from scicat_retriever.domain.errors import RecallError, StoreTimedOut
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    NOT_THERE,
    AskedArchive,
    Capabilities,
    Locality,
    RecallState,
    TapePosition,
)
from scicat_retriever.storage.lts.hanging_calls.asking import ask_of_each, refusals, split_safe
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.hanging_calls.recall_attempts import RecallAttempts
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate
from scicat_retriever.storage.lts.posix.archive_file import ArchiveFile
from scicat_retriever.storage.lts.posix.files import ShareFiles
from scicat_retriever.storage.lts.posix.probe import share_probe
from scicat_retriever.storage.lts.posix.settings import RECALL_FIELDS, PosixShareSettings
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand, NamedArchive, failed
from scicat_retriever.storage.lts.programs.child import small_environment

BLOCK = 512
"""The unit of `st_blocks`, whatever the file system's own block size (POSIX sys/stat.h, Linux stat(2))."""

SMALL = 4096
"""Size in bytes below which a file may be kept inline, without blocks; such a file counts as online."""


class _Sight(NamedTuple):
    """What was seen of an archive's file: its path, what fstat(2) says, and the HSM's own word, if any.

    The word is an error where the HSM does not have what the file stands for; see `NOT_THERE`.
    """

    path: str
    status: os.stat_result
    word: RecallState | RecallError | None


class PosixShare:
    """Archives as files below a folder. A `LongTermStore`.

    Args:
        settings: The folder, and how it is asked.
        now: Gives the time as seconds since the epoch, to compare with files' modification times.
    """

    def __init__(self, settings: PosixShareSettings, now: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._now = now
        self._files = ShareFiles(
            settings.root,
            PathTemplate(settings.path_template),
            settings.catalogued_root or PurePosixPath(settings.root),
            settings.must_exist,
        )
        self._answers = DaemonPool("share", settings.answer_threads)
        self._recalls = RecallAttempts(
            settings.recall_requests, settings.ask_again_after, settings.recall_timeout, now
        )
        environment = small_environment(settings.command_environment)
        self._probe = (
            None
            if settings.probe is None
            else share_probe(settings.probe, settings.answer_timeout, environment)
        )
        self._command = (
            None
            if settings.recall_command is None
            else ArchiveCommand(settings.recall_command, RECALL_FIELDS, settings.recall_timeout, environment)
        )

    @property
    def capabilities(self) -> Capabilities:
        """Ranges; no tapes."""
        return Capabilities(ranges=True, tape_positions=False, batch=self._settings.batch)

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, str | RecallError]:
        """Have a byte of each archive read, or the recall command run for it, in the background.

        An archive that is known to be online or on its way is left out. This returns once the share has said
        where the files are; `recall_states` tells how the recalls end. Requests have no names.

        Raises:
            StoreUnavailable: As `recall_states`.
        """
        sights = self._look_at_each(archive_ids)
        to_ask = {
            archive_id: sight.path
            for archive_id, sight in sights.items()
            if isinstance(sight, _Sight) and self._is_to_be_asked_for(sight)
        }
        refused = self._ask_for(to_ask)
        return {**dict.fromkeys(sights, ""), **refusals(sights), **refused}

    def recall_states(self, archives: Sequence[AskedArchive]) -> dict[ArchiveId, RecallState | RecallError]:
        """Say where archives are, within `answer_timeout` seconds.

        After a recall that this process asked for, and without a probe, an archive that has some of its
        blocks counts as online: it could be read, so it is compressed or sparse. An archive without any block
        is still on its way.

        Raises:
            StoreUnavailable: The share hangs, fails, or is not mounted, for all archives.
        """
        sights = self._look_at_each([each.archive_id for each in archives])
        return {
            archive_id: sight if isinstance(sight, RecallError) else self._state(archive_id, sight)
            for archive_id, sight in sights.items()
        }

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:
        """Give none: a share does not tell tape positions."""
        del archive_ids
        return {}

    @contextmanager
    def open(self, archive_id: ArchiveId, start: int = 0, length: int | None = None) -> Iterator[ArchiveFile]:
        """Open the archive for one sequential read.

        Opening and reading have no deadline, and may block as long as a recall takes.

        Raises:
            DatablockMissing: There is no such file.
            DatablockUnreadable: The file may not be read, or is no regular file.
            ArchiveIdUnsafe: The path leads out of the store.
            StoreUnavailable: The share fails, or is not mounted.
        """
        archive = ArchiveFile(self._files.open(archive_id), start, length)
        try:
            yield archive
        finally:
            archive.close()

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        """Forget how the archives' recalls ended, and take back those that wait.

        The HSM decides what goes to tape again.
        """
        for each in archives:
            self._recalls.forget(each.archive_id)

    def _ask_for(self, paths: Mapping[ArchiveId, str]) -> dict[ArchiveId, RecallError]:
        """Begin the recalls; give the archives that the command cannot be given."""
        if self._command is None:
            for archive_id in paths:
                self._recalls.begin([archive_id], self._read_a_byte)
            return {}
        command, named = self._command, {each: NamedArchive(each, path) for each, path in paths.items()}

        def run(archive_ids: Sequence[ArchiveId]) -> None:
            finished = command.run([named[each] for each in archive_ids])
            if (error := failed(finished, self._settings.accepted_exit_codes)) is not None:
                raise error

        safe, refused = split_safe(named, lambda each: command.refuse_unsafe(named[each]))
        for group in [safe] if command.takes_many else [[each] for each in safe]:
            self._recalls.begin(group, run)
        return refused

    def _look_at_each(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, _Sight | RecallError]:
        # An unsafe name is refused even while the share hangs.
        safe, refused = split_safe(archive_ids, self._files.parts)
        sights = ask_of_each(self._answers, safe, self._look, self._settings.answer_timeout, self._hung)
        return {**sights, **refused}

    def _hung(self, hung: CallHung) -> StoreTimedOut:
        return StoreTimedOut(
            f"the share {self._settings.root} hangs: {hung}; look after its mount and its file server"
        )

    def _look(self, archive_id: ArchiveId) -> _Sight | RecallError:
        try:
            with self._files.seen(archive_id) as file:
                word = None if self._probe is None else self._probe.ask(archive_id, file)
                if isinstance(word, RecallError) and not isinstance(word, NOT_THERE):
                    return word
                return _Sight("" if self._command is None else str(file.path()), file.status, word)
        except RecallError as error:
            return error

    def _is_to_be_asked_for(self, sight: _Sight) -> bool:
        if sight.word is not None:
            return isinstance(sight.word, RecallState) and sight.word.locality is Locality.OFFLINE
        return not self._settings.offline_by_blocks or self._on_tape(sight.status)

    def _state(self, archive_id: ArchiveId, sight: _Sight) -> RecallState | RecallError:
        size = sight.status.st_size
        if 0 < self._settings.settle_seconds > abs(self._now() - sight.status.st_mtime):
            return RecallState(Locality.RECALLING, size, "it is still being written: it changed a moment ago")
        if isinstance(sight.word, RecallError):
            return sight.word
        if sight.word is not None:
            said = RecallState(sight.word.locality, size, sight.word.reason)
            return self._recalls.weigh(archive_id, said)
        return self._state_by_blocks(archive_id, sight.status)

    def _state_by_blocks(self, archive_id: ArchiveId, found: os.stat_result) -> RecallState:
        size, recall, on_tape = found.st_size, self._recalls.last(archive_id), self._on_tape(found)
        if on_tape and recall.blocks and found.st_blocks >= recall.blocks and not recall.under_way:
            return RecallState(
                Locality.ONLINE, size, "readable, with fewer blocks than bytes: compressed or sparse"
            )
        looked = self._settings.offline_by_blocks
        if not on_tape and (looked or not (recall.under_way or recall.failure)):
            return RecallState(Locality.ONLINE, size)
        if recall.asked and not recall.under_way and self._command is None:
            return RecallState(
                Locality.RECALLING,
                size,
                "a byte of it could be read, and its file shows no blocks on disk yet; where the file system never shows "
                "any, set `offline_by_blocks = false`",
            )
        return self._recalls.weigh(archive_id, RecallState(Locality.OFFLINE, size))

    def _on_tape(self, found: os.stat_result) -> bool:
        fewer = found.st_blocks * BLOCK < found.st_size
        return self._settings.offline_by_blocks and found.st_size >= SMALL and fewer

    def _read_a_byte(self, archive_ids: Sequence[ArchiveId]) -> int:
        (archive_id,) = archive_ids
        return self._files.read_a_byte(archive_id)
