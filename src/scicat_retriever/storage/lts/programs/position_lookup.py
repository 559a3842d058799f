"""Tape positions of archives, as a command says them, remembered for a while."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence

from scicat_retriever.domain.errors import ArchiveIdUnsafe, RecallError, StoreTimedOut
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import TapePosition
from scicat_retriever.storage.lts.hanging_calls.asking import ask_of_each, split_safe
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.programs.archive_command import ArchiveCommand, NamedArchive

TAPE_LIMIT = 64
"""Longest label of a tape, in characters; what is longer is none."""

_POSITION_DIGITS = 18


def tape_position(tape: str | None, position: str | None) -> TapePosition | None:
    """Make a tape position of what a store says; None where that names no tape.

    The position on the tape is 0 where the store's word for it is no plain number.
    """
    if not tape or len(tape) > TAPE_LIMIT or not tape.isprintable():
        return None
    digits = position or ""
    plain = digits.isascii() and digits.isdigit() and len(digits) <= _POSITION_DIGITS
    return TapePosition(tape, int(digits) if plain else 0)


class TapePositionLookup:
    """Asks a command for tape positions.

    For one archive the command prints `tape position`; for several, a line for each:
    `archive_id<TAB>tape<TAB>position`. A command that fails knows no tape position.

    Args:
        command: The command.
        timeout: Seconds for all archives of a batch together.
        at_once: Most commands run at the same time.
        remembered: The number of tape positions that are remembered, so that they are not asked for twice.
    """

    def __init__(self, command: ArchiveCommand, timeout: float, at_once: int, remembered: int) -> None:
        self._command = command
        self._timeout = timeout
        self._pool = DaemonPool("tape-positions", at_once)
        self._remembered = remembered
        self._known: dict[ArchiveId, TapePosition] = {}
        self._lock = threading.Lock()

    def tape_positions(
        self, archive_ids: Sequence[ArchiveId], name: Callable[[ArchiveId], NamedArchive]
    ) -> dict[ArchiveId, TapePosition]:
        """Give the tape positions of archives. Those that are not known are left out.

        Args:
            archive_ids: The archives.
            name: Names an archive for the command. An archive for which it raises `ArchiveIdUnsafe` is left
                out.

        Raises:
            StoreUnavailable: No command answers in time, or none can be started.
        """
        named: dict[ArchiveId, NamedArchive] = {}

        def check(archive_id: ArchiveId) -> None:
            named[archive_id] = name(archive_id)
            self._command.refuse_unsafe(named[archive_id])

        safe, _ = split_safe(archive_ids, check)
        known = self._recalled(safe)
        unknown = [named[each] for each in safe if each not in known]
        found = self._ask_list(unknown) if self._command.takes_many else self._ask_each(unknown)
        self._remember(found)
        return {each: there for each in safe if (there := known.get(each) or found.get(each)) is not None}

    def _ask_list(self, archives: Sequence[NamedArchive]) -> dict[ArchiveId, TapePosition]:
        if not archives:
            return {}
        finished = self._command.run(archives)
        asked, found = {each.archive_id for each in archives}, dict[ArchiveId, TapePosition]()
        for line in finished.output.split("\n") if finished.code == 0 else ():
            archive_id, _, rest = line.partition("\t")
            tape, _, position = rest.partition("\t")
            there = tape_position(tape.strip(), position.strip())
            if there is not None and ArchiveId(archive_id) in asked:
                found[ArchiveId(archive_id)] = there
        return found

    def _ask_each(self, archives: Sequence[NamedArchive]) -> dict[ArchiveId, TapePosition]:
        named = {each.archive_id: each for each in archives}
        answers = ask_of_each(
            self._pool, list(named), lambda each: self._ask_one(named[each]), self._timeout, _hung
        )
        return {each: said for each, said in answers.items() if isinstance(said, TapePosition)}

    def _ask_one(self, archive: NamedArchive) -> TapePosition | RecallError | None:
        try:
            finished = self._command.run([archive])
        except RecallError as error:
            return error
        words = finished.output.split() if finished.code == 0 else []
        tape, position, *_ = [*words, "", ""]
        return tape_position(tape, position)

    def _recalled(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:
        with self._lock:
            known = {
                each: there for each in archive_ids if (there := self._known.pop(each, None)) is not None
            }
            self._known.update(known)  # those asked for last are forgotten last
            return known

    def _remember(self, found: dict[ArchiveId, TapePosition]) -> None:
        with self._lock:
            self._known.update(found)
            while len(self._known) > self._remembered:
                del self._known[next(iter(self._known))]


def _hung(hung: CallHung) -> StoreTimedOut:
    return StoreTimedOut(f"the command that tells tape positions does not answer: {hung}")


def plain_name(archive_id: ArchiveId) -> NamedArchive:
    """Name an archive for a command that knows no paths.

    Raises:
        ArchiveIdUnsafe: The archiveId is empty, or cannot be given to a command.
    """
    try:
        empty = not os.fsencode(archive_id)
    except UnicodeEncodeError:
        empty = True
    if empty or "\0" in archive_id:
        raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} cannot be given to a command")
    return NamedArchive(archive_id, archive_id)
