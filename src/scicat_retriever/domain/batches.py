"""Items taken in lists of a bounded length."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def in_batches(items: Iterable[T], size: int) -> Iterator[list[T]]:
    """Give items in lists of at most `size`, none of them empty."""
    remaining = iter(items)
    while batch := list(islice(remaining, size)):
        yield batch
