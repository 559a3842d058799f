"""A long-term store that is spoken to by commands: those of a backup or archive system, or own scripts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import structlog

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    NotYetOnline,
    RecallError,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    ArchiveSource,
    AskedArchive,
    Capabilities,
    Locality,
    RecallState,
    TapePosition,
)
from scicat_retriever.storage.lts.command.fetched_archive import fetched
from scicat_retriever.storage.lts.command.settings import FETCH_FIELDS, ONE_OR_MANY, CommandStoreSettings
from scicat_retriever.storage.lts.hanging_calls.asking import (
    ask_of_each,
    refusals,
    refuse_silence,
    split_safe,
)
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.hanging_calls.recall_attempts import RecallAttempts
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate, path_below_root
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand, NamedArchive, failed
from scicat_retriever.storage.lts.programs.child import Finished, in_words, small_environment
from scicat_retriever.storage.lts.programs.position_lookup import TapePositionLookup
from scicat_retriever.storage.lts.programs.spool import CommandSpool
from scicat_retriever.storage.lts.programs.template import CommandTemplate

log = structlog.get_logger(__name__)

_LONGEST = 4096
"""Longest archiveId in bytes, as the longest path (limits.h PATH_MAX)."""

_POSITIONS_REMEMBERED = 100_000


class CommandStore:
    """Archives behind commands. A `LongTermStore`.

    Args:
        settings: The commands, and what they mean.
        now: Gives the time in seconds; it tells how long a recall that was asked for counts as on its way.
    """

    def __init__(self, settings: CommandStoreSettings, now: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._environment = small_environment(settings.command_environment)
        self._allowed = re.compile(settings.archive_ids)
        self._template = PathTemplate(settings.path_template)
        self._state = self._command(settings.state, settings.answer_timeout)
        self._recall = self._command(settings.recall, settings.recall_timeout)
        self._fetch = CommandTemplate(settings.fetch, FETCH_FIELDS)
        self._release = (
            None if settings.release is None else self._command(settings.release, settings.answer_timeout)
        )
        self._lookup = None
        if settings.place is not None:
            command = self._command(settings.place, settings.answer_timeout)
            self._lookup = TapePositionLookup(
                command, settings.answer_timeout, settings.answers_at_once, _POSITIONS_REMEMBERED
            )
        self._answers = DaemonPool("store-commands", settings.answers_at_once)
        self._spool = CommandSpool(settings.spool)
        self._recalls = RecallAttempts(
            settings.recall_requests, settings.ask_again_after, settings.recall_timeout, now
        )

    @property
    def capabilities(self) -> Capabilities:
        """No ranges; tape positions where a command says them."""
        return Capabilities(ranges=False, tape_positions=self._lookup is not None, batch=self._settings.batch)

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, str | RecallError]:
        """Have the recall command run, in the background, for the archives that `state` says are offline.

        This returns before the command ends; `recall_states` tells how the recalls end. Requests have no
        names.

        Raises:
            StoreUnavailable: As `recall_states`.
        """
        states = self._states(archive_ids)
        offline = [
            archive_id
            for archive_id, state in states.items()
            if isinstance(state, RecallState) and state.locality is Locality.OFFLINE
        ]
        safe, refused = split_safe(offline, lambda each: self._recall.refuse_unsafe(self._named(each)))
        for group in [safe] if self._recall.takes_many else [[each] for each in safe]:
            self._recalls.begin(group, self._run_recall)
        return {**dict.fromkeys(states, ""), **refusals(states), **refused}

    def recall_states(self, archives: Sequence[AskedArchive]) -> dict[ArchiveId, RecallState | RecallError]:
        """Say where archives are, within `answer_timeout` seconds.

        The answer is the state command's word; where that is offline, with what became of the recall.

        Raises:
            StoreUnavailable: That is the answer for all archives.
        """
        states = self._states([each.archive_id for each in archives])
        return {
            archive_id: self._recalls.weigh(archive_id, state) if isinstance(state, RecallState) else state
            for archive_id, state in states.items()
        }

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:
        """Give the tape positions of archives; none without a command that knows them.

        Raises:
            StoreUnavailable: The command does not answer in time.
        """
        return {} if self._lookup is None else self._lookup.tape_positions(archive_ids, self._named)

    @contextmanager
    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> Iterator[ArchiveSource]:
        """Ask where the archive is, and start the command that fetches it.

        A read may block as long as the command does.

        If the command fails after it began to write, the next read raises `OSError`. A read that has waited
        for a moment raises `BlockingIOError`, which means that the command goes on: while the command writes
        its file, and before its first byte until `first_byte_timeout` is over.

        Raises:
            ValueError: A range is asked for.
            RecallError: As the port says, by the state command's word.
            ArchiveIdUnsafe: The archiveId cannot be given to the commands.
            StoreUnavailable: The state command does not answer, or the fetch command cannot be started.
        """
        if start or length is not None:
            raise ValueError("a store of commands gives whole archives only")
        state = self._states([archive_id])[archive_id]
        if isinstance(state, RecallError):
            raise state
        if state.locality is not Locality.ONLINE:
            raise NotYetOnline(f"{archive_id!r} is on tape: {state.reason}")
        named = self._named(archive_id)

        def arguments(target: Path | None) -> list[str]:
            return self._fetch.expand(
                {"archive_id": archive_id, "path": named.path, "target": str(target or "")}
            )

        arguments(Path("/"))  # what cannot be given to it is refused before a folder is made
        target = self._settings.fetch_target if "target" in self._fetch.fields else "stdout"
        patience = self._settings.first_byte_timeout
        accepted = self._settings.accepted_exit_codes
        with fetched(
            arguments,
            self._environment,
            target=target,
            spool=self._spool,
            patience=patience,
            accepted=accepted,
        ) as source:
            yield source

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        """Take back recalls that wait for a slot, and run the release command, where there is one.

        Archives that are missing, or whose archiveIds are unsafe, are passed over. A failure for some of the
        archives is logged: they stay on the store's disk until the store needs the space.

        Raises:
            StoreUnavailable: The command cannot be run, or does not end in time, or fails for all of several
                archives; repeat it.
        """
        for each in archives:
            self._recalls.forget(each.archive_id)
        if self._release is None:
            return
        command, ids = self._release, [each.archive_id for each in archives]
        safe, _ = split_safe(ids, lambda each: command.refuse_unsafe(self._named(each)))
        if command.takes_many:
            answers = dict.fromkeys(safe, self._run_release(command, safe) if safe else None)
            refuse_silence(answers)
        else:
            timeout = self._settings.answer_timeout
            answers = ask_of_each(
                self._answers, safe, lambda each: self._run_release(command, [each]), timeout, _hung
            )
        for archive_id, error in answers.items():
            if error is not None:
                log.warning(
                    "the release command fails for an archive, which stays on the store's disk",
                    archive_id=archive_id,
                    why=str(error),
                )

    def _command(self, arguments: Sequence[str], timeout: float) -> ArchiveCommand:
        return ArchiveCommand(arguments, ONE_OR_MANY, timeout, self._environment, self._settings.spool)

    def _named(self, archive_id: ArchiveId) -> NamedArchive:
        root = self._settings.root
        if archive_id.startswith("/") and root is None and self._settings.catalogued_root is None:
            raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} is absolute, and the store has no `root`")
        above = root or PurePosixPath()
        parts = path_below_root(archive_id, self._template, self._settings.catalogued_root or above)
        if len(archive_id.encode("utf-8", "surrogateescape")) > _LONGEST or not self._allowed.fullmatch(
            archive_id
        ):
            raise ArchiveIdUnsafe(
                f"the archiveId {archive_id[:_LONGEST]!r} is not one that `archive_ids` allows"
            )
        return NamedArchive(archive_id, str(above.joinpath(*parts)))

    def _states(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, RecallState | RecallError]:
        safe, refused = split_safe(archive_ids, lambda each: self._state.refuse_unsafe(self._named(each)))
        if self._state.takes_many:
            states = self._listed_states(safe)
        else:
            states = ask_of_each(self._answers, safe, self._ask, self._settings.answer_timeout, _hung)
        return {**states, **refused}

    def _ask(self, archive_id: ArchiveId) -> RecallState | RecallError:
        named = self._named(archive_id)
        try:
            finished = self._state.run([named])
            return self._settings.words.of_command(finished, archive_id, named.names, _no_such(named))
        except RecallError as error:
            return error

    def _listed_states(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, RecallState | RecallError]:
        if not archive_ids:
            return {}
        named = [self._named(each) for each in archive_ids]
        states: dict[ArchiveId, RecallState | RecallError]
        try:
            finished = self._state.run(named)
            if (error := failed(finished, self._settings.accepted_exit_codes)) is not None:
                raise error
        except StoreUnavailable as unavailable:
            states = dict.fromkeys(archive_ids, unavailable)
        else:
            said = _lines_of(finished)
            states = {each.archive_id: self._state_said(each, said.get(each.archive_id)) for each in named}
        refuse_silence(states)
        return states

    def _state_said(self, archive: NamedArchive, words: str | None) -> RecallState | RecallError:
        if words is None:
            return StoreUnavailable(f"the state command says nothing of {archive.archive_id!r}")
        return self._settings.words.of_text(words, archive.archive_id, archive.names, _no_such(archive))

    def _run_recall(self, archive_ids: Sequence[ArchiveId]) -> None:
        finished = self._recall.run([self._named(each) for each in archive_ids])
        if (error := failed(finished, self._settings.accepted_exit_codes)) is not None:
            raise error

    def _run_release(self, command: ArchiveCommand, archive_ids: Sequence[ArchiveId]) -> RecallError | None:
        try:
            finished = command.run([self._named(each) for each in archive_ids])
        except RecallError as error:
            return error
        if self._settings.words.not_there(finished):
            return None
        return failed(finished, self._settings.accepted_exit_codes)


def _no_such(archive: NamedArchive) -> str:
    return f"the state command says that there is no {in_words(archive.path)}"


def _lines_of(finished: Finished) -> dict[str, str]:
    return {name: rest for name, _, rest in (line.partition("\t") for line in finished.output.split("\n"))}


def _hung(hung: CallHung) -> StoreTimedOut:
    return StoreTimedOut(f"the store's commands do not answer: {hung}")
