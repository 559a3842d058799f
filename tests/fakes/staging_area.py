"""A staging area in memory, of a fixed size. Keeps the promises of the port."""

from __future__ import annotations

import io
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

from scicat_retriever.domain.errors import (
    NoSpaceYet,
    StagedBytesDiffer,
    StagedFileMissing,
    StagingWriteFailed,
)
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.ports.staging_area import Holding, Partial, Room
from scicat_retriever.storage.staging.file_names import folder_name, new_token

FileName = tuple[DatablockKey, str]


@dataclass
class _Partial:
    token: str
    reserved: int
    changed_at: datetime
    content: bytearray = field(default_factory=bytearray)
    open: bool = True

    def write(self, data: memoryview) -> int:
        if not self.open:
            raise OSError("the partial is closed")
        self.content += data
        return len(data)

    def seal(self) -> None:
        if not self.open:
            raise OSError("the partial is closed")

    @property
    def receipt(self) -> str:
        return _receipt(bytes(self.content))


class InMemoryStagingArea:
    """Staged files in a dict.

    Args:
        capacity: Bytes that it holds.
        clock: Gives the time that files are dated with.
        downloads_at: What download URLs begin with; None: there are none.
    """

    def __init__(
        self,
        capacity: int = 2**30,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        downloads_at: str | None = None,
    ) -> None:
        self._capacity = capacity
        self._clock = clock
        self._downloads_at = downloads_at
        self._lock = threading.RLock()
        self._partials: dict[FileName, _Partial] = {}
        self._staged: dict[FileName, tuple[bytes, datetime]] = {}
        self._owner: str | None = None

    # What a test looks at, or does to it.

    def staged_content(self, key: DatablockKey) -> bytes | None:
        """The bytes of the one staged file, or None where there is none."""
        contents = [content for (its, _), (content, _) in self._staged.items() if its == key]
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
        for name, (_, staged_at) in self._staged.items():
            if name[0] == key:
                self._staged[name] = content, staged_at

    def unmount(self) -> None:
        """Be as an area that is not mounted: without files, and without a marker."""
        self._owner, self._partials, self._staged = None, {}, {}

    # The port.

    @property
    def location(self) -> str:
        return f"in memory at {id(self):x}"

    def prepare(self) -> None:
        pass

    def owner(self) -> str | None:
        return self._owner

    def mark(self, ledger: str, *, anew: bool = False) -> None:
        with self._lock:
            if anew or self._owner is None:
                self._owner = ledger

    def room(self) -> Room:
        with self._lock:
            partials = sum(max(len(one.content), one.reserved) for one in self._partials.values())
            staged = sum(len(content) for content, _ in self._staged.values())
        return Room(self._capacity, max(0, self._capacity - partials - staged))

    @contextmanager
    def open_partial(self, key: DatablockKey, size: int) -> Iterator[Partial]:
        with self._lock:
            self.discard_partial(key)
            missing = size - (self.room().free or 0)
            if missing > 0:
                raise NoSpaceYet(f"no room for {size} bytes: {missing} bytes are missing")
            partial = _Partial(new_token(), size, self._clock())
            self._partials[key, partial.token] = partial
        try:
            yield partial
        finally:
            partial.open = False

    def partial_size(self, key: DatablockKey, token: str) -> int | None:
        with self._lock:
            partial = self._partials.get((key, token))
            return None if partial is None else len(partial.content)

    def commit(self, key: DatablockKey, token: str, receipt: str) -> None:
        name = (key, token)
        with self._lock:
            partial = self._partials.get(name)
            if partial is not None and partial.open:
                raise StagingWriteFailed(f"the partial {token} of {key} is still being written")
            if partial is None and name not in self._staged:
                raise StagedFileMissing(f"there is no partial and no staged file {token} of {key}")
            content = self._staged[name][0] if partial is None else bytes(partial.content)
            self._partials.pop(name, None)
            self._staged.pop(name, None)
            if receipt != _receipt(content):
                raise StagedBytesDiffer(f"the file {token} of {key} is {_receipt(content)}, not {receipt}")
            self.delete(key)
            self._staged[name] = content, self._clock()

    def staged_size(self, key: DatablockKey, token: str) -> int | None:
        with self._lock:
            found = self._staged.get((key, token))
            return None if found is None else len(found[0])

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        with self._lock:
            found = self._staged.get((key, token))
        if found is None:
            raise StagedFileMissing(f"there is no staged file {token} of {key}")
        with io.BytesIO(found[0]) as file:
            yield file

    def download_url(self, key: DatablockKey, token: str, name: str, longest: timedelta) -> str | None:
        if self._downloads_at is None:
            return None
        return f"{self._downloads_at}/{folder_name(key)}/{token}/{name}?for={longest.total_seconds():.0f}"

    def discard_partial(self, key: DatablockKey, token: str | None = None) -> None:
        with self._lock:
            self._partials = {
                name: file for name, file in self._partials.items() if not _is_named(name, key, token)
            }

    def delete(self, key: DatablockKey, token: str | None = None) -> None:
        with self._lock:
            self._staged = {
                name: file for name, file in self._staged.items() if not _is_named(name, key, token)
            }

    def name_of(self, key: DatablockKey) -> str:
        return folder_name(key)

    def holdings(self) -> Iterator[Holding]:
        with self._lock:
            partials = [
                Holding(folder_name(key), token, False, len(one.content), one.changed_at)
                for (key, token), one in self._partials.items()
            ]
            staged = [
                Holding(folder_name(key), token, True, len(content), staged_at)
                for (key, token), (content, staged_at) in self._staged.items()
            ]
        yield from partials
        yield from staged

    def remove(self, holding: Holding) -> None:
        with self._lock:
            files = self._staged if holding.staged else self._partials
            for name in list(files):
                if (folder_name(name[0]), name[1]) == (holding.name, holding.token):
                    del files[name]


def _receipt(content: bytes) -> str:
    return f"crc32:{zlib.crc32(content):08x};bytes:{len(content)}"


def _is_named(name: tuple[DatablockKey, str], key: DatablockKey, token: str | None) -> bool:
    return name[0] == key and token in {None, name[1]}
