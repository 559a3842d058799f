"""Staging areas under test, and what the tests do to them.

A new back end joins with an `AreaRig`, which says how to make the area in another process, and a branch of the `rig`
fixture in `conftest.py`.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection

from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.ports.staging_area import Partial, StagingArea
from scicat_retriever.storage.staging.s3.area import S3Staging

MIB = 2**20
CAPACITY = 64 * MIB
CONTENT = bytes(range(256)) * 2048


def key(pid: str = "20.500.12345/abc", datablock: str = "1") -> DatablockKey:
    """Name a datablock."""
    return DatablockKey(DatasetPid(pid), DatablockId(datablock))


KEY = key()
MakeArea = Callable[..., S3Staging]
"""Makes a bucket's area, with settings that differ."""


def write(partial: Partial, content: bytes) -> None:
    """Write all of it, in pieces, as a copy does."""
    left = memoryview(content)
    while left:
        left = left[partial.write(left[: 4 * MIB]) :]


def write_partial(area: StagingArea, name: DatablockKey, content: bytes = CONTENT) -> Partial:
    """Write a whole partial file and seal it."""
    with area.open_partial(name, len(content)) as partial:
        write(partial, content)
        partial.seal()
    return partial


def stage(area: StagingArea, name: DatablockKey, content: bytes = CONTENT) -> str:
    """Write and commit; gives the token."""
    partial = write_partial(area, name, content)
    area.commit(name, partial.token, partial.receipt)
    return partial.token


def staged(area: StagingArea, name: DatablockKey, token: str) -> bytes:
    """Read a staged file."""
    with area.open_staged(name, token) as file:
        return file.read()


def write_and_wait(make_area: Callable[[], StagingArea], name: DatablockKey, begun: Connection) -> None:
    """Write most of a partial file, say so, and go no further: what a copy does until it is killed."""
    with make_area().open_partial(name, len(CONTENT)) as partial:
        write(partial, b"x" * 12 * MIB)
        begun.send_bytes(partial.token.encode())
        signal.pause()


class AreaRig:
    """A staging area under test.

    Args:
        make_area: Makes the area over the same storage, also in another process, so it can be pickled.
    """

    def __init__(self, make_area: Callable[[], StagingArea]) -> None:
        self.make_area = make_area
        self.area = make_area()
        self.area.prepare()

    def kill_a_copy(self, name: DatablockKey) -> str:
        """Have another process begin to write a partial file, and kill it in the middle (SIGKILL); gives the token."""
        context = multiprocessing.get_context("spawn")
        begun, says_begun = context.Pipe(duplex=False)
        process = context.Process(target=write_and_wait, args=(self.make_area, name, says_begun))
        process.start()
        assert begun.poll(60)
        process.kill()
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        return begun.recv_bytes().decode()

    def names(self, *, staged: bool) -> set[tuple[str, str]]:
        """Name and token of all files that are there."""
        return {(each.name, each.token) for each in self.area.holdings() if each.staged == staged}


class InMemoryRig(AreaRig):
    """The fake lives in this process alone; a killed copy is one whose writer never comes back."""

    def kill_a_copy(self, name: DatablockKey) -> str:
        self.never_closed = self.area.open_partial(name, len(CONTENT))
        partial = self.never_closed.__enter__()
        write(partial, CONTENT[:1000])
        return partial.token
