"""Recalls that were asked for by this process: a few at a time, by reading from a file or by running a command."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.daemon_pool import DaemonPool

REMEMBERED = 10_000
"""How many finished recalls are remembered; of older ones the store's own state tells."""


@dataclass(frozen=True, slots=True)
class RecallAttempt:
    """How far the last recall of an archive is.

    Attributes:
        under_way: Whether one waits for a free slot, or reads, or its command runs.
        asked: Whether the last one ended well not long ago, so that the store may still be at it.
        blocks: 512-byte blocks on disk just after that; None where nobody looked.
        failure: What became of the last one if it failed, also while it is tried again; empty otherwise.
    """

    under_way: bool = False
    asked: bool = False
    blocks: int | None = None
    failure: str = ""


@dataclass(frozen=True, slots=True)
class _Ended:
    at: float
    blocks: int | None = None
    failure: str = ""


class RecallAttempts:
    """Asks a store for archives in the background.

    Args:
        at_once: The most that may block at the same time; further ones queue without a thread.
        lasts: For how many seconds the store may still be at a recall after the attempt itself ended well.
        now: Gives the time in seconds.
    """

    def __init__(self, at_once: int, lasts: float, now: Callable[[], float]) -> None:
        self._pool = DaemonPool("recall", at_once)
        self._lasts = lasts
        self._now = now
        self._lock = threading.Lock()
        self._under_way: set[ArchiveId] = set()
        self._queued: set[ArchiveId] = set()  # those of `_under_way` whose attempt has no thread yet
        self._ended: dict[ArchiveId, _Ended] = {}

    def begin(
        self, archive_ids: Sequence[ArchiveId], attempt: Callable[[Sequence[ArchiveId]], int | None]
    ) -> None:
        """Have `attempt` run for those of the archives for which none is under way; for none, nothing happens.

        It gives the file's block count afterwards, where it looked.
        """
        with self._lock:
            begun = [each for each in dict.fromkeys(archive_ids) if each not in self._under_way]
            self._under_way.update(begun)
            self._queued.update(begun)
        if begun:
            self._pool.submit(lambda: self._run(begun, attempt))

    def last(self, archive_id: ArchiveId) -> RecallAttempt:
        """Say how far the last recall is, as far as is remembered."""
        with self._lock:
            ended, under_way = self._ended.get(archive_id), archive_id in self._under_way
        if ended is None:
            return RecallAttempt(under_way)
        asked = not ended.failure and self._now() - ended.at < self._lasts
        return RecallAttempt(under_way, asked, ended.blocks, ended.failure)

    def weigh(self, archive_id: ArchiveId, said: RecallState) -> RecallState:
        """Add to a store's own word what is known of the recall that was asked for."""
        if said.locality is not Locality.OFFLINE:
            return said
        last = self.last(archive_id)
        words = f" ({said.reason})" if said.reason else ""
        if last.under_way or last.asked:
            again = f"; the attempt before failed: {last.failure}" if last.failure else ""
            reason = f"its recall from tape was asked for{again}{words}"
            return replace(said, locality=Locality.RECALLING, reason=reason)
        if last.failure:
            return replace(said, reason=f"its recall failed: {last.failure}{words}")
        return replace(said, reason=said.reason or "it is on tape")

    def forget(self, archive_id: ArchiveId) -> None:
        """Forget how the last recall ended, and take back one that waits for a free slot."""
        with self._lock:
            self._ended.pop(archive_id, None)
            if archive_id in self._queued:
                self._queued.discard(archive_id)
                self._under_way.discard(archive_id)

    def _run(self, begun: Sequence[ArchiveId], attempt: Callable[[Sequence[ArchiveId]], int | None]) -> None:
        with self._lock:
            wanted = [each for each in begun if each in self._queued]
            self._queued.difference_update(wanted)
        if not wanted:
            return
        try:
            blocks, failure = attempt(wanted), ""
        except RetrieverError as error:
            blocks, failure = None, str(error)
        except BaseException as error:  # noqa: BLE001 - it belongs to nobody else, and a recall must not stay under way
            blocks, failure = None, f"{type(error).__name__}: {error}"
        self._end(wanted, _Ended(self._now(), blocks, failure))

    def _end(self, archive_ids: Sequence[ArchiveId], outcome: _Ended) -> None:
        with self._lock:
            for archive_id in archive_ids:
                self._under_way.discard(archive_id)
                self._ended.pop(archive_id, None)
                self._ended[archive_id] = outcome
            while len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]
