"""The Range header (RFC 9110, section 14), for one range.

A request for several ranges gets the whole file, as the RFC allows.
"""

from __future__ import annotations

import re

from scicat_retriever.domain.errors import RangeUnsatisfiable

_ONE_RANGE = re.compile(r"bytes=(\d{0,19})-(\d{0,19})", re.ASCII | re.IGNORECASE)


def wanted_range(header: str | None, size: int) -> range | None:
    """Give the wanted byte positions, or None for the whole file.

    Args:
        header: The Range header's value, or None.
        size: Bytes of the file.

    Raises:
        RangeUnsatisfiable: The range lies outside the file.
    """
    match = _ONE_RANGE.fullmatch("".join((header or "").split()))
    if match is None or match.group(0).endswith("=-"):
        return None
    first, last = match.group(1), match.group(2)
    if not first:
        length = int(last)
        start, stop = max(0, size - length), size
        if length == 0 or size == 0:
            raise RangeUnsatisfiable(f"the file has {size} bytes")
        return range(start, stop)
    start = int(first)
    if last and int(last) < start:
        return None
    if start >= size:
        raise RangeUnsatisfiable(f"the file has {size} bytes")
    return range(start, min(size, int(last) + 1) if last else size)
