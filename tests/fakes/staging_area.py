"""A staging area in memory, of a fixed size. Keeps the promises of the port.

Its files are memfds (memfd_create(2)), since writers and readers work on descriptors.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey


@dataclass
class _Partial:
    reserved: int
    content: bytes = b""
    descriptor: int | None = None
    """Of the memfd, while somebody writes."""

    @property
    def size(self) -> int:
        return len(self.content) if self.descriptor is None else os.fstat(self.descriptor).st_size


class InMemoryStagingArea:
    """Staged files in a dict.

    Args:
        capacity: Bytes that it holds.
    """

    def __init__(self, capacity: int = 2**30) -> None:
        self._capacity = capacity
        self._lock = threading.RLock()
        self._partials: dict[DatablockKey, _Partial] = {}
        self._staged: dict[DatablockKey, bytes] = {}

    # What a test looks at, or does to it.

    def staged_content(self, key: DatablockKey) -> bytes | None:
        """The staged bytes, or None where there are none."""
        return self._staged.get(key)

    def staged_keys(self) -> set[DatablockKey]:
        """All that is staged."""
        return set(self._staged)

    def partial_keys(self) -> set[DatablockKey]:
        """All that has a partial."""
        return set(self._partials)

    def damage_staged(self, key: DatablockKey, content: bytes) -> None:
        """Replace staged bytes behind everybody's back."""
        self._staged[key] = content

    # The port.

    def free_bytes(self) -> int:
        with self._lock:
            partials = sum(max(partial.size, partial.reserved) for partial in self._partials.values())
            return max(0, self._capacity - partials - sum(map(len, self._staged.values())))

    def total_bytes(self) -> int:
        return self._capacity

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[BinaryIO]:
        with self._lock:
            self.discard_partial(key)
            missing = size - self.free_bytes()
            if missing > 0:
                raise StagingWriteFailed(f"no room for {size} bytes: {missing} bytes are missing")
            partial = self._partials[key] = _Partial(size)
        with os.fdopen(os.memfd_create("partial"), "wb", buffering=0) as file:
            partial.descriptor = file.fileno()
            try:
                yield file
            finally:
                with self._lock:
                    partial.content = os.pread(file.fileno(), partial.size, 0)
                    partial.descriptor = None

    def partial_size(self, key: DatablockKey) -> int | None:
        with self._lock:
            partial = self._partials.get(key)
            return None if partial is None else partial.size

    def commit(self, key: DatablockKey) -> None:
        with self._lock:
            partial = self._partials.get(key)
            if partial is None:
                if key not in self._staged:
                    raise StagedFileMissing(f"there is no partial and no staged file of {key}")
                return
            if partial.descriptor is not None:
                raise StagingWriteFailed(f"the partial of {key} is still being written")
            self._staged[key] = partial.content
            del self._partials[key]

    def staged_size(self, key: DatablockKey) -> int | None:
        with self._lock:
            return len(self._staged[key]) if key in self._staged else None

    @contextmanager
    def open_staged(self, key: DatablockKey) -> Iterator[BinaryIO]:
        with self._lock:
            if key not in self._staged:
                raise StagedFileMissing(f"there is no staged file of {key}")
            content = self._staged[key]
        with os.fdopen(os.memfd_create("staged"), "r+b", buffering=0) as file:
            file.write(content)
            file.seek(0)
            yield file

    def discard_partial(self, key: DatablockKey) -> None:
        with self._lock:
            self._partials.pop(key, None)

    def release(self, key: DatablockKey) -> None:
        with self._lock:
            self._staged.pop(key, None)
