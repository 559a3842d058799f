"""Amounts as people read them."""

from __future__ import annotations

_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB", "EB")
_STEP = 1000


def in_words(size: int) -> str:
    """Write bytes with a decimal unit and at most three digits before it: `0 bytes`, `12 kB`, `1.2 TB`."""
    amount, unit = float(size), 0
    while round(amount) >= _STEP and unit < len(_UNITS) - 1:
        amount, unit = amount / _STEP, unit + 1
    digits = f"{amount:.1f}" if unit and round(amount, 1) < 10 else f"{amount:.0f}"
    return f"{digits} {_UNITS[unit]}"


def ordinal(number: int) -> str:
    """Write a number of order: `1st`, `2nd`, `3rd`, `4th`, `11th`, `21st`."""
    if number % 100 in {11, 12, 13}:
        return f"{number}th"
    return f"{number}{ {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th') }"
