"""The tokens of the API: their names, their scopes, and their ends."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class Scope(StrEnum):
    """What a token may."""

    INTAKE = "intake"
    """Post jobs, and read how far a job is whose id is known: what SciCat needs."""
    READ = "read"
    """Read everything, change nothing."""
    OPERATE = "operate"
    """Everything that the API can do: also cancel, retry, pin, evict."""


OLD_LIST_SCOPES = frozenset({Scope.INTAKE, Scope.READ})
"""The scopes of the tokens of `api.tokens`, which have no scope of their own."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the API lets in.

    Attributes:
        name: The name of its sender in the log.
        secret: The text that is sent.
        scopes: The scopes that it has.
        expires: The moment from which it is not valid any more, aware; None for never.
        of_old_list: Whether it stands in `api.tokens`.
    """

    name: str
    secret: str = field(repr=False)
    scopes: Collection[Scope]
    expires: datetime | None = None
    of_old_list: bool = False

    def may(self, wanted: Collection[Scope]) -> bool:
        """Say whether the token has one of the wanted scopes."""
        return Scope.OPERATE in self.scopes or any(scope in self.scopes for scope in wanted)

    def is_valid(self, now: datetime) -> bool:
        """Say whether the token has not expired."""
        return self.expires is None or now < self.expires


def most_capable(tokens: Collection[Token], now: datetime) -> Token | None:
    """Choose the token that an operator's command sends.

    That is one that may operate, else one that may read, else any. None where all have expired.
    """
    valid = [token for token in tokens if token.is_valid(now)]
    for scope in (Scope.OPERATE, Scope.READ, Scope.INTAKE):
        for token in valid:
            if token.may((scope,)):
                return token
    return None
