"""A token of SciCat, with its owner and the time until which it is good."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from scicat_retriever.domain.foreign_text import is_bearer_token

RENEWAL_MARGIN = 60.0
"""Seconds before the end of a token's life at which it is renewed; a tenth of its life where that is less."""

_FOR_EVER = 1e12
"""Seconds; a number beyond it is no time at all."""


@dataclass(frozen=True, slots=True)
class Grant:
    """A token.

    Attributes:
        token: The bearer token.
        account: SciCat's name of its owner; None where that is not known.
        good_until: Seconds since the epoch after which it must not be used any more; None where nothing says.
    """

    token: str = field(repr=False)
    account: str | None
    good_until: float | None

    def stale(self, now: float) -> bool:
        """Say whether the token must not be used any more at `now`, seconds since the epoch."""
        return self.good_until is not None and now >= self.good_until


def granted_by_login(answer: Mapping[str, Any], username: str, now: float) -> Grant | None:
    """Read SciCat's answer to a login (`access_token`, `expires_in`, `user.username`).

    The token's life is `expires_in`, else the difference of the token's own `exp` and `iat` claims (RFC 7519,
    4.1); so our clock and SciCat's need not agree.

    Returns:
        The grant, or None if the answer holds no usable token.
    """
    token = answer.get("access_token") or answer.get("id")
    if not isinstance(token, str) or not is_bearer_token(token):
        return None
    claims = _claims(token)
    life = _number(answer.get("expires_in"))
    expires, issued = _number(claims.get("exp")), _number(claims.get("iat"))
    if life is None and expires is not None:
        life = expires - (now if issued is None else issued)
    good_until = None if life is None else now + life - min(RENEWAL_MARGIN, life / 10)
    user = answer.get("user")
    named = user.get("username") if isinstance(user, dict) else None
    return Grant(token, named if isinstance(named, str) and named else username, good_until)


def granted_by_operator(token: str) -> Grant:
    """Give the grant of a configured long-lived token, whose claims may name its owner and its end."""
    claims = _claims(token)
    username = claims.get("username")
    return Grant(
        token, username if isinstance(username, str) and username else None, _number(claims.get("exp"))
    )


def _claims(token: str) -> dict[str, Any]:
    """Read the claims of a JSON Web Token. Its signature is SciCat's business and is not checked."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except (IndexError, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > _FOR_EVER:
        return None
    return float(value)
