"""A long-term store in a bucket whose objects are archived: S3 Glacier, or an S3 with tapes behind it.

An archived object is restored by RestoreObject: a copy of it can then be read for some days. The requests are
in `glacier.requests`, and what the answers mean is in `glacier.state`.
https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects.html
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    DatablockMissing,
    NotYetOnline,
    RecallError,
    StoreRefusesAccount,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    AskedArchive,
    Capabilities,
    Locality,
    RecallState,
    TapePosition,
)
from scicat_retriever.storage.lts.glacier.errors import Explainer
from scicat_retriever.storage.lts.glacier.key import key_of
from scicat_retriever.storage.lts.glacier.requests import GlacierRequests
from scicat_retriever.storage.lts.glacier.settings import S3GlacierSettings
from scicat_retriever.storage.lts.glacier.state import SeenObject, is_readable, state_of
from scicat_retriever.storage.lts.hanging_calls.asking import StoreAway, refuse_silence
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate
from scicat_retriever.storage.s3.reader import ObjectReader

T = TypeVar("T")
Q = TypeVar("Q")

_BATCH = 200
"""Number of archives that are asked for one by one in a few seconds, where no listing helps."""
_WORTH_LISTING = 10
"""Number of keys in one folder that are worth a listing: it is one request, which costs as much as some."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class _Hangs(StoreTimedOut):
    """There was no answer in time to one question, which was asked at `since`, of `time.monotonic`."""

    def __init__(self, message: str, since: float) -> None:
        super().__init__(message)
        self.since = since


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
        settings: The bucket, and how objects are restored.
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
        self.capabilities = Capabilities(ranges=True, tape_positions=False, batch=_BATCH)

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, str | RecallError]:
        """Ask that archives be restored, also those whose restored copy expires too soon.

        A restore that is under way is left as it is (RestoreAlreadyInProgress). An S3 has no names for
        requests.

        Returns:
            For each archive an empty text, or why it is refused: `ArchiveIdUnsafe`, `DatablockUnreadable`,
            `StoreUnavailable` where the S3 does not answer for it or does not restore it, and
            `StoreRefusesAccount` where the account has no right to restore it.

        Raises:
            StoreUnavailable: The S3 cannot be reached, has no such bucket, refuses the account or cannot
                restore; or it answers for no archive within `answer_timeout` seconds, or is busy.
        """
        begun = time.monotonic()
        keys, unsafe = self._keys(archive_ids)
        # Half of the time is left: what hangs for one must not keep the others from being restored.
        looked = self._look(keys.values(), self._settings.answer_timeout / 2)
        archived = {
            key: seen
            for key, seen in looked.items()
            if isinstance(seen, SeenObject) and self._state(seen).locality is Locality.OFFLINE
        }
        left = self._settings.answer_timeout - (time.monotonic() - begun)
        restored = self._each(
            "restore", lambda key: self._requests.restore(key, archived[key]), archived, left
        )
        answers = {each: _answered(looked[key], restored.get(key)) for each, key in keys.items()}
        self._refuse_silence(answers)
        return unsafe | answers

    def recall_states(self, archives: Sequence[AskedArchive]) -> dict[ArchiveId, RecallState | RecallError]:
        """Say where archives are.

        A restored copy that expires within `extend_before` seconds counts as offline.

        Returns:
            For each archive its state, or an error: `StoreUnavailable` where the S3 does not answer for it.

        Raises:
            StoreUnavailable: The S3 cannot be reached, has no such bucket or refuses the account; or it
                answers for no archive within `answer_timeout` seconds, or is busy.
        """
        keys, unsafe = self._keys([each.archive_id for each in archives])
        seen = self._look(keys.values(), self._settings.answer_timeout)
        answers = {archive_id: self._answer(archive_id, seen[key]) for archive_id, key in keys.items()}
        self._refuse_silence(answers)
        return unsafe | answers

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> dict[ArchiveId, TapePosition]:  # noqa: ARG002 - the port's
        """Give none: an S3 does not tell on which tapes objects are."""
        return {}

    @contextmanager
    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> Iterator[GlacierSource]:
        """Open the archive; reading fails where the object is replaced meanwhile.

        Raises:
            ArchiveIdUnsafe: The archiveId makes no key.
            NotYetOnline: The object is archived, and not restored.
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

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
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

    def _look(self, keys: Iterable[str], seconds: float) -> dict[str, SeenObject | RecallError]:
        """Ask for objects: by listings as far as these say enough, for the others one by one."""
        begun = time.monotonic()
        wanted = list(dict.fromkeys(keys))
        seen: dict[str, SeenObject | RecallError] = {}
        pages = self._each("list", self._requests.list_page, self._alike(wanted), seconds / 2)
        for page, found in pages.items():
            if not isinstance(found, RecallError):
                seen |= found
            elif not isinstance(found, StoreTimedOut):  # some list for ages what they say at once one by one
                seen |= dict.fromkeys(page, found)
        others = [key for key in wanted if key not in seen]
        seen |= self._each("head", self._requests.head, others, seconds - (time.monotonic() - begun))
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

    def _answer(self, archive_id: ArchiveId, seen: SeenObject | RecallError) -> RecallState | RecallError:
        if isinstance(seen, DatablockMissing):
            return DatablockMissing.of(archive_id, f"{self._settings.place} has no such object")
        return self._state(seen) if isinstance(seen, SeenObject) else seen

    def _state(self, seen: SeenObject) -> RecallState:
        return state_of(seen, self._settings.archive_classes, self._now(), self._settings.extend_before)

    def _each(
        self, what: str, ask: Callable[[Q], T], questions: Iterable[Q], seconds: float
    ) -> dict[Q, T | RecallError]:
        """Ask questions, some at a time; a question's error, or that it had no answer in time, is its answer.

        Args:
            what: Tells these questions from others about the same keys. A question that still hangs is not
                asked again.
            ask: Asks one question.
            questions: The questions.
            seconds: For all questions together.

        Raises:
            StoreAway, StoreRefusesAccount: The answer to one question; the others are not asked any more.
        """
        whole_store: list[RecallError] = []

        def asked(question: Q) -> T | RecallError:
            if whole_store:
                return whole_store[0]
            try:
                return ask(question)
            except (StoreAway, StoreRefusesAccount) as error:
                whole_store.append(error)
                return error
            except RecallError as error:
                return error

        said = self._threads.ask_each(
            {(what, each): partial(asked, each) for each in questions}, max(0.0, seconds)
        )
        if whole_store:
            raise whole_store[0]
        answers = {question: self._in_time(answer) for (_, question), answer in said.items()}
        if any(not isinstance(each, StoreUnavailable) for each in answers.values()):
            self._threads.answered_at = time.monotonic()
        return answers

    def _in_time(self, answer: T | Exception) -> T | RecallError:
        if isinstance(answer, CallHung):
            words = f"{self._settings.place} hangs: {answer}; look after the S3 and the network if that lasts"
            return _Hangs(words, answer.since)
        if isinstance(answer, Exception) and not isinstance(answer, RecallError):
            raise answer
        return answer

    def _refuse_silence(self, answers: Mapping[ArchiveId, object]) -> None:
        """Raise if the S3 as a whole does not answer; see `refuse_silence`.

        That the account may not restore an object is an answer.
        """
        refuse_silence(
            {each: "" if isinstance(said, StoreRefusesAccount) else said for each, said in answers.items()},
            {each: said.since for each, said in answers.items() if isinstance(said, _Hangs)},
            self._threads.answered_at,
        )


def _answered(seen: SeenObject | RecallError, restored: RecallError | None) -> str | RecallError:
    if isinstance(seen, RecallError) and not isinstance(seen, DatablockMissing):
        return seen
    return restored or ""
