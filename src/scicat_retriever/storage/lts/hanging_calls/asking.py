"""Asking about several archives side by side, so that each has an answer of its own."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import TypeVar

from scicat_retriever.domain.errors import ArchiveIdUnsafe, RecallError, StoreTimedOut, StoreUnavailable
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool

T = TypeVar("T")


class StoreAway(StoreUnavailable):
    """Nothing can be had of the whole store, whichever archive is asked about: not mounted, or its program is not there."""


def split_safe(
    archive_ids: Iterable[ArchiveId], check: Callable[[ArchiveId], object]
) -> tuple[list[ArchiveId], dict[ArchiveId, RecallError]]:
    """Give the archiveIds that `check` lets pass, each once, and why it refused the others."""
    safe, refused = list[ArchiveId](), dict[ArchiveId, RecallError]()
    for archive_id in dict.fromkeys(archive_ids):
        try:
            check(archive_id)
        except ArchiveIdUnsafe as error:
            refused[archive_id] = error
        else:
            safe.append(archive_id)
    return safe, refused


def ask_of_each(
    pool: DaemonPool,
    archive_ids: Sequence[ArchiveId],
    question: Callable[[ArchiveId], T | RecallError],
    timeout: float,
    hung: Callable[[CallHung], StoreTimedOut],
) -> dict[ArchiveId, T | RecallError]:
    """Ask about each archive on the pool's threads.

    Args:
        pool: The threads. One archive hangs one of them, however often it is asked about.
        archive_ids: The archives.
        question: Asked about each; gives an error as a value.
        timeout: Seconds for all of them together.
        hung: Makes the error of one that was not answered in time.

    Raises:
        StoreUnavailable: As `refuse_silence`.
    """
    answers: dict[ArchiveId, T | RecallError] = {}
    begun, silent_since = time.monotonic(), dict[ArchiveId, float]()
    for archive_id, answer in pool.ask_each(
        {each: partial(question, each) for each in archive_ids}, timeout
    ).items():
        if isinstance(answer, CallHung):
            answers[archive_id], silent_since[archive_id] = hung(answer), answer.since
        elif isinstance(answer, Exception) and not isinstance(answer, RecallError):
            raise answer
        else:
            answers[archive_id] = answer
            if isinstance(answer, StoreTimedOut):
                silent_since[archive_id] = begun
    if any(not isinstance(each, StoreUnavailable) for each in answers.values()):
        pool.answered_at = time.monotonic()
    refuse_silence(answers, silent_since, pool.answered_at)
    return answers


def refuse_silence(
    answers: Mapping[ArchiveId, object],
    silent_since: Mapping[ArchiveId, float] = MappingProxyType({}),
    answered_at: float = -math.inf,
) -> None:
    """Raise what every archive was answered, if that is that the store does not answer.

    What one archive alone was answered may be its own trouble, and is left as its value; other than `StoreTimedOut` and
    `StoreAway`, which say nothing of it. What was not answered in time, while something else was that was asked later or at
    the same time, is that archive's own trouble: a file on a broken disk keeps no other from an answer.

    Args:
        answers: Of each archive.
        silent_since: Since when those were asked about that were not answered in time, of `time.monotonic`.
        answered_at: When the store last answered anything, of `time.monotonic`.

    Raises:
        StoreUnavailable: The first of the answers.
    """
    said = [each for name, each in answers.items() if not silent_since.get(name, math.inf) < answered_at]
    errors = [each for each in said if isinstance(each, StoreUnavailable)]
    if not errors or len(errors) < len(said):
        return
    if len(errors) > 1 or isinstance(errors[0], StoreTimedOut | StoreAway):
        raise errors[0]
