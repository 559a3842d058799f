"""How many examples of a property are tried: more of them with ``HYPOTHESIS_PROFILE=deep`` (`make deep`)."""

from __future__ import annotations

import os

PROFILE = "HYPOTHESIS_PROFILE"
"""The variable of the environment that names a profile."""

DEEP, DEEPER = "deep", 10
"""The profile for long runs, and how many times as many examples it has."""


def examples(number: int, *, deep: int | None = None) -> int:
    """Give how many examples are tried.

    Args:
        number: how many an ordinary run tries.
        deep: how many the deep profile tries, if not ten times as many.
    """
    if os.environ.get(PROFILE) != DEEP:
        return number
    return number * DEEPER if deep is None else deep
