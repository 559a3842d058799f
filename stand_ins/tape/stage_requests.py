"""Stage requests of the WLCG Tape REST API v1, over a tape library."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stand_ins.tape.backend import Locality, Recall, TapeBackend

ON_DISK = frozenset({Locality.DISK, Locality.DISK_AND_TAPE})


class UnknownRequest(Exception):
    """There is no such request, or none any longer."""


class NotOfRequest(Exception):
    """Files were named that the request is not about."""


@dataclass
class StagedFile:
    """A file of a request.

    Attributes:
        name: Its name in the library.
        asked_at: When it was asked for, seconds of the library's clock.
        state: How far it is, as last seen; once it has ended it stays so, whatever becomes of the file later.
        error: Why it failed.
        started_at: When its recall was first seen to have begun.
        finished_at: When it was seen to have ended.
        released: Whether it is not needed on disk any longer.
    """

    name: str
    asked_at: float
    state: Recall = Recall.SUBMITTED
    error: str = ""
    started_at: float | None = None
    finished_at: float | None = None
    released: bool = False

    @property
    def active(self) -> bool:
        """Whether its recall goes on."""
        return self.state in {Recall.SUBMITTED, Recall.STARTED}

    @property
    def held(self) -> bool:
        """Whether the request wants it on disk still."""
        return not self.released and self.state not in {Recall.CANCELLED, Recall.FAILED}


@dataclass
class StageRequest:
    """A request.

    Attributes:
        id: Its name.
        created_at: When it was made, seconds of the library's clock.
        files: What it is about, by name.
    """

    id: str
    created_at: float
    files: dict[str, StagedFile] = field(default_factory=dict)


class StageRequests:
    """All requests of a server. May be used from any thread.

    Args:
        library: Where the files are.
    """

    def __init__(self, library: TapeBackend) -> None:
        self._library = library
        self._requests: dict[str, StageRequest] = {}
        self._lock = threading.RLock()

    def make(self, lifetimes: dict[str, float]) -> StageRequest:
        """Ask for files, in their order, each to be kept on disk for so many seconds."""
        now = self._library.now()
        request = StageRequest(str(uuid.uuid4()), now)
        with self._lock:
            for name, lifetime in lifetimes.items():
                self._library.recall([name], lifetime)
                request.files[name] = StagedFile(name, now)
            self._requests[request.id] = request
        return request

    def look(self, request_id: str) -> StageRequest:
        """Give a request with its files as they are now.

        Raises:
            UnknownRequest: There is none.
        """
        with self._lock:
            request = self._request(request_id)
            for file in request.files.values():
                self._look(file)
            return request

    def cancel(self, request_id: str, names: Sequence[str]) -> None:
        """Take back recalls, as far as no other request waits for the same files.

        Raises:
            UnknownRequest: There is none.
            NotOfRequest: One of the files is not of it; then nothing is done.
        """
        with self._lock:
            for file in self._files(request_id, names):
                self._look(file)
                if file.active:
                    file.state, file.finished_at = Recall.CANCELLED, self._library.now()
            self._library.cancel([name for name in names if not self._held(name)])

    def release(self, request_id: str, names: Sequence[str]) -> None:
        """Give files up, as far as no other request needs them.

        Raises:
            UnknownRequest: There is none.
            NotOfRequest: One of the files is not of it; then nothing is done.
        """
        with self._lock:
            for file in self._files(request_id, names):
                self._look(file)
                file.released = True
            self._library.release([name for name in names if not self._held(name)])

    def delete(self, request_id: str) -> None:
        """Cancel a request and forget it.

        Raises:
            UnknownRequest: There is none.
        """
        with self._lock:
            self.cancel(request_id, list(self._request(request_id).files))
            del self._requests[request_id]

    def forget_all(self) -> None:
        """Forget every request, as a server does that lost its database, or cleans up after a time."""
        with self._lock:
            self._requests.clear()

    def _request(self, request_id: str) -> StageRequest:
        request = self._requests.get(request_id)
        if request is None:
            raise UnknownRequest(request_id)
        return request

    def _files(self, request_id: str, names: Sequence[str]) -> list[StagedFile]:
        files = self._request(request_id).files
        foreign = [name for name in names if name not in files]
        if foreign:
            raise NotOfRequest(", ".join(foreign))
        return [files[name] for name in names]

    def _held(self, name: str) -> bool:
        return any(file.held for file in self._all(name))

    def _all(self, name: str) -> Iterator[StagedFile]:
        return (request.files[name] for request in self._requests.values() if name in request.files)

    def _look(self, file: StagedFile) -> None:
        if not file.active:
            return
        seen = self._library.file(file.name)
        if seen is None:
            self._end(file, Recall.FAILED, "no such file or directory")
            return
        file.started_at = seen.started_at if file.started_at is None else file.started_at
        since = seen.finished_at is not None and seen.finished_at >= file.asked_at
        if seen.locality in ON_DISK:
            self._end(file, Recall.COMPLETED)
        elif since and seen.recall in {Recall.COMPLETED, Recall.FAILED, Recall.CANCELLED}:
            self._end(file, seen.recall, seen.error)
        else:
            file.state = Recall.STARTED if seen.recall is Recall.STARTED else Recall.SUBMITTED

    def _end(self, file: StagedFile, state: Recall, error: str = "") -> None:
        file.state, file.error, file.finished_at = state, error, self._library.now()
