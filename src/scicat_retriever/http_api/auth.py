"""Bearer tokens (RFC 6750): compared in constant time, never logged."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable

from fastapi import Request
from fastapi.security import HTTPBearer

from scicat_retriever.domain.errors import TokenInvalid

bearer_scheme = HTTPBearer(auto_error=False, description="One of the tokens in `api.tokens`.")


class TokenGuard:
    """Lets requests with one of the given tokens pass.

    Args:
        tokens: The valid tokens.
    """

    def __init__(self, tokens: Iterable[str]) -> None:
        # Digests have one length, so the comparison says nothing about the tokens' lengths either.
        self._digests = [hashlib.sha256(token.encode()).digest() for token in tokens]

    def check(self, request: Request) -> None:
        """Let a request pass.

        Raises:
            TokenInvalid: It carries no valid token.
        """
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        digest = hashlib.sha256(token.strip().encode()).digest()
        # Every token is compared, so the time taken does not say which one came close.
        matches = [hmac.compare_digest(digest, known) for known in self._digests]
        if scheme.lower() != "bearer" or not any(matches):
            raise TokenInvalid("this needs a valid token: send `Authorization: Bearer <token>`")
