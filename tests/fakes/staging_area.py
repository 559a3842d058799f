"""A staging area in memory, of a fixed size. Keeps the promises of the port.

Its files are memfds (memfd_create(2)), since writers and readers work on descriptors.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from scicat_retriever.domain.errors import StagedFileMissing, StagingWriteFailed
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.ports.staging_area import Partial


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
        self._partials: dict[tuple[DatablockKey, str], _Partial] = {}
        self._staged: dict[tuple[DatablockKey, str], bytes] = {}

    # What a test looks at, or does to it.

    def staged_content(self, key: DatablockKey) -> bytes | None:
        """The bytes of the one staged file, or None where there is none."""
        contents = [content for (its, _), content in self._staged.items() if its == key]
        assert len(contents) <= 1
        return contents[0] if contents else None

    def staged_keys(self) -> set[DatablockKey]:
        """All that is staged."""
        return {key for key, _ in self._staged}

    def partial_keys(self) -> set[DatablockKey]:
        """All that has a partial."""
        return {key for key, _ in self._partials}

    def damage_staged(self, key: DatablockKey, content: bytes) -> None:
        """Replace staged bytes, if there are any, behind everybody's back."""
        for name in [name for name in self._staged if name[0] == key]:
            self._staged[name] = content

    # The port.

    def free_bytes(self) -> int:
        with self._lock:
            partials = sum(max(partial.size, partial.reserved) for partial in self._partials.values())
            return max(0, self._capacity - partials - sum(map(len, self._staged.values())))

    def total_bytes(self) -> int:
        return self._capacity

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        with self._lock:
            self.discard_partial(key)
            missing = size - self.free_bytes()
            if missing > 0:
                raise StagingWriteFailed(f"no room for {size} bytes: {missing} bytes are missing")
            token = secrets.token_hex(8)
            partial = self._partials[key, token] = _Partial(size)
        with os.fdopen(os.memfd_create("partial"), "wb", buffering=0) as file:
            partial.descriptor = file.fileno()
            try:
                yield Partial(file, token)
            finally:
                with self._lock:
                    partial.content = os.pread(file.fileno(), partial.size, 0)
                    partial.descriptor = None

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        with self._lock:
            partial = self._partials.get((key, token))
            return None if partial is None else partial.size

    def commit(self, key: DatablockKey, token: str) -> None:
        with self._lock:
            partial = self._partials.get((key, token))
            if partial is None:
                if (key, token) not in self._staged:
                    raise StagedFileMissing(f"there is no partial and no staged file {token} of {key}")
                return
            if partial.descriptor is not None:
                raise StagingWriteFailed(f"the partial {token} of {key} is still being written")
            self.release(key)
            self._staged[key, token] = partial.content
            del self._partials[key, token]

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        with self._lock:
            content = self._staged.get((key, token))
            return None if content is None else len(content)

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        with self._lock:
            content = self._staged.get((key, token))
            if content is None:
                raise StagedFileMissing(f"there is no staged file {token} of {key}")
        with os.fdopen(os.memfd_create("staged"), "r+b", buffering=0) as file:
            file.write(content)
            file.seek(0)
            yield file

    def discard_partial(self, key: DatablockKey) -> None:
        with self._lock:
            self._partials = {name: file for name, file in self._partials.items() if name[0] != key}

    def release(self, key: DatablockKey) -> None:
        with self._lock:
            self._staged = {name: file for name, file in self._staged.items() if name[0] != key}
