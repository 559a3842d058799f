"""Regular expressions that operators write into the settings."""

from __future__ import annotations

import re


def compiled(expression: str) -> re.Pattern[str]:
    """Give a regular expression of the settings.

    Raises:
        ValueError: It is none; in the words of a complaint about the settings.
    """
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from None
