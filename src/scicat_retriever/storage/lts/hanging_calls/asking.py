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
from scicat_retriever.ports.long_term_store import NOT_THERE
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool

T = TypeVar("T")


class StoreAway(StoreUnavailable):
    """The whole store is away, whichever archive is asked about: it is not mounted, or has no program."""


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


def refusals(answers: Mapping[ArchiveId, object]) -> dict[ArchiveId, RecallError]:
    """Give those answers of `recall_states` that are errors of a request, too: all but `NOT_THERE`."""
    return {
        archive_id: answer
        for archive_id, answer in answers.items()
        if isinstance(answer, RecallError) and not isinstance(answer, NOT_THERE)
    }


def ask_of_each(
    pool: DaemonPool,
    archive_ids: Sequence[ArchiveId],
    question: Callable[[ArchiveId], T | RecallError],
    timeout: float,
    hung: Callable[[CallHung], StoreTimedOut],
) -> dict[ArchiveId, T | RecallError]:
    """Ask about each archive on the pool's threads.

    Args:
        pool: The threads. An archive hangs one of them at most, however often it is asked about.
        archive_ids: The archives.
        question: Asked about each archive; gives an error as a value.
        timeout: Seconds for all archives together.
        hung: Makes the error of an archive that had no answer in time.

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
    """Raise if the store as a whole does not answer: if the answer for every archive is `StoreUnavailable`.

    An archive is left out of this if it had no answer in time, and the store answered something after the
    archive was asked about (`silent_since < answered_at`). That is this archive's own trouble: a file on a
    broken disk keeps no other from an answer. Where one archive alone remains, its error may be its own
    trouble too and is not raised, unless it is `StoreTimedOut` or `StoreAway`: these say nothing of an
    archive.

    Args:
        answers: The answer for each archive.
        silent_since: For each archive without an answer in time, when it was asked about, of
            `time.monotonic`.
        answered_at: When the store last answered anything, of `time.monotonic`.

    Raises:
        StoreUnavailable: The first of the errors.
    """
    said = [each for name, each in answers.items() if not silent_since.get(name, math.inf) < answered_at]
    errors = [each for each in said if isinstance(each, StoreUnavailable)]
    if not errors or len(errors) < len(said):
        return
    if len(errors) > 1 or isinstance(errors[0], StoreTimedOut | StoreAway):
        raise errors[0]
