"""Bearer tokens (RFC 6750): compared in constant time, and never logged; the log has the tokens' names."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Sequence
from datetime import datetime

import structlog
from fastapi import Request
from fastapi.security import HTTPBearer

from scicat_retriever.domain.errors import TokenInvalid, TokenScopeTooSmall
from scicat_retriever.http_api.paths import path_for_log
from scicat_retriever.http_api.tokens import Scope, Token

bearer_scheme = HTTPBearer(auto_error=False, description="One of the tokens in `[[api.token]]`.")
log = structlog.get_logger(__name__)


class TokenGuard:
    """The guard of the routes: lets a request pass if its token is known, valid, and has the scope.

    Args:
        tokens: The tokens.
        clock: Gives the time, UTC and aware.
    """

    def __init__(self, tokens: Collection[Token], clock: Callable[[], datetime]) -> None:
        # Digests have one length, so the comparison says nothing about the tokens' lengths either.
        self._known = [(hashlib.sha256(token.secret.encode()).digest(), token) for token in tokens]
        self._clock = clock

    def check(self, request: Request, wanted: Sequence[Scope]) -> Token:
        """Let a request pass; further lines of the log about the request have the token's name.

        Args:
            request: The request.
            wanted: Scopes of which its token needs one, the least first.

        Raises:
            TokenInvalid: The request carries no valid token.
            TokenScopeTooSmall: The token has none of the wanted scopes.
        """
        token = self._token_of(request)
        structlog.contextvars.bind_contextvars(token=token.name)
        asked = {"method": request.method, "path": path_for_log(request.url.path)}
        if not token.is_valid(self._clock()):
            log.warning("a request with an expired token was refused", **asked)
            raise TokenInvalid(f"the token {token.name!r} has expired: ask the operator for another one")
        if not token.may(wanted):
            advice = _advice(token, wanted)
            log.warning("a request was refused: its token's scope is too small", **asked, advice=advice)
            raise TokenScopeTooSmall(advice, scope=wanted[0])
        # Only requests that change something are logged: monitors read every few seconds.
        (log.debug if request.method in {"GET", "HEAD"} else log.info)("a request was let in", **asked)
        return token

    def _token_of(self, request: Request) -> Token:
        scheme, _, sent = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(sent.strip().encode()).digest()
        # Every token is compared, so the time taken does not say which one came close.
        matches = [token for known, token in self._known if hmac.compare_digest(digest, known)]
        if scheme.lower() != "bearer" or not matches:
            raise TokenInvalid("this needs a valid token: send `Authorization: Bearer <token>`")
        return matches[0]


def _advice(token: Token, wanted: Sequence[Scope]) -> str:
    has = " and ".join(sorted(token.scopes))
    what = f"this needs a token of scope {wanted[0]}; {token.name} has {has} alone"
    if token.of_old_list:
        return f"{what}: write an [[api.token]] with that scope in the settings, and send its token"
    return f"{what}: send another token, or have the operator change its scope in the settings"
