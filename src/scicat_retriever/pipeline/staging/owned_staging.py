"""A staging area that is asked whose it is before anything is done to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import BinaryIO

from scicat_retriever.domain.errors import StagingError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.pipeline.staging.ownership import not_ours
from scicat_retriever.ports.staging_area import Holding, Partial, Room, StagingArea


class OwnedStaging:
    """A `StagingArea` of one ledger: without that ledger's marker it changes nothing.

    Nor does it say then that a file is missing.

    Each method raises `StagingNotOurs` where the marker is gone or another's: the area is not mounted any
    more, or somebody else took it.

    Args:
        area: The area.
        ledger: The identity of the ledger that it belongs to.
        trusted_for: Seconds for which a marker that was seen need not be looked at again before a change.
        now: Gives the time in seconds.
    """

    def __init__(
        self,
        area: StagingArea,
        ledger: str,
        trusted_for: float = 0.0,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._area = area
        self._ledger = ledger
        self._trusted_for = trusted_for
        self._now = now
        self._seen_at = float("-inf")

    @property
    def location(self) -> str:
        """Where it is."""
        return self._area.location

    def prepare(self) -> None:
        """Make what the area lacks."""
        self._require_ours()
        self._area.prepare()

    def owner(self) -> str | None:
        """The ledger that its marker names."""
        return self._area.owner()

    def mark(self, ledger: str, *, anew: bool = False) -> None:
        """Write the marker."""
        self._area.mark(ledger, anew=anew)

    def room(self) -> Room:
        """Say what the area offers."""
        self._require_ours()
        return self._area.room()

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        """Make a new partial file."""
        self._require_ours()
        with self._area.open_partial(key, size) as partial:
            yield partial

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this partial file."""
        return self._there(self._area.partial_size, key, token)

    def commit(self, key: DatablockKey, token: str, receipt: str) -> None:
        """Make this partial file the staged one."""
        self._require_ours()
        with self._failing_only_if_ours():
            self._area.commit(key, token, receipt)

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        """Bytes of this staged file."""
        return self._there(self._area.staged_size, key, token)

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        """Open this staged file."""
        with self._failing_only_if_ours(), self._area.open_staged(key, token) as file:
            yield file

    def download_url(self, key: DatablockKey, token: str, name: str, longest: timedelta) -> str | None:
        """Give a URL of this staged file."""
        return self._area.download_url(key, token, name, longest)

    def discard_partial(self, key: DatablockKey, token: str | None = None) -> None:
        """Remove partial files of a datablock."""
        self._require_ours()
        self._area.discard_partial(key, token)

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        """Remove staged files of a datablock."""
        self._require_ours()
        self._area.delete(key, token)

    def name_of(self, key: DatablockKey) -> str:
        """Name a datablock."""
        return self._area.name_of(key)

    def holdings(self) -> Iterator[Holding]:
        """Give all files that are there."""
        self._require_ours()
        yield from self._area.holdings()
        self._look()

    def remove(self, holding: Holding) -> None:
        """Remove a file that was found."""
        self._require_ours()
        self._area.remove(holding)

    def _require_ours(self) -> None:
        if self._now() - self._seen_at >= self._trusted_for:
            self._look()

    def _look(self) -> None:
        now, owner = self._now(), self._area.owner()
        if owner != self._ledger:
            raise not_ours(self._area, owner)
        self._seen_at = now

    def _there(
        self, ask: Callable[[DatablockKey, str], int | None], key: DatablockKey, token: str
    ) -> int | None:
        with self._failing_only_if_ours():
            size = ask(key, token)
        if size is None:
            self._look()
        return size

    @contextmanager
    def _failing_only_if_ours(self) -> Iterator[None]:
        """Let an error of the area pass if the area is ours; else raise that it is not, which says more."""
        try:
            yield
        except StagingError:
            self._look()
            raise
