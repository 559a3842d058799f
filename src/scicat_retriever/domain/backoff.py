"""Pauses between repetitions."""

from __future__ import annotations

import random
from datetime import timedelta


def pause_before(attempt: int, initial: float, maximum: float) -> timedelta:
    """Give the pause after the `attempt`-th failure (from 1): doubling, with a ceiling, and 20 % of jitter.

    Args:
        attempt: How many attempts failed.
        initial: The first pause, seconds.
        maximum: The longest pause, seconds, before the jitter.
    """
    seconds = min(maximum, initial * 2.0 ** min(attempt - 1, 40))
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, keeps no secret
