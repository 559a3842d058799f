"""Requests to SciCat under the service's account: login, renewal, one repetition after a 403."""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import httpx2

from scicat_retriever import __version__
from scicat_retriever.catalogue.answer import Answer
from scicat_retriever.catalogue.bounds import ENCODINGS, MAX_ANSWER, MAX_LIST, Bounds
from scicat_retriever.catalogue.errors import foreign_errors_mapped, message_in
from scicat_retriever.catalogue.grant import Grant, granted_by_login, granted_by_operator
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.catalogue.wire import encoded
from scicat_retriever.domain.errors import CatalogueAnswerUnreadable, CatalogueLoginFailed, CatalogueRefused

DENIED = (401, 403)
"""Statuses for an account without a right, and for one whose token ran out: SciCat takes it for anonymous."""

LOGIN = "/api/v3/auth/login"
"""SciCat's only login route; there is none in v4."""


class Session:
    """An HTTP client that is logged in to SciCat. May be used from any thread.

    The session logs in with its password on first use. The token that it gets is renewed before it runs out,
    and once when SciCat answers 401 or 403 to a request; the second such answer is believed. However many
    threads find the token stale, one of them logs in and the others share the outcome. A token that the
    operator configured is used as it is.
    """

    def __init__(
        self,
        settings: ScicatSettings,
        clock: Callable[[], float],
        transport: httpx2.BaseTransport | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Open a session; nothing is sent yet.

        Args:
            settings: Where SciCat is, and the account.
            clock: Gives seconds since the epoch.
            transport: Carries the requests in place of the network.
            monotonic: Gives the seconds of a clock that is never set, by which answers are bounded.

        Raises:
            CatalogueRefused: The configured file of CA certificates cannot be used.
        """
        self._settings = settings
        self._clock = clock
        self._bounds = Bounds(settings.answer_timeout, monotonic)
        self._lock = threading.Lock()
        self._login_under_way: Future[Grant] | None = None
        self._grant = (
            None if settings.token is None else granted_by_operator(settings.token.get_secret_value())
        )
        self._client = httpx2.Client(
            transport=transport,
            timeout=settings.request_timeout,
            follow_redirects=False,
            headers={
                "User-Agent": f"scicat-retriever/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": ENCODINGS,
            },
            verify=True if settings.ca_bundle is None else _trusting(settings.ca_bundle),
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @property
    def account(self) -> str | None:
        """The name under which SciCat records our updates (`updatedBy`), where it is known."""
        grant = self._grant
        return None if grant is None else grant.account

    def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        unmodified_since: str | None = None,
    ) -> Answer:
        """Send a request and read the whole answer, whatever its status.

        Args:
            method: The HTTP method.
            path: The path below the backend's root, percent-encoded.
            query: Parameters, not encoded.
            body: JSON.
            content_type: The body's type; sent exactly so.
            unmodified_since: A time. SciCat is asked to refuse (412) if the object was changed since.

        Raises:
            CatalogueUnavailable: There is no answer.
            CatalogueLoginFailed: SciCat refuses the account.
        """
        with self.stream(
            method, path, query=query, body=body, content_type=content_type, unmodified_since=unmodified_since
        ) as response:
            return self.read(response, f"{method} {path}")

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        unmodified_since: str | None = None,
    ) -> Iterator[httpx2.Response]:
        """Send a request as `ask` does, and give the response before its body is read."""

        def send(grant: Grant) -> httpx2.Response:
            headers = {"Authorization": f"Bearer {grant.token}"}
            if body is not None:
                headers["Content-Type"] = content_type
            if unmodified_since is not None:
                headers["If-Unmodified-Since"] = unmodified_since
            url = self._settings.root + path
            request = self._client.build_request(method, url, params=query, content=body, headers=headers)
            return self._client.send(request, stream=True)

        with foreign_errors_mapped(f"{method} {path}"):
            grant = self._valid_grant()
            response = send(grant)
            try:
                if response.status_code in DENIED and self._renewable:
                    response.close()
                    response = send(self._log_in(grant))
                yield response
            finally:
                response.close()

    def read(self, response: httpx2.Response, what: str) -> Answer:
        """Read a response to its end; a token that its message quotes is blanked.

        Args:
            response: The response, as `stream` gives it.
            what: Method and path of the request.
        """
        content = b"".join(self._bounds.pieces(response, what, MAX_ANSWER))
        token = response.request.headers["Authorization"].removeprefix("Bearer ").encode()
        message = "" if response.is_success else message_in(content.replace(token, b"***"))
        return Answer(what, response.status_code, content, message)

    def pieces(self, response: httpx2.Response, what: str) -> Iterator[bytes]:
        """Give the body of a response that holds a list, piece by piece; see `Bounds.pieces`.

        Args:
            response: The response, as `stream` gives it.
            what: Method and path of the request.
        """
        return self._bounds.pieces(response, what, MAX_LIST)

    def renew(self) -> bool:
        """Log in again where there is a password; say whether there is. For answers to anybody (`200 []`)."""
        if self._renewable:
            self._log_in(self._grant)
        return self._renewable

    @property
    def _renewable(self) -> bool:
        return self._settings.password is not None

    def _valid_grant(self) -> Grant:
        grant, now = self._grant, self._clock()
        if self._renewable:
            return grant if grant is not None and not grant.stale(now) else self._log_in(grant)
        if grant is None or grant.stale(now):
            raise CatalogueLoginFailed("The configured SciCat token has run out; configure a new one")
        return grant

    def _log_in(self, stale: Grant | None) -> Grant:
        with self._lock:
            if self._grant is not None and self._grant is not stale:
                return self._grant
            leader = self._login_under_way is None
            if self._login_under_way is None:
                self._login_under_way = Future()
            login = self._login_under_way
        if leader:
            self._lead(login)
        return login.result()

    def _lead(self, login: Future[Grant]) -> None:
        try:
            grant = self._request_grant()
        except BaseException as error:
            with self._lock:
                self._login_under_way = None
            login.set_exception(error)
            raise
        with self._lock:
            self._grant, self._login_under_way = grant, None
        login.set_result(grant)

    def _request_grant(self) -> Grant:
        username, password = self._settings.username, self._settings.password
        if username is None or password is None:
            raise CatalogueLoginFailed("No SciCat password is configured")
        body = encoded({"username": username, "password": password.get_secret_value()})
        what = f"POST {LOGIN}"
        headers = {"Content-Type": "application/json"}
        with (
            foreign_errors_mapped(what),
            self._client.stream(
                "POST", self._settings.root + LOGIN, content=body, headers=headers
            ) as response,
        ):
            content = b"".join(self._bounds.pieces(response, what, MAX_ANSWER))
        if response.status_code in (400, *DENIED):
            raise CatalogueLoginFailed(
                f"SciCat refuses the account {username!r} ({response.status_code}); check user name and password"
            )
        # The message of a login's answer is left out: it might repeat what was sent.
        answer = Answer(what, response.status_code, content, "")
        if not answer.ok:
            raise answer.error()
        grant = granted_by_login(answer.json_object(), username, self._clock())
        if grant is None:
            raise CatalogueAnswerUnreadable(f"SciCat's answer to {what} holds no usable access_token")
        return grant


def _trusting(ca_bundle: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_bundle)
    except OSError as error:
        raise CatalogueRefused(
            f"The CA certificates {ca_bundle} cannot be used ({error.strerror}); correct catalogue.ca_bundle"
        ) from error
