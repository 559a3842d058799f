"""A long-term store with the WLCG Tape REST API v1 and files over WebDAV: dCache, StoRM, EOS with CTA.

The server's words are passed on to the person who waits, and never decide anything: each server has sentences
of its own for missing and for forbidden files, so the status of the WebDAV server decides which it is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import PurePosixPath
from typing import TypeVar

import httpx2
import structlog

from scicat_retriever.domain.errors import (
    ArchiveIdUnsafe,
    ArchiveLost,
    DatablockMissing,
    DatablockUnreadable,
    NotYetOnline,
    RecallError,
    StoreRefusesAccount,
    StoreTimedOut,
    StoreUnavailable,
)
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import (
    ArchiveSource,
    AskedArchive,
    Capabilities,
    Locality,
    RecallState,
    TapePosition,
)
from scicat_retriever.storage.lts.hanging_calls.daemon_pool import CallHung, DaemonPool
from scicat_retriever.storage.lts.paths.archive_path import PathTemplate, path_below_root
from scicat_retriever.storage.lts.wlcg.answers import FileInfo, Progress, printable
from scicat_retriever.storage.lts.wlcg.client import TapeRestClient
from scicat_retriever.storage.lts.wlcg.halving import by_halves, refuse_if_all_are
from scicat_retriever.storage.lts.wlcg.http import Rejected, TapeHttp
from scicat_retriever.storage.lts.wlcg.recalls import (
    Forbidden,
    Said,
    StageAges,
    settled,
    state_on_tape,
    with_words,
)
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
from scicat_retriever.storage.lts.wlcg.webdav import WebdavDoor

S = TypeVar("S", bound=Hashable)
T = TypeVar("T")
log = structlog.get_logger(__name__)

_GONE = frozenset({404, 410})
_NOT_ANSWERED = "the store's answer leaves the file out"


class WlcgTape:
    """Archives in a tape system with the WLCG Tape REST API v1. A `LongTermStore`.

    Args:
        settings: Where the tape system is, and how to log in.
        transport: Carries the requests in place of the network.
        now: Gives the time as seconds since 1970, UTC; it tells how long a recall counts as on its way.
    """

    def __init__(
        self,
        settings: WlcgTapeSettings,
        transport: httpx2.BaseTransport | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._settings = settings
        self._template = PathTemplate(settings.path_template)
        self._catalogued_root = settings.catalogued_root or settings.root_path
        http = TapeHttp(settings, transport)
        self._api = TapeRestClient(settings, http)
        self._door = WebdavDoor(settings, http)
        self._threads = DaemonPool("wlcg-tape", settings.parallel_requests)
        self._ages = StageAges(settings.ask_again_after, now)

    @property
    def capabilities(self) -> Capabilities:
        """Ranges, and the batch of the settings; the API does not tell tapes."""
        return Capabilities(ranges=True, batch=self._settings.batch)

    def request_recalls(self, archive_ids: Sequence[ArchiveId]) -> Mapping[ArchiveId, str | RecallError]:
        """Ask for all in one stage request, and give its name for each. The server joins repeated requests.

        Raises:
            StoreUnavailable: The server does not take the request in time.
            StoreRefusesAccount: The account may not ask for any of the archives.
        """
        deadline = self._deadline()
        paths, unsafe = self._paths(archive_ids)

        def stage(some: Sequence[str]) -> dict[str, str]:
            return dict.fromkeys(some, self._within(deadline, lambda: self._api.stage(some, deadline)))

        asked = by_halves(_distinct(paths.values()), stage)
        refuse_if_all_are(asked)
        self._ages.made({each for each in asked.values() if isinstance(each, str)})
        answers: dict[ArchiveId, str | RecallError] = {}
        for archive_id, path in paths.items():
            named = asked[path]
            answers[archive_id] = DatablockUnreadable(str(named)) if isinstance(named, Rejected) else named
        return answers | unsafe

    def recall_states(
        self, archives: Sequence[AskedArchive]
    ) -> Mapping[ArchiveId, RecallState | RecallError]:
        """Say where archives are: `archiveinfo` in bulk, the progress of their requests, sizes by HEAD.

        A request that the server has forgotten is passed over: `archiveinfo` alone then tells. An archive
        that is `UNAVAILABLE` without a recall under way has a `StoreUnavailable`: it is neither on its way
        nor merely on tape, and asking for it again would not help.

        Raises:
            StoreUnavailable: The server does not answer in time.
            StoreRefusesAccount: The server does not let the account in.
        """
        deadline = self._deadline()
        paths, answers = self._paths([each.archive_id for each in archives])
        requests = {each.archive_id: each.request for each in archives if each.archive_id in paths}
        # In this order: a recall that ends in between is then on disk, and not one that was and is not.
        progress = self._progress(_distinct(requests.values()), _half(deadline))
        found = self._localities(_distinct(paths.values()), deadline)

        def state(archive_id: ArchiveId) -> Said:
            path, request = paths[archive_id], requests[archive_id]
            said = progress.get(request)
            mine = said if isinstance(said, RecallError) else (said or {}).get(path)
            return self._state(archive_id, found[path], self._ages.weighed(request, mine), deadline)

        states = self._at_once(state, list(paths), deadline)
        heard = not any(isinstance(each, StoreTimedOut) for each in progress.values())
        if states and heard and all(isinstance(each, StoreTimedOut) for each in states.values()):
            raise StoreTimedOut(str(next(iter(states.values()))))
        return answers | settled(states, paths)

    def tape_positions(self, archive_ids: Sequence[ArchiveId]) -> Mapping[ArchiveId, TapePosition]:  # noqa: ARG002 - of the port
        """Give none: the API does not tell."""
        return {}

    @contextmanager
    def open(
        self, archive_id: ArchiveId, start: int = 0, length: int | None = None
    ) -> Iterator[ArchiveSource]:
        """Open the archive for one sequential read by GET, of a part with Range.

        Raises:
            DatablockMissing, DatablockUnreadable, NotYetOnline, StoreUnavailable: As the port says.
            OSError: The archive was replaced since this process read its beginning.
        """
        parts = self._parts(archive_id)
        with ExitStack() as stack:
            try:
                source = stack.enter_context(self._door.open(parts, start, length))
            except Rejected as refused:
                raise self._not_given(archive_id, refused) from None
            except StoreUnavailable as trouble:
                # Some answer 503 for what is on tape alone.
                raise self._on_tape(archive_id) or trouble from None
            yield source

    def let_go(self, archives: Sequence[AskedArchive]) -> None:
        """Cancel recalls that are still under way, and release all files; of archives with a request alone.

        Raises:
            StoreUnavailable: The server does not answer in time; repeat the call.
        """
        deadline = self._deadline()
        paths, _ = self._paths([each.archive_id for each in archives])
        by_request: dict[str, list[str]] = {}
        for each in archives:
            if each.request and each.archive_id in paths:
                by_request.setdefault(each.request, []).append(paths[each.archive_id])

        def release(request: str) -> None:
            self._release(request, _distinct(by_request[request]), deadline)

        said = self._at_once(release, list(by_request), deadline)
        troubles = {request: each for request, each in said.items() if each is not None}
        if troubles and len(troubles) == len(said):
            raise next(iter(troubles.values()))
        for request, trouble in troubles.items():
            log.warning(
                "the store does not let archives go; it keeps them until their lifetime ends",
                request=request,
                why=str(trouble),
            )

    def _release(self, request: str, paths: Sequence[str], deadline: float) -> None:
        try:
            progress = self._api.progress(request, _half(deadline)) or {}
            under_way = [path for path in paths if path in progress and progress[path].active]
            if under_way:
                self._tell(lambda some: self._api.cancel(request, some, deadline), under_way)
        except StoreUnavailable as trouble:
            log.warning("a recall that may be under way is not cancelled", request=request, why=str(trouble))
        self._tell(lambda some: self._api.release(request, some, deadline), paths)

    def _tell(self, tell: Callable[[Sequence[str]], None], paths: Sequence[str]) -> None:
        """Tell the server of all files; of each by itself where one of them is not of the request."""
        try:
            tell(paths)
        except Rejected as refused:
            if refused.status in _GONE:
                return
            if len(paths) == 1 and refused.status == 403:
                raise StoreRefusesAccount(f"{refused}: give the service's account the right to") from None
            for path in paths if len(paths) > 1 else ():
                self._tell(tell, [path])

    def _paths(
        self, archive_ids: Iterable[ArchiveId]
    ) -> tuple[dict[ArchiveId, str], dict[ArchiveId, RecallError]]:
        """Give the paths as the API names them, and the errors of archives that have none."""
        paths: dict[ArchiveId, str] = {}
        unsafe: dict[ArchiveId, RecallError] = {}
        for archive_id in archive_ids:
            try:
                paths[archive_id] = self._path(archive_id)
            except ArchiveIdUnsafe as error:
                unsafe[archive_id] = error
        return paths, unsafe

    def _path(self, archive_id: ArchiveId) -> str:
        path = str(PurePosixPath("/", *self._settings.root_path.parts, *self._parts(archive_id)))
        if not path.isascii() and any("\ud800" <= character <= "\udfff" for character in path):
            raise ArchiveIdUnsafe(f"the archiveId {archive_id!r} is not Unicode, and cannot be named in JSON")
        return path

    def _missing(self, archive_id: ArchiveId, words: str) -> DatablockMissing:
        named = printable(self._path(archive_id))
        return DatablockMissing.of(archive_id, f"the store has no {named} ({words})")

    def _parts(self, archive_id: ArchiveId) -> tuple[str, ...]:
        return path_below_root(archive_id, self._template, self._catalogued_root)

    def _localities(
        self, paths: Sequence[str], deadline: float
    ) -> dict[str, FileInfo | Rejected | StoreUnavailable]:
        """Ask where files are. Files that an answer leaves out are asked for again, fewer at once."""

        def ask(some: Sequence[str]) -> Mapping[str, FileInfo]:
            return self._within(deadline, lambda: self._api.localities(some, deadline))

        found: dict[str, FileInfo | Rejected | StoreUnavailable] = {}
        waiting, at_once = list(paths), self._settings.batch
        while waiting:
            some, rest = waiting[:at_once], waiting[at_once:]
            answers = by_halves(some, ask)
            left_out = [path for path in some if path not in answers]
            found |= {path: answers[path] for path in some if path in answers}
            waiting = left_out + rest
            trouble = next((each for each in answers.values() if isinstance(each, StoreUnavailable)), None)
            if trouble is not None:
                found |= dict.fromkeys(waiting, trouble)
                break
            if len(some) == 1 and left_out:
                # Where it answers nothing at all, asking on tells no more.
                found |= dict.fromkeys(left_out if found else waiting, FileInfo("", _NOT_ANSWERED))
                waiting = [path for path in waiting if path not in found]
            elif left_out:
                at_once = len(some) - len(left_out) or len(some) // 2
        refuse_if_all_are(found)
        return found

    def _progress(
        self, requests: Iterable[str], deadline: float
    ) -> dict[str, Mapping[str, Progress] | RecallError | None]:
        known = [request for request in requests if request]
        return self._at_once(lambda request: self._api.progress(request, deadline), known, deadline)

    def _state(
        self,
        archive_id: ArchiveId,
        found: FileInfo | Rejected | StoreUnavailable,
        progress: Progress | RecallError | None,
        deadline: float,
    ) -> Said:
        if isinstance(found, StoreUnavailable):
            return found
        if isinstance(found, Rejected):
            return Forbidden(found)
        if isinstance(progress, RecallError):
            if found.locality in {"TAPE", "UNAVAILABLE"}:
                return progress  # whether it is on its way is not known: it must not be asked for anew
            progress = None
        return self._found(archive_id, found, progress, deadline)

    def _found(
        self, archive_id: ArchiveId, found: FileInfo, progress: Progress | None, deadline: float
    ) -> Said:
        match found.locality:
            case "DISK" | "DISK_AND_TAPE":
                return self._online(archive_id, deadline)
            case "TAPE":
                return state_on_tape(progress)
            case "UNAVAILABLE" if progress is not None and progress.active:
                return state_on_tape(progress)
            case "UNAVAILABLE":
                return StoreUnavailable(
                    with_words(f"{archive_id!r} is unavailable at the moment", found.error)
                )
            case "LOST":
                return ArchiveLost.of(archive_id, with_words("the store lost the archive", found.error))
            case "NONE":
                return self._missing(archive_id, "neither on disk nor on tape")
        return self._without_locality(archive_id, found, deadline)

    def _online(self, archive_id: ArchiveId, deadline: float) -> Said:
        try:
            return RecallState(Locality.ONLINE, self._door.size(self._parts(archive_id), deadline))
        except StoreUnavailable as error:
            return error
        except Rejected as refused:
            if refused.status in _GONE:
                return StoreUnavailable(
                    f"{refused}, though the API says that it is on disk: correct `read_url`"
                )
            return Forbidden(refused)

    def _without_locality(self, archive_id: ArchiveId, found: FileInfo, deadline: float) -> Said:
        words = found.error or f"it is {found.locality!r}"
        try:
            self._door.size(self._parts(archive_id), deadline)
        except StoreUnavailable as error:
            return error
        except Rejected as refused:
            if refused.status in _GONE:
                return self._missing(archive_id, words)
            return Forbidden(refused, words)
        return StoreUnavailable(f"the store does not say where {archive_id!r} is: {words}")

    def _not_given(self, archive_id: ArchiveId, refused: Rejected) -> RecallError:
        if refused.status in _GONE:
            return DatablockMissing(str(refused))
        waits = self._on_tape(archive_id)
        if waits is not None:  # dCache answers 403 to who may not have it recalled by reading
            return waits
        return DatablockUnreadable(str(refused)) if refused.status == 403 else StoreUnavailable(str(refused))

    def _on_tape(self, archive_id: ArchiveId) -> NotYetOnline | None:
        """Say that an archive which was not given is on tape, if the API says so."""
        path = self._path(archive_id)
        try:
            found = self._localities([path], self._deadline())[path]
        except StoreUnavailable:
            return None
        on_tape = isinstance(found, FileInfo) and found.locality == "TAPE"
        return NotYetOnline(f"{archive_id!r} is on tape alone") if on_tape else None

    def _deadline(self) -> float:
        return time.monotonic() + self._settings.answer_timeout

    def _within(self, deadline: float, call: Callable[[], T]) -> T:
        """Make a call once one of the `parallel_requests` is free; it must end at the deadline by itself."""
        try:
            return self._threads.ask(call, max(0.0, deadline - time.monotonic()))
        except CallHung:
            raise self._timed_out() from None

    def _at_once(
        self, call: Callable[[S], T], items: Sequence[S], deadline: float
    ) -> dict[S, T | RecallError]:
        """Make a call for each item, some at a time; one without an answer by the deadline has timed out."""
        answers: dict[S, T | RecallError] = {}
        calls = {item: partial(call, item) for item in items}
        for item, answer in self._threads.ask_each(calls, max(0.0, deadline - time.monotonic())).items():
            if isinstance(answer, CallHung):
                answers[item] = self._timed_out()
            elif isinstance(answer, Exception) and not isinstance(answer, RecallError):
                raise answer
            else:
                answers[item] = answer
        return answers

    def _timed_out(self) -> StoreTimedOut:
        return StoreTimedOut(
            f"the store did not answer within {self._settings.answer_timeout:g} s (`answer_timeout`)"
        )


def _half(deadline: float) -> float:
    """Give the middle of the time that is left: the next call must have some even if this one hangs."""
    return (time.monotonic() + deadline) / 2


def _distinct(paths: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(paths))
