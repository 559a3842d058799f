"""What the regular looks found last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Finding:
    """What a regular look found last, and when (UTC)."""

    at: datetime
    found: Mapping[str, int | str]


class Findings(Protocol):
    """The findings of regular looks. Promises and errors as of `ports.ledger.Ledger`."""

    def note(self, name: str, found: Mapping[str, int | str]) -> None:
        """Keep what a regular look found, in place of what it found before."""
        ...

    def latest(self) -> Mapping[str, Finding]:
        """What each regular look found last, by its name."""
        ...
