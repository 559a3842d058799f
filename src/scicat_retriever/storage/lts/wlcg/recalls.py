"""How far the recalls are that a Tape REST server was asked for, by its words and by their age."""

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
"""Requests of which it is remembered when they were made."""


class Forbidden(NamedTuple):
    """A file that the server does not give.

    Attributes:
        refused: Its answer.
        words: What the API said of the file before.
    """

    refused: Rejected
    words: str = ""

    @property
    def error(self) -> DatablockUnreadable:
        """What that is where it is about the file alone."""
        return DatablockUnreadable(f"{self.refused} ({self.words})" if self.words else str(self.refused))


Said = RecallState | RecallError | Forbidden
"""What a server says of a file, all in all."""


class StageAges:
    """Tells after how long a recall of which nothing is seen counts as dropped, so that it is asked for again.

    A server that gives no states of its own (EOS) says of a recall that an operator aborted the same as of one that waits.

    Args:
        limit: Seconds from the request. Of one that this process did not make, from the moment that the server says; or where
            it says none, from its first sight.
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
        """Give the server's word on a file of a request; or, where that is older than it is believed, what is made of it."""
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
    """Say what the word on its recall makes of a file that is on tape alone."""
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
    """Make errors of files that the server does not give.

    Args:
        states: What it says of each archive.
        paths: The archives' paths.

    Raises:
        StoreRefusesAccount: It gives none of several.
    """
    refuse_if_all_are(
        {paths[key]: each.refused if isinstance(each, Forbidden) else None for key, each in states.items()}
    )
    return {key: each.error if isinstance(each, Forbidden) else each for key, each in states.items()}


def with_words(said: str, words: str) -> str:
    """Add a server's words, if it has any, to what is said of it."""
    return f"{said}: {words}" if words else said
