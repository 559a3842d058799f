"""Accounts of the stand-in and the tokens it hands out (``POST /api/v3/auth/login``).

A token is a JSON Web Token (RFC 7519, HS256) with ``exp``. One that is wrongly signed or garbage makes the caller
anonymous. So does one that ran out, on older releases; newer ones refuse it.
"""

import base64
import binascii
import hashlib
import hmac
import itertools
import json
import secrets
import time
from collections.abc import Iterable
from dataclasses import dataclass, field

from stand_ins.scicat.answers import JsonObject

NEVER_SECONDS = 100 * 365 * 24 * 3600
"""Lifetime that SciCat gives to a token made with ``expiresIn=never``: a hundred years, in seconds."""


class TokenRanOut(Exception):
    """Raised for a token that is well signed and no longer valid."""


@dataclass(frozen=True)
class Account:
    """A user of the stand-in: name, password and the groups that decide about its rights."""

    username: str
    password: str = field(repr=False)
    groups: tuple[str, ...] = ()
    email: str = ""
    user_id: str = ""

    def describe(self) -> JsonObject:
        """Give the account as ``GET /users/my/self`` shows it."""
        return {
            "_id": self.user_id,
            "username": self.username,
            "email": self.email,
            "authStrategy": "local",
            "__v": 0,
            "id": self.user_id,
        }


def account(username: str, *groups: str, password: str | None = None, email: str | None = None) -> Account:
    """Make an account as the observed backend had them: password ``<username lower case>-pw``.

    Every account is in ``globalaccess``, and its id follows from its name.
    """
    user_id = hashlib.sha256(username.encode()).hexdigest()[:24]
    address = email or f"{username.lower()}@your.site"
    return Account(
        username, password or f"{username.lower()}-pw", ("globalaccess", *groups), address, user_id
    )


def default_accounts() -> tuple[Account, ...]:
    """Give the accounts of the observed backend: admin, functional accounts, a scientist and a stranger."""
    return (
        account("admin", "admin"),
        account("ingestor", "ingestor"),
        account("archiveManager", "archivemanager", email="scicatarchivemanager@your.site"),
        account("archivemanager", "archivemanager"),
        account("scientist", "group1"),
        account("stranger", "group2"),
    )


class Accounts:
    """Knows the accounts, checks passwords, issues and reads tokens.

    Args:
        accounts: who may log in.
        token_lifetime_seconds: how long a token of a login is valid.
    """

    def __init__(self, accounts: Iterable[Account], token_lifetime_seconds: float) -> None:
        self.token_lifetime_seconds = token_lifetime_seconds
        self._accounts = {one.username: one for one in accounts}
        self._key = secrets.token_bytes(32)
        self._serials = itertools.count(1)
        self._oldest_valid = 0
        self._oldest_valid_long_lived = 0

    def named(self, username: str) -> Account | None:
        """Find an account by its name."""
        return self._accounts.get(username)

    def with_id(self, user_id: str) -> Account | None:
        """Find an account by its id."""
        return next((one for one in self._accounts.values() if one.user_id == user_id), None)

    def log_in(self, username: object, password: object) -> Account | None:
        """Find the account that this name and this password belong to."""
        found = self._accounts.get(username) if isinstance(username, str) else None
        if found is None or not isinstance(password, str):
            return None
        return found if hmac.compare_digest(found.password.encode(), password.encode()) else None

    def issue_token(self, owner: Account, lifetime_seconds: float | None = None) -> str:
        """Make a token for an account; without a lifetime it lives as long as that of a login."""
        lifetime = self.token_lifetime_seconds if lifetime_seconds is None else lifetime_seconds
        issued = time.time()
        claims = {
            "_id": owner.user_id,
            "username": owner.username,
            "email": owner.email,
            "currentGroups": list(owner.groups),
            "authStrategy": "local",
            "iat": int(issued),
            "exp": issued + lifetime if lifetime < 1 else int(issued + lifetime),
            "jti": next(self._serials),
            "longLived": lifetime >= NEVER_SECONDS,
        }
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        signed = f"{head}.{_encode(json.dumps(claims).encode())}"
        return f"{signed}.{self._signature(signed)}"

    def expire_tokens(self, *, long_lived: bool = False) -> None:
        """Make every token issued so far worthless from now on, whatever its ``exp`` says."""
        self._oldest_valid = next(self._serials)
        if long_lived:
            self._oldest_valid_long_lived = self._oldest_valid

    def change_key(self) -> None:
        """Sign with another key from now on: every token issued so far is wrongly signed."""
        self._key = secrets.token_bytes(32)

    def bearer(self, token: str) -> Account | None:
        """Find whose token this is; None if it is wrongly signed or no token.

        Raises:
            TokenRanOut: it is well signed, and expired or revoked.
        """
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(self._signature(signed).encode(), signature.encode("utf-8", "replace")):
            return None
        try:
            claims = json.loads(_decode(signed.partition(".")[2]))
        except (ValueError, binascii.Error):
            return None
        oldest = self._oldest_valid_long_lived if claims["longLived"] else self._oldest_valid
        if claims["exp"] <= time.time() or claims["jti"] < oldest:
            raise TokenRanOut(claims["username"])
        return self._accounts.get(claims["username"])

    def _signature(self, signed: str) -> str:
        return _encode(hmac.new(self._key, signed.encode("utf-8", "replace"), hashlib.sha256).digest())


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
