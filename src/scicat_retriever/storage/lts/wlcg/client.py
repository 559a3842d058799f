"""The calls of the WLCG Tape REST API v1."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from scicat_retriever.domain.errors import StoreRefusesAccount, StoreTimedOut, StoreUnavailable
from scicat_retriever.storage.lts.wlcg.answers import (
    AnswerUnreadable,
    FileInfo,
    Progress,
    api_uri,
    localities_in,
    progress_in,
    request_id,
)
from scicat_retriever.storage.lts.wlcg.http import ReadAnswer, Rejected, TapeHttp
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings

WELL_KNOWN = "/.well-known/wlcg-tape-rest-api"

DISCOVERED_SECONDS = 600.0
"""Seconds for which a discovered address is used."""

SILENT_SECONDS = 5.0
"""Seconds for which a server is not asked again that did not answer in time where its API is."""


class TapeRestClient:
    """A server of the API. May be used from any thread.

    Each call has a deadline, of `time.monotonic`. It raises `StoreUnavailable` where there is no usable
    answer by then, and `Rejected` where the server refuses the call.

    Args:
        settings: Where the server is.
        http: Carries the calls.
        clock: Gives seconds that never go back.
    """

    def __init__(
        self, settings: WlcgTapeSettings, http: TapeHttp, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._http = http
        self._clock = clock
        self._lock = threading.Lock()
        self._api: str | None = None
        self._until = 0.0
        self._silent_until = 0.0

    def stage(self, paths: Sequence[str], deadline: float) -> str:
        """Ask that files be brought to disk and kept there for `disk_lifetime`; give the request's name."""
        lifetime = f"PT{self._settings.disk_lifetime}S"  # ISO 8601
        files = [{"path": path, "diskLifetime": lifetime} for path in paths]
        answer = self._call("POST", "/stage", deadline, {"files": files})
        with _readable("POST /stage"):
            return request_id(answer.content, answer.location)

    def progress(self, request: str, deadline: float) -> Mapping[str, Progress] | None:
        """Say how far the files of a request are, by path; None where the server forgot the request."""
        try:
            answer = self._call("GET", f"/stage/{_segment(request)}", deadline)
        except Rejected as refused:
            if refused.status in {404, 410}:
                return None
            if refused.status == 403:
                raise StoreRefusesAccount(f"{refused}: give the service's account the right to") from None
            raise StoreUnavailable(str(refused)) from None
        with _readable("GET /stage"):
            return progress_in(answer.content)

    def cancel(self, request: str, paths: Sequence[str], deadline: float) -> None:
        """Take back the recall of files of a request."""
        self._call("POST", f"/stage/{_segment(request)}/cancel", deadline, {"paths": list(paths)})

    def release(self, request: str, paths: Sequence[str], deadline: float) -> None:
        """Say that files of a request are not needed on disk any longer."""
        self._call("POST", f"/release/{_segment(request)}", deadline, {"paths": list(paths)})

    def localities(self, paths: Sequence[str], deadline: float) -> Mapping[str, FileInfo]:
        """Say where files are, by path.

        A server may leave some out: dCache silently cuts the list of files at its limit.
        """
        answer = self._call("POST", "/archiveinfo", deadline, {"paths": list(paths)})
        with _readable("POST /archiveinfo"):
            return localities_in(answer.content)

    def _call(self, method: str, path: str, deadline: float, body: object = None) -> ReadAnswer:
        # With escapes for all that is not ASCII, which every parser of JSON takes.
        content = None if body is None else json.dumps(body).encode()
        return self._http.ask(method, self._address(deadline) + path, deadline, content)

    def _address(self, deadline: float) -> str:
        if self._settings.api_url is not None:
            return str(self._settings.api_url).rstrip("/")
        silent = f"the store does not say in time where its API is (GET {WELL_KNOWN})"
        if not self._lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise StoreTimedOut(silent)
        try:
            if self._api is None or self._clock() >= self._until:
                if self._clock() < self._silent_until:
                    raise StoreTimedOut(silent)
                self._api = self._discovered(deadline)
                self._until = self._clock() + DISCOVERED_SECONDS
            return self._api
        finally:
            self._lock.release()

    def _discovered(self, deadline: float) -> str:
        url = str(self._settings.url).rstrip("/")
        try:
            answer = self._http.ask("GET", url + WELL_KNOWN, deadline)
        except Rejected as refused:
            raise StoreUnavailable(f"{refused}: correct `url`, or set `api_url`") from None
        except StoreTimedOut:
            self._silent_until = self._clock() + SILENT_SECONDS
            raise
        with _readable(f"GET {WELL_KNOWN}"):
            found = api_uri(answer.content)
            if url.startswith("https:") and not found.startswith("https://"):
                raise AnswerUnreadable("it leads away from https")
        self._http.check_api(found)
        return found


def _segment(request: str) -> str:
    """Percent-encode a request's name, which a server chose, so that it is one segment of a path."""
    encoded = quote(request, safe="")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded


@contextmanager
def _readable(what: str) -> Iterator[None]:
    try:
        yield
    except AnswerUnreadable as unreadable:
        raise StoreUnavailable(f"the store's answer to {what} cannot be used: {unreadable}") from None
