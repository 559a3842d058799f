"""Amounts of bytes and of time as people type them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from fractions import Fraction

_NUMBER = re.compile(r"(\d{1,18}(?:\.\d{1,18})?)\s*([A-Za-z]*)", re.ASCII)
_BYTES = {"": 1, "b": 1, "byte": 1, "bytes": 1} | {
    f"{prefix}{ending}": base**power
    for power, prefix in enumerate("kmgtpe", 1)
    for ending, base in (("", 1000), ("b", 1000), ("ib", 1024))
}
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}


def read_bytes(text: str) -> int:
    """Read `500`, `10GB`, `1.2 TB`, `10 GiB` as whole bytes; units are decimal unless they have an `i`.

    Raises:
        ValueError: The text is no such amount, or less than a byte.
    """
    return _read(text, _BYTES, "bytes, for example 500GB, 1.2TB or 10GiB")


def read_duration(text: str) -> int:
    """Read `90s`, `30min`, `12h`, `7d`, `2w`, `1.5d` as whole seconds.

    Raises:
        ValueError: The text is no such time, or less than a second.
    """
    return _read(text, _SECONDS, "a time, for example 30min, 12h, 7d or 2w")


def read_moment(text: str) -> datetime:
    """Read a time in ISO 8601, and give it in UTC; without a time zone it is in that of this machine.

    Raises:
        ValueError: The text is no such time.
    """
    try:
        return datetime.fromisoformat(text.strip()).astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        raise ValueError(f"{text!r} is no time, for example 2026-12-24T12:00 or 2026-12-24") from None


def _read(text: str, units: dict[str, int], wanted: str) -> int:
    match = _NUMBER.fullmatch(text.strip())
    unit = None if match is None else units.get(match[2].lower())
    if match is None or unit is None:
        raise ValueError(f"{text!r} is not {wanted}")
    amount = int(Fraction(match[1]) * unit)
    if amount < 1:
        raise ValueError(f"{text!r} is too little: give {wanted}")
    return amount
