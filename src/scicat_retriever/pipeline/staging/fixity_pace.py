"""How often and how fast staged datablocks are read again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from scicat_retriever.domain.policy import DAY, NotNegative, Seconds, choice


@dataclass(frozen=True)
class FixityPace:
    """How staged datablocks are read again."""

    fixity_interval: Seconds = choice(
        30 * DAY, "After which time a staged datablock is read again and compared."
    )
    fixity_bytes_per_second: NotNegative = choice(
        20_000_000, "How fast staged datablocks are read again; 0: never."
    )

    @property
    def every(self) -> timedelta:
        """Each is read again after this time."""
        return timedelta(seconds=self.fixity_interval)
