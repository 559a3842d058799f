"""The first entries of a list, as many as SciCat's database takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any


def first_that_fit(entries: Iterable[Mapping[str, Any]], room: int) -> list[Mapping[str, Any]]:
    """Give the first entries of a list.

    Args:
        entries: What JSON can hold.
        room: Most bytes of all that are given, as a list in JSON.
    """
    kept = []
    for entry in entries:
        room -= len(json.dumps(entry)) + 2
        if room < 0:
            break
        kept.append(entry)
    return kept
