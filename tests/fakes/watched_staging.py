"""Staging that tells which of its files were opened, so that a test can see that each is closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from scicat_retriever.domain.evidence import DatablockKey
from tests.fakes.staging_area import InMemoryStagingArea


class WatchedStaging(InMemoryStagingArea):
    """Keeps the files that were opened for reading."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: list[BinaryIO] = []

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        with super().open_staged(key, token) as file:
            self.opened.append(file)
            yield file
