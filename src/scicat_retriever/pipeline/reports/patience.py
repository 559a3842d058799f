"""For how long SciCat is told again."""

from __future__ import annotations

from dataclasses import dataclass

from scicat_retriever.domain.backoff import Backoff
from scicat_retriever.domain.policy import DAY, Seconds, choice


@dataclass(frozen=True)
class Patience(Backoff):
    """How a report is told again, in seconds: after growing pauses, until it is too old."""

    report_timeout: Seconds = choice(
        14 * DAY,
        "How long telling SciCat is tried again; after that it is parked until an operator asks for it.",
    )
