"""The progress of the recalls of a Tape REST server, by the server's words and the recalls' age."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import NamedTuple

from scicat_retriever.domain.errors import DatablockUnreadable, RecallError, StoreRefusesAccount
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Locality, RecallState
from scicat_retriever.storage.lts.wlcg.answers import Progress
from scicat_retriever.storage.lts.wlcg.halving import refuse_if_all_are
from scicat_retriever.storage.lts.wlcg.http import Rejected

REMEMBERED = 10_000
"""Number of requests whose time is remembered."""


class Forbidden(NamedTuple):
    """A file that the server does not give.

    Attributes:
        refused: The server's answer.
        words: What the API said of the file before.
    """

    refused: Rejected
    words: str = ""

    @property
    def error(self) -> DatablockUnreadable:
        """The error that this is where it is about the file alone."""
        return DatablockUnreadable(f"{self.refused} ({self.words})" if self.words else str(self.refused))


Said = RecallState | RecallError | Forbidden
"""A server's word on a file, from all its answers together."""


class StageAges:
    """The ages of stage requests: a recall of which nothing is seen for long is to be asked for again.

    A server that gives no states (EOS) says the same of a recall that waits and of one that an operator
    aborted.

    Args:
        limit: Seconds from the request after which its recall counts as dropped. For a request that this
            process did not make, they count from the moment that the server says; where it says none, from
            the moment when the request was first seen.
        now: Gives the time as seconds since 1970, UTC.
    """

    def __init__(self, limit: float, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._lock = threading.Lock()
        self._made: OrderedDict[str, float] = OrderedDict()

    def made(self, requests: Iterable[str]) -> None:
        """Note that requests were made just now."""
        for request in requests:
            self._age(request, None)

    def weighed(self, request: str, said: Progress | RecallError | None) -> Progress | RecallError | None:
        """Give the server's word on a file of a request, judged by the request's age.

        Past the limit, a recall without a state of the server's own is no longer active. None is given then
        for a request that the account may not see: it may be another account's by now.
        """
        if isinstance(said, Progress) and said.active and not said.stated:
            if self._age(request, said.created_at) >= self._limit:
                return replace(said, active=False, word=f"nothing was seen of it for {self._limit:g} s")
        elif isinstance(said, StoreRefusesAccount) and self._age(request, None) >= self._limit:
            return None  # another account's by now, which may be done with it
        return said

    def _age(self, request: str, created_at: float | None) -> float:
        now = self._now()
        with self._lock:
            made = self._made.setdefault(request, now if created_at is None else created_at)
            self._made.move_to_end(request)
            while len(self._made) > REMEMBERED:
                self._made.popitem(last=False)
        return now - made


def state_on_tape(progress: Progress | None) -> RecallState:
    """Give the state of a file that is on tape alone, by the server's word on its recall, if any."""
    if progress is None:
        return RecallState(Locality.OFFLINE, reason="it is on tape")
    words = with_words(progress.word, progress.error)
    if progress.active:
        return RecallState(Locality.RECALLING, reason=f"its recall was asked for; the store says {words}")
    if progress.word == "COMPLETED" and not progress.error:
        return RecallState(Locality.OFFLINE, reason="it was recalled, and is on tape alone again")
    return RecallState(Locality.OFFLINE, reason=f"its recall ended: {words}")


def settled(
    states: Mapping[ArchiveId, Said], paths: Mapping[ArchiveId, str]
) -> dict[ArchiveId, RecallState | RecallError]:
    """Make an error of each file that the server does not give.

    Args:
        states: What the server says of each archive.
        paths: The archives' paths.

    Raises:
        StoreRefusesAccount: The server gives none of several files (403).
        StoreUnavailable: The server refuses all of them in another way; see `refuse_if_all_are`.
    """
    refuse_if_all_are(
        {paths[key]: each.refused if isinstance(each, Forbidden) else None for key, each in states.items()}
    )
    return {key: each.error if isinstance(each, Forbidden) else each for key, each in states.items()}


def with_words(said: str, words: str) -> str:
    """Add a server's words, if there are any, to a sentence."""
    return f"{said}: {words}" if words else said
