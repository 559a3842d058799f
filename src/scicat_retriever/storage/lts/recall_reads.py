"""Recalls by reading: on an HSM a file comes back from tape when somebody reads it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace

from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.daemon_pool import DaemonPool

REMEMBERED = 10_000
"""How many finished recalls are remembered; of older ones the store's own state tells."""


@dataclass(frozen=True, slots=True)
class RecallRead:
    """How far the last recall of an archive is.

    Attributes:
        under_way: Whether one waits for a free slot, or reads.
        blocks: 512-byte blocks on disk just after the last one succeeded; None where it did not (yet).
        failure: What became of the last one if it failed, also while it is tried again; empty otherwise.
    """

    under_way: bool = False
    blocks: int | None = None
    failure: str = ""


class RecallReads:
    """Reads from archives, a few at a time, so that the HSM brings them back.

    Args:
        at_once: The most reads that may block at the same time; further ones queue without a thread.
    """

    def __init__(self, at_once: int) -> None:
        self._pool = DaemonPool("recall", at_once)
        self._lock = threading.Lock()
        self._under_way: set[ArchiveId] = set()
        self._finished: dict[ArchiveId, RecallRead] = {}

    def begin(self, archive_id: ArchiveId, read: Callable[[], int]) -> None:
        """Have `read` run, which gives the file's block count afterwards; nothing happens while one is under way."""
        with self._lock:
            if archive_id in self._under_way:
                return
            self._under_way.add(archive_id)
        self._pool.submit(read).add_done_callback(lambda done: self._finish(archive_id, done))

    def last(self, archive_id: ArchiveId) -> RecallRead:
        """Say how far the last recall is, as far as is remembered."""
        with self._lock:
            finished = self._finished.get(archive_id, RecallRead())
            return replace(finished, under_way=archive_id in self._under_way)

    def forget(self, archive_id: ArchiveId) -> None:
        """Forget how the last recall ended."""
        with self._lock:
            self._finished.pop(archive_id, None)

    def _finish(self, archive_id: ArchiveId, done: Future[int]) -> None:
        error = done.exception()
        if error is None:
            outcome = RecallRead(blocks=done.result())
        elif isinstance(error, RetrieverError):
            outcome = RecallRead(failure=str(error))
        else:
            outcome = RecallRead(failure=f"{type(error).__name__}: {error}")
        with self._lock:
            self._under_way.discard(archive_id)
            self._finished.pop(archive_id, None)
            self._finished[archive_id] = outcome
            if len(self._finished) > REMEMBERED:
                del self._finished[next(iter(self._finished))]
