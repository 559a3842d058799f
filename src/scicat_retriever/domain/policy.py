"""How a policy is declared: a frozen dataclass of operators' choices, kept by the code that goes by it.

Each choice has its bounds, its default and its meaning in the policy and nowhere else: the settings take the
choices over (`section`). A policy has no `__slots__`, since a section of the settings may take over several.
"""

from __future__ import annotations

from copy import copy
from dataclasses import field
from typing import Annotated, TypeVar

from annotated_types import Ge, Gt, Le

T = TypeVar("T")
DAY = 86400.0
"""Seconds."""
Positive = Annotated[int, Gt(0)]
NotNegative = Annotated[int, Ge(0)]
Seconds = Annotated[float, Gt(0), Le(3650 * DAY)]
SecondsOrNone = Annotated[float, Ge(0), Le(3650 * DAY)]
"""Seconds, or 0 for no time at all."""


def choice(default: T, meaning: str) -> T:
    """Declare a choice of a policy, in the class body of a dataclass.

    Args:
        default: What holds where an operator says nothing.
        meaning: What it decides, for the reference page of the settings.
    """
    about = {"description": meaning}
    if isinstance(default, dict):
        return field(default_factory=lambda: copy(default), metadata=about)
    return field(default=default, metadata=about)
