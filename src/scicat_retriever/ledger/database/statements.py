"""Pieces of statements: sums of bytes, and batches of rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from sqlalchemy import ColumnElement, Float, cast, func

from scicat_retriever.domain.batches import in_batches

BATCH = 500
"""Rows, or values of a condition, in one statement."""
_Item = TypeVar("_Item")


def total(column: ColumnElement[int]) -> ColumnElement[float]:
    """Sum up bytes that nobody has vouched for; 0 where there is no row.

    SQLite refuses a sum of whole numbers beyond 64 bits, so this is one of floating ones: exact up to 2^53
    bytes (9 PB).
    """
    return func.sum(cast(column, Float))


def batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    """Give items in lists of at most `BATCH`."""
    return in_batches(items, BATCH)
