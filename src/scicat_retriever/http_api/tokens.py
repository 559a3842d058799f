"""Tokens of the API: who has them, what they may, and until when."""

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
    """All that the API can do: also cancel, retry, pin, evict."""


OLD_LIST_SCOPES = frozenset({Scope.INTAKE, Scope.READ})
"""What the tokens of `api.tokens` may, which have no scope of their own."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token that the API lets in.

    Attributes:
        name: What the log calls whoever sends it.
        secret: What is sent.
        scopes: What it may.
        expires: When it ends to be valid, aware; None: never.
        of_old_list: Whether it stands in `api.tokens`.
    """

    name: str
    secret: str = field(repr=False)
    scopes: Collection[Scope]
    expires: datetime | None = None
    of_old_list: bool = False

    def may(self, wanted: Collection[Scope]) -> bool:
        """Say whether one of the wanted scopes is covered."""
        return Scope.OPERATE in self.scopes or any(scope in self.scopes for scope in wanted)

    def is_valid(self, now: datetime) -> bool:
        """Say whether it has not expired."""
        return self.expires is None or now < self.expires


def most_capable(tokens: Collection[Token], now: datetime) -> Token | None:
    """Choose the token that an operator's command sends: one that may operate, else one that may read, else any.

    None where all have expired.
    """
    valid = [token for token in tokens if token.is_valid(now)]
    for scope in (Scope.OPERATE, Scope.READ, Scope.INTAKE):
        for token in valid:
            if token.may((scope,)):
                return token
    return None
