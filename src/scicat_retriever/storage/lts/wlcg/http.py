"""Requests to a tape system and its WebDAV door: login and redirects. Errors of the HTTP library end here."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import httpx2

from scicat_retriever import __version__
from scicat_retriever.domain.errors import StoreRefusesAccount, StoreTimedOut, StoreUnavailable
from scicat_retriever.storage.lts.wlcg.answers import printable, problem_in
from scicat_retriever.storage.lts.wlcg.bearer_token import BearerToken, file_version
from scicat_retriever.storage.lts.wlcg.clock import RequestClock
from scicat_retriever.storage.lts.wlcg.connections import tls_context
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
from scicat_retriever.storage.lts.wlcg.transport import CLOCK, TapeTransport

LARGEST_ANSWER = 16 * 2**20
"""Most bytes of an answer; an answer about 1000 files has about one million."""

MOST_REDIRECTS = 5

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})
_SHORTEST_SECRET = 8
_NOT_NAMED = "name its host in `redirect_hosts` if the service may go there"


class Rejected(Exception):
    """The server refuses one request for its content: a 4xx that is not about the account.

    Attributes:
        status: The HTTP status.
        message: The server's words, printable.
    """

    def __init__(self, what: str, status: int, message: str) -> None:
        super().__init__(f"the store answers {status} to {what}" + (f": {message}" if message else ""))
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class ReadAnswer:
    """An answer that was read to its end.

    Attributes:
        content: The body.
        location: The header of that name, or empty.
    """

    content: bytes = field(repr=False)
    location: str = ""


class TapeHttp:
    """An HTTP client with the service's token or certificate. May be used from any thread.

    Args:
        settings: Where the tape system is, and how to log in.
        transport: Carries the requests in place of the network.
    """

    def __init__(self, settings: WlcgTapeSettings, transport: httpx2.BaseTransport | None = None) -> None:
        self._settings = settings
        self._transport = transport
        self._token = BearerToken(settings.token, settings.token_file)
        self._addresses = settings.addresses
        self._lock = threading.Lock()
        self._client: httpx2.Client | None = None
        self._client_version: object = None

    def ask(self, method: str, url: str, deadline: float, body: bytes | None = None) -> ReadAnswer:
        """Send a request and read the whole answer.

        Args:
            method: The HTTP method.
            url: The absolute address.
            deadline: When the request ends at the latest, of `time.monotonic`.
            body: JSON; None sends no body.

        Raises:
            Rejected: A 4xx that is not about the account, a 403 included.
            StoreRefusesAccount: A 401, or the service has no usable token or certificate.
            StoreUnavailable: No answer, a 5xx, or more than `LARGEST_ANSWER` bytes.
        """
        headers = {"Accept": "application/json"} | (
            {} if body is None else {"Content-Type": "application/json"}
        )
        what, clock = f"{method} {url}", self.clock(deadline)
        with self.stream(method, url, headers, clock, body) as response:
            with errors_mapped(what):
                content = self._token.blanked(_read(response, what))
            self.refuse(response, what, content)
            return ReadAnswer(content, response.headers.get("Location", ""))

    def clock(self, ends: float, silence: float | None = None, *, whole: bool = True) -> RequestClock:
        """Give the clock of a request.

        Args:
            ends: When the answer must have begun, of `time.monotonic`.
            silence: Seconds for which the server may be silent; None for `answer_timeout`.
            whole: Whether all of the answer must be there at `ends`.
        """
        silence = self._settings.answer_timeout if silence is None else silence
        return RequestClock(ends, silence, self._settings.connect_timeout, whole)

    @contextmanager
    def stream(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        clock: RequestClock,
        body: bytes | None = None,
    ) -> Iterator[httpx2.Response]:
        """Send a request and give the answer before its body is read. GET and HEAD follow redirects.

        The token goes only to the addresses of the settings. A redirect from https leads only to https; where
        `redirect_hosts` is set, a redirect leads only to the hosts that the settings name.

        Args:
            method: The HTTP method.
            url: The absolute address.
            headers: Headers beside those of the login; characters are bytes (ISO 8859-1).
            clock: The time that the request may take, redirects included.
            body: The body that is sent.

        Raises:
            StoreUnavailable: No answer, or a redirect that is not followed.
            StoreRefusesAccount: The service has no usable token or certificate.
        """
        client = self._current_client()
        target, what = self._url(url), f"{method} {url}"
        for _ in range(MOST_REDIRECTS + 1):
            if clock.left <= 0:
                raise StoreTimedOut(f"the store did not answer {what} in time")
            with errors_mapped(what):
                sent = httpx2.Headers({**headers, **self._login(target)}, encoding="iso-8859-1")
                request = client.build_request(
                    method, target, content=body, headers=sent, extensions={CLOCK: clock}
                )
                response = client.send(request, stream=True)
            if response.status_code not in _REDIRECTS:
                break
            response.close()
            target = self._redirected(target, response, what)
        else:
            raise StoreUnavailable(f"the store redirects {what} in a circle")
        try:
            yield response
        finally:
            response.close()

    def check_api(self, url: str) -> None:
        """Check an address that a server names for the API.

        Raises:
            StoreUnavailable: It is no address of an API; or it leads inside this machine or its link, which
                no setting names; or to a host that `redirect_hosts` does not allow.
        """
        with errors_mapped(printable(url)):
            target = httpx2.URL(url)
            bare = target.scheme in {"http", "https"} and not (
                target.userinfo or target.query or target.fragment
            )
            if not bare or self._addresses.leads_inside(target.raw_host.decode()):
                raise StoreUnavailable(f"the store names {_shown(target)} as its API, which is not believed")
            if not self._addresses.may_lead_to(target):
                raise StoreUnavailable(f"the store names {_shown(target)} as its API; {_NOT_NAMED}")

    def refuse(self, response: httpx2.Response, what: str, content: bytes) -> None:
        """Raise the error that an answer other than 2xx stands for.

        Args:
            response: The answer.
            what: Method and address of the request.
            content: The answer's body, as far as it was read; a token or signature that it quotes is not
                repeated.

        Raises:
            Rejected: A 4xx that is not about the account, a 403 included.
            StoreRefusesAccount: 401.
            StoreUnavailable: Anything else.
        """
        status = response.status_code
        if response.is_success:
            return
        content = self._token.blanked(content)
        for _, secret in parse_qsl(response.url.query, errors="replace"):
            if len(secret) >= _SHORTEST_SECRET:
                content = content.replace(secret, b"***")
        message = problem_in(content)
        if status == 401:
            raise StoreRefusesAccount(f"{Rejected(what, status, message)}; {self._about_login(response.url)}")
        if 400 <= status < 500 and status not in _LATER:
            raise Rejected(what, status, message)
        raise StoreUnavailable(str(Rejected(what, status, message)))

    def _login(self, url: httpx2.URL) -> dict[str, str]:
        token = self._token.current() if self._addresses.takes_token(url) else None
        return {} if token is None else {"Authorization": f"Bearer {token}"}

    def _about_login(self, url: httpx2.URL) -> str:
        if not self._addresses.takes_token(url):
            place = f"{url.scheme}://{url.netloc.decode()}"
            return f"no token was sent to {place}: name it in `token_hosts` if it may have it"
        return "give the service another token or certificate"

    def _url(self, text: str) -> httpx2.URL:
        with errors_mapped(printable(text)):
            return httpx2.URL(text)

    def _redirected(self, source: httpx2.URL, response: httpx2.Response, what: str) -> httpx2.URL:
        location = response.headers.get("Location", "")
        if response.request.method not in {"GET", "HEAD"}:
            raise StoreUnavailable(f"the store redirects {what}: correct the address in the settings")
        with errors_mapped(f"the redirect of {what}"):
            target = source.join(self._url(location))
            inside = self._addresses.leads_inside(target.raw_host.decode())
            named = self._addresses.may_lead_to(target)
        if target.scheme != source.scheme and target.scheme != "https":
            raise StoreUnavailable(f"the store redirects {what} to {target.scheme}, which is not followed")
        if inside:
            raise StoreUnavailable(f"the store redirects {what} to {_shown(target)}, which is not followed")
        if not named:
            raise StoreUnavailable(f"the store redirects {what} to {_shown(target)}; {_NOT_NAMED}")
        return target

    def _current_client(self) -> httpx2.Client:
        """Give the client; a new one where the certificate was renewed.

        The old client is left to the threads that still read with it.
        """
        seen = self._certificate_version() if self._transport is None else None
        with self._lock:
            if self._client is None or seen != self._client_version:
                self._client = self._new_client()
                self._client_version = seen
            return self._client

    def _certificate_version(self) -> object:
        files = [file for file in (self._settings.certificate, self._settings.key) if file is not None]
        try:
            return [file_version(file) for file in files]
        except OSError as error:
            raise StoreRefusesAccount(f"the certificate cannot be read: {error}") from error

    def _new_client(self) -> httpx2.Client:
        settings = self._settings
        return httpx2.Client(
            transport=self._transport
            or TapeTransport(tls_context(settings), settings.parallel_requests, self._addresses),
            trust_env=False,
            timeout=None,  # the clock of the request tells
            follow_redirects=False,
            headers={
                "User-Agent": f"scicat-retriever/{__version__}",
                "Accept-Encoding": "identity",
            },
        )


@contextmanager
def errors_mapped(what: str) -> Iterator[None]:
    """Turn an error of httpx2 inside the block into a `StoreUnavailable`.

    The original error is not chained: it carries the request, and with it the token.
    """
    try:
        yield
    except httpx2.TimeoutException as error:
        raise StoreTimedOut(f"the store did not answer {what} in time ({type(error).__name__})") from None
    except (
        httpx2.LocalProtocolError,
        httpx2.RemoteProtocolError,
        httpx2.UnsupportedProtocol,
        httpx2.InvalidURL,
        ValueError,  # UnicodeError, IDNAError: a host that is no name
        OverflowError,  # a port that is none
    ) as error:
        # Their text may quote a header, and so the token.
        kind = type(error).__name__
        raise StoreUnavailable(f"the store was not asked, or gave no answer: {what} ({kind})") from None
    except (httpx2.HTTPError, httpx2.StreamError, httpx2.CookieConflict) as error:
        kind = type(error).__name__
        raise StoreUnavailable(
            f"the store cannot be reached for {what} ({kind}: {printable(str(error))})"
        ) from None


def _read(response: httpx2.Response, what: str) -> bytes:
    content = bytearray()
    for chunk in response.iter_raw():
        content += chunk
        if len(content) > LARGEST_ANSWER:
            raise StoreUnavailable(f"the store's answer to {what} has more than {LARGEST_ANSWER} bytes")
    return bytes(content)


def _shown(url: httpx2.URL) -> str:
    return printable(f"{url.scheme}://{url.netloc.decode()}{url.path}")
