"""The clock of all that runs."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Give the time, UTC and aware."""
    return datetime.now(UTC)
