"""Which texts are no secrets."""

from __future__ import annotations

SHORTEST_KEY = 32
"""The fewest characters of a key that signs or seals something."""
_SHOWN = "change-me"
_SHOWN_BEFORE = frozenset({"at-least-32-characters-and-the-same-everywhere"})
"""Texts that earlier versions of the documentation had in place of a key."""


def is_placeholder(text: str) -> bool:
    """Say whether a text stands, or stood, in the documentation in place of a secret: everybody knows it."""
    return text.lower().startswith(_SHOWN) or text in _SHOWN_BEFORE
