"""Recalls that this process asks for: a few at a time, by reading from a file or by running a command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from scicat_retriever.domain.errors import RetrieverError, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool

SPARE = 3
"""Attempts that may hang, or be wanted by nobody any more, for each that may run at the same time."""

REMEMBERED = 10_000
"""Number of ended recalls that are remembered; of older ones the store's own word alone tells."""


@dataclass(frozen=True, slots=True)
class RecallAttempt:
    """The progress of the last recall of an archive.

    Attributes:
        under_way: Whether an attempt waits for a free slot, or reads, or its command runs.
        asked: Whether the last attempt ended well not long ago, so that the store may still be at it.
        blocks: 512-byte blocks on disk just after that attempt; None where nobody looked.
        failure: Why the last attempt that ended failed, also while it is tried again; empty if it did not.
    """

    under_way: bool = False
    asked: bool = False
    blocks: int | None = None
    failure: str = ""


@dataclass(slots=True, eq=False)
class _Attempt:
    """One call for some archives, until it ends.

    Attributes:
        wanted: Its archives that somebody still wants.
        future: The call.
        since: When it got its slot; None while it waits for one.
    """

    wanted: list[ArchiveId]
    future: Future[None] = field(default_factory=Future)
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class _Ended:
    at: float
    blocks: int | None = None
    failure: str = ""


class RecallAttempts:
    """Asks a store for archives in the background.

    An attempt that gives nothing for long, or whose archives nobody wants any more, keeps no other one
    waiting: another takes its slot, up to a limit (`SPARE`).

    Args:
        at_once: The most that may block at the same time; further ones queue without a thread.
        lasts: Seconds for which the store may still be at a recall after the attempt itself ended well.
        patience: Seconds after which another attempt takes the slot of one that has not ended.
        now: Gives the time in seconds.
    """

    def __init__(self, at_once: int, lasts: float, patience: float, now: Callable[[], float]) -> None:
        self._pool = DaemonPool("recall", at_once, SPARE * at_once)
        self._lasts = lasts
        self._patience = patience
        self._now = now
        self._lock = threading.Lock()
        self._under_way: dict[ArchiveId, _Attempt] = {}
        self._running: set[_Attempt] = set()
        self._ended: dict[ArchiveId, _Ended] = {}

    def begin(
        self, archive_ids: Sequence[ArchiveId], attempt: Callable[[Sequence[ArchiveId]], int | None]
    ) -> None:
        """Have `attempt` run for those of the archives that have no attempt under way, if there are any.

        Args:
            archive_ids: The archives. An attempt under way that was forgotten is wanted again.
            attempt: Asks the store for archives; gives the file's block count afterwards, None where it did
                not look.

        Raises:
            StoreUnavailable: The system lets no thread be started for it.
        """
        with self._lock:
            self._want_again(archive_ids)
            begun = [each for each in dict.fromkeys(archive_ids) if each not in self._under_way]
            if not begun:
                return
            this = _Attempt(begun)
            try:
                this.future = self._pool.submit(lambda: self._run(this, attempt))
            except CallHung as error:
                raise StoreUnavailable(f"no recall can be begun: {error}") from error
            self._under_way.update(dict.fromkeys(begun, this))

    def last(self, archive_id: ArchiveId) -> RecallAttempt:
        """Say how far the last recall of an archive is, as far as it is remembered."""
        with self._lock:
            ended, under_way = self._ended.get(archive_id), archive_id in self._under_way
        if ended is None:
            return RecallAttempt(under_way)
        asked = not ended.failure and self._now() - ended.at < self._lasts
        return RecallAttempt(under_way, asked, ended.blocks, ended.failure)

    def weigh(self, archive_id: ArchiveId, said: RecallState) -> RecallState:
        """Add what is known of the archive's recall to the store's own word, where that says offline."""
        if said.locality is not Locality.OFFLINE:
            return said
        last = self.last(archive_id)
        words = f" ({said.reason})" if said.reason else ""
        if last.under_way or last.asked:
            again = f"; the attempt before failed: {last.failure}" if last.failure else ""
            reason = f"its recall from tape was asked for{self._line(archive_id)}{again}{words}"
            return replace(said, locality=Locality.RECALLING, reason=reason)
        if last.failure:
            return replace(said, reason=f"its recall failed: {last.failure}{words}")
        return replace(said, reason=said.reason or "it is on tape")

    def forget(self, archive_id: ArchiveId) -> None:
        """Forget how the last recall of an archive ended, and take back one that waits for a free slot.

        An attempt that runs goes on; once nobody wants any of its archives, another may take its slot.
        """
        with self._lock:
            self._ended.pop(archive_id, None)
            attempt = self._under_way.get(archive_id)
            if attempt is None:
                return
            if archive_id in attempt.wanted:
                attempt.wanted.remove(archive_id)
            if attempt.since is None:
                del self._under_way[archive_id]
            if attempt.wanted:
                return
            attempt.future.cancel()
            self._pool.leave(attempt.future)

    def _want_again(self, archive_ids: Sequence[ArchiveId]) -> None:
        for archive_id in archive_ids:
            attempt = self._under_way.get(archive_id)
            if attempt is not None and archive_id not in attempt.wanted:
                attempt.wanted.append(archive_id)

    def _line(self, archive_id: ArchiveId) -> str:
        """Say what keeps a recall that waits for a slot, and have those that hang keep theirs no longer."""
        self._pool.leave_older(self._patience)
        with self._lock:
            attempt = self._under_way.get(archive_id)
            if attempt is None or attempt.since is not None:
                return ""
            begun = [each.since for each in self._running if each.since is not None]
        if not begun:
            return ""
        moment = f"{max(begun):%Y-%m-%d %H:%M} UTC"
        return f", and waits for a slot: {len(begun)} before it have given nothing since {moment}"

    def _run(self, this: _Attempt, attempt: Callable[[Sequence[ArchiveId]], int | None]) -> None:
        with self._lock:
            begun = list(this.wanted)
            if not begun:
                return
            this.since = datetime.now(UTC)
            self._running.add(this)
        try:
            blocks, failure = attempt(begun), ""
        except RetrieverError as error:
            blocks, failure = None, str(error)
        except BaseException as error:  # noqa: BLE001 - it belongs to nobody else, and a recall must not stay under way
            blocks, failure = None, f"{type(error).__name__}: {error}"
        self._end(this, begun, _Ended(self._now(), blocks, failure))

    def _end(self, this: _Attempt, begun: Sequence[ArchiveId], outcome: _Ended) -> None:
        """Note how it ended, for those whose recall somebody wants still."""
        with self._lock:
            self._running.discard(this)
            for archive_id in begun:
                self._under_way.pop(archive_id, None)
                self._ended.pop(archive_id, None)
                if archive_id in this.wanted:
                    self._ended[archive_id] = outcome
            while len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]
