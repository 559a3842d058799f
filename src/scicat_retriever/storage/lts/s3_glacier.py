"""A long-term store in a bucket whose objects are archived: S3 Glacier, or an S3 with tapes behind it.

An archived object is restored by RestoreObject: a copy of it can then be read for some days. What is asked, and what
the answers mean, is in `glacier_requests` and `glacier_state`.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, wait
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TypeVar

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    NotYetOnline,
    RecallError,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import Capabilities, Locality, RecallState, TapePlace, Wanted
from scicat_retriever.storage.lts.archive_path import PathTemplate
from scicat_retriever.storage.lts.daemon_pool import DaemonPool
from scicat_retriever.storage.lts.glacier_errors import Explainer
from scicat_retriever.storage.lts.glacier_key import key_of
from scicat_retriever.storage.lts.glacier_requests import GlacierRequests
from scicat_retriever.storage.lts.glacier_settings import S3GlacierSettings
from scicat_retriever.storage.lts.glacier_state import Seen, is_readable, state_of
from scicat_retriever.storage.s3.reader import ObjectReader

T = TypeVar("T")
Q = TypeVar("Q")

_BATCH = 200
"""As many as are asked for one by one in a few seconds, where no listing helps."""
_WORTH_LISTING = 10
"""So many keys in one folder are asked for by listing: one request, which costs as much as some."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class GlacierSource:
    """An open archive."""

    def __init__(self, reader: ObjectReader) -> None:
        self._reader = reader

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; gives the number of bytes, 0 at the end.

        Raises:
            ReadFailed: The object was replaced since it was opened.
            NotYetOnline: The restored copy has expired.
            DatablockMissing, DatablockUnreadable, StoreUnavailable: As `LongTermStore.open`.
        """
        return self._reader.readinto(buffer)


class S3Glacier:
    """Archives as archived objects of a bucket. A `LongTermStore`. Nothing is asked before it is used.

    Args:
        settings: Where, and how.
        section: The section of the settings, for errors that say what to correct.
        now: Gives the time in UTC, to compare with the expiry of restored copies.
    """

    def __init__(
        self, settings: S3GlacierSettings, section: str = "lts", now: Callable[[], datetime] = _utc_now
    ) -> None:
        self._settings = settings
        self._now = now
        self._template = PathTemplate(settings.key_template)
        self._requests = GlacierRequests(settings, Explainer(settings, section))
        self._threads = DaemonPool("s3-glacier", settings.parallel_requests)
        self.capabilities = Capabilities(ranges=True, places=False, batch=_BATCH)

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, str | RecallError]:
        """Have restored what is archived, and what is restored and expires too soon. An S3 has no names for requests.

        What is being restored already is left as it is (RestoreAlreadyInProgress).

        Returns:
            For each an empty text, or why it is refused: `ArchiveIdUnsafe`, `DatablockUnreadable`, and
            `StoreRefusesAccount` where the key has no right to restore it.

        Raises:
            StoreUnavailable: The S3 does not answer within `answer_timeout` seconds, is busy, or cannot restore.
        """
        deadline = self._deadline()
        keys, answers = self._keys(archive_ids)
        archived = {}
        for key, seen in self._look(keys.values(), deadline).items():
            if isinstance(seen, Seen) and self._state(seen).locality is Locality.OFFLINE:
                archived[key] = seen
            elif isinstance(seen, RecallError) and not isinstance(seen, DatablockMissing):
                answers |= {each: seen for each in keys if keys[each] == key}
        refused = self._each(lambda key: self._requests.restore(key, archived[key]), archived, deadline)
        return answers | {each: refused.get(key) or "" for each, key in keys.items() if each not in answers}

    def recall_states(self, wanted: Sequence[Wanted]) -> dict[ArchiveId, RecallState | RecallError]:
        """Say where archives are; a restored copy that expires within `extend_before` seconds counts as offline.

        Raises:
            StoreUnavailable: The S3 does not answer within `answer_timeout` seconds, is busy, or has no such bucket.
        """
        keys, refused = self._keys([each.archive_id for each in wanted])
        seen = self._look(keys.values(), self._deadline())
        return refused | {archive_id: self._answer(seen[key]) for archive_id, key in keys.items()}

    def places(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePlace]:  # noqa: ARG002 - the port's
        """Know none: an S3 does not tell on which tapes objects are."""
        return {}

    @contextmanager
    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> Iterator[GlacierSource]:
        """Open the archive; reading fails where the object is replaced meanwhile.

        Raises:
            ArchiveIdUnsafe: It makes no key.
            NotYetOnline: It is archived, and not restored.
            DatablockMissing, DatablockUnreadable, StoreUnavailable: As the port says.
        """
        key = key_of(archive_id, self._template, self._settings.catalogued_root)
        try:
            seen = self._requests.head(key)
        except DatablockMissing:
            self._requests.see_the_bucket()
            raise
        if not is_readable(seen, self._settings.archive_classes, self._now()):
            raise NotYetOnline(f"{key!r} in {self._settings.place}: {self._state(seen).reason}")
        end = seen.size if length is None else min(seen.size, start + length)
        with self._requests.reader(key, seen, end) as reader:
            reader.seek(start)
            yield GlacierSource(reader)

    def release(self, wanted: Sequence[Wanted]) -> None:
        """Do nothing: a restored copy cannot be given back, it expires by itself."""

    def _keys(
        self, archive_ids: Iterable[ArchiveId]
    ) -> tuple[dict[ArchiveId, str], dict[ArchiveId, RecallError]]:
        keys: dict[ArchiveId, str] = {}
        refused: dict[ArchiveId, RecallError] = {}
        for archive_id in archive_ids:
            try:
                keys[archive_id] = key_of(archive_id, self._template, self._settings.catalogued_root)
            except ArchiveIdUnsafe as unsafe:
                refused[archive_id] = unsafe
        return keys, refused

    def _look(self, keys: Iterable[str], deadline: float) -> dict[str, Seen | RecallError]:
        """Ask for objects: by listings as far as those say enough, the others one by one."""
        wanted = list(dict.fromkeys(keys))
        seen: dict[str, Seen | RecallError] = {}
        for page in self._each(self._requests.list_page, self._alike(wanted), deadline).values():
            seen |= page
        seen |= self._each(self._head, [key for key in wanted if key not in seen], deadline)
        if any(isinstance(each, DatablockMissing) for each in seen.values()):
            self._requests.see_the_bucket()
        return seen

    def _alike(self, keys: Iterable[str]) -> list[tuple[str, ...]]:
        """Give the keys of each folder that has enough of them to be worth a listing."""
        if self._settings.use_restore_status == "never":
            return []
        folders: defaultdict[str, list[str]] = defaultdict(list)
        for key in keys:
            folders[key.rpartition("/")[0]].append(key)
        return [tuple(each) for each in folders.values() if len(each) >= _WORTH_LISTING]

    def _head(self, key: str) -> Seen | RecallError:
        try:
            return self._requests.head(key)
        except StoreUnavailable:
            raise
        except RecallError as error:
            return error

    def _answer(self, seen: Seen | RecallError) -> RecallState | RecallError:
        if isinstance(seen, DatablockMissing):
            return RecallState(Locality.MISSING, reason=f"{self._settings.place} has no such object")
        return self._state(seen) if isinstance(seen, Seen) else seen

    def _state(self, seen: Seen) -> RecallState:
        return state_of(seen, self._settings.archive_classes, self._now(), self._settings.extend_before)

    def _deadline(self) -> float:
        return time.monotonic() + self._settings.answer_timeout

    def _each(self, ask: Callable[[Q], T], questions: Iterable[Q], deadline: float) -> dict[Q, T]:
        """Ask all, some at a time. What is raised by one is raised, and the others are not asked any more."""
        asked = {each: self._threads.submit(lambda each=each: ask(each)) for each in questions}  # type: ignore[misc]
        try:
            wait(asked.values(), max(0.0, deadline - time.monotonic()), FIRST_EXCEPTION)
            for future in asked.values():
                if future.done():
                    future.result()
            if not all(future.done() for future in asked.values()):
                raise StoreTimedOut(
                    f"{self._settings.place} did not answer {len(asked)} questions within "
                    f"{self._settings.answer_timeout:g} s"
                )
            return {each: future.result() for each, future in asked.items()}
        finally:
            for future in asked.values():
                future.cancel()
