"""Some datablocks of a dataset on their way from the store into staging, unverified."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from scicat_retriever.domain.errors import Failure, ReadFailed
from scicat_retriever.domain.ids import DatablockId
from scicat_retriever.workflow import steps
from scicat_retriever.workflow.failures import failure_of
from scicat_retriever.workflow.tasks import BlockFailure, BlockTask, DatasetTask, Prepared, RecallNews

RECALLS = 20
"""How often a datablock is waited for that is there, and away again when it is to be copied."""


class DatasetFailed(Exception):
    """The dataset cannot be retrieved."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)


class CopyWindow:
    """Copies what is online, and what is on tape as soon as it is there. The first datablock that fails stops the others.

    Args:
        task: The dataset.
        prepared: Which datablocks can be copied, and which were asked for.
    """

    def __init__(self, task: DatasetTask, prepared: Prepared) -> None:
        self._task = task
        self._ready = prepared.ready
        self._on_tape = {block.id: block for block in prepared.on_tape}
        self._slots = asyncio.Semaphore(task.limits.parallel_datablocks)
        self._copying: set[DatablockId] = set()
        self._times_away: Counter[DatablockId] = Counter()
        self._news = False

    def recalls_changed(self) -> None:
        """There is news of the dataset's recalls."""
        self._news = True

    async def copy(self) -> None:
        """Have all of them copied.

        Raises:
            DatasetFailed: One cannot be had.
        """
        try:
            async with asyncio.TaskGroup() as work:
                for batch in self._ready:
                    self._begin(batch, work)
                work.create_task(self._follow(work))
        except ExceptionGroup as group:
            raise DatasetFailed(_failures(group)) from None

    def _begin(self, batch: Sequence[BlockTask], work: asyncio.TaskGroup) -> None:
        self._copying.update(block.id for block in batch)
        work.create_task(self._copy(batch))

    async def _copy(self, batch: Sequence[BlockTask]) -> None:
        """Copy a batch; what went back to tape meanwhile is waited for again."""
        for block in await self._read(batch):
            self._wait_again(block)
        self._copying.difference_update(block.id for block in batch)

    async def _read(self, batch: Sequence[BlockTask]) -> list[BlockTask]:
        """Copy a batch, from another copy where one of its archives cannot be had; gives those that went back to tape."""
        archive_id = batch[0].archive_id if len(batch) == 1 else None
        while True:
            try:
                async with self._slots:
                    with failing(archive_id):
                        return await steps.copy_datablocks(self._task, batch)
            except DatasetFailed as failed:
                if not await self._try_other_copy(batch, failed.failures[0]):
                    raise

    async def _try_other_copy(self, batch: Sequence[BlockTask], failure: Failure) -> bool:
        block = next((each for each in batch if each.archive_id == failure.archive_id), None)
        if block is None:
            return False
        with failing():
            return await steps.try_other_copy(self._task, BlockFailure(block, failure))

    def _wait_again(self, block: BlockTask) -> None:
        self._times_away[block.id] += 1
        if self._times_away[block.id] == RECALLS:
            gone = f"{block.archive_id} was online {RECALLS} times, and gone when it was to be read"
            raise DatasetFailed([ReadFailed(gone).failure(block.archive_id)])
        self._on_tape[block.id] = block
        self._news = True  # the word that it is there may have come before this

    async def _follow(self, work: asyncio.TaskGroup) -> None:
        """Begin to copy what comes back from tape."""
        while True:
            await workflow.wait_condition(lambda: bool(self._on_tape) or not self._copying)
            if not self._on_tape:
                return
            news = await self._next_news()
            for each in news.failed:
                if not await self._try_other_copy([each.block], each.failure):
                    raise DatasetFailed([each.failure])
            tried = [[each.block] for each in news.failed]
            for batch in (*news.ready, *tried):
                its = [block for block in batch if self._on_tape.pop(block.id, None)]
                if its:
                    self._begin(its, work)

    async def _next_news(self) -> RecallNews:
        """Wait for news: what a look finds, which is made anew when the flow is told that there is something."""
        while True:
            self._news = False
            look = asyncio.create_task(steps.follow_recalls(self._task, sorted(self._copying)))
            told = asyncio.create_task(workflow.wait_condition(lambda: self._news))
            try:
                await workflow.wait([look, told], return_when=asyncio.FIRST_COMPLETED)
                if look.done():
                    with failing():
                        return look.result()
            finally:
                look.cancel()
                told.cancel()
                await workflow.wait([look, told])


@contextmanager
def failing(archive_id: str | None = None) -> Iterator[None]:
    """Say what a step that fails means to the dataset."""
    try:
        yield
    except ActivityError as error:
        if is_cancelled_exception(error):
            raise asyncio.CancelledError from error
        raise DatasetFailed([failure_of(error, archive_id)]) from error


def _failures(error: Exception) -> list[Failure]:
    match error:
        case DatasetFailed():
            return list(error.failures)
        case ExceptionGroup():
            return [failure for each in error.exceptions for failure in _failures(each)]
        case _:
            raise error
