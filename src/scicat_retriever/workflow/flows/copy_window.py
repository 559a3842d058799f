"""Some datablocks of a dataset on their way from the store into staging, unverified."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from scicat_retriever.domain.errors import Failure, InternalError, ReadFailed
from scicat_retriever.domain.ids import DatablockId
from scicat_retriever.workflow.engine.failures import failure_of
from scicat_retriever.workflow.flows.dataset_steps import DatasetSteps
from scicat_retriever.workflow.flows.declaration import run
from scicat_retriever.workflow.flows.tasks import BlockFailure, BlockTask, DatasetTask, Prepared, RecallNews

RECALLS = 20
"""How often a datablock is waited for that was online, and is gone again when it is to be copied."""


class DatasetFailed(Exception):
    """The dataset cannot be retrieved."""

    def __init__(self, failures: Sequence[Failure]) -> None:
        self.failures = tuple(failures)


class CopyWindow:
    """A window of datablocks: copies those that are online, and those on tape once they are online.

    The first datablock that fails stops the others.

    Args:
        task: The dataset.
        prepared: The datablocks that can be copied now, and those whose recall was asked for.
        go_on: Raises `CancelledError` if the flow is to end: while a step is waited for, the engine's own
            `CancelledError` is lost.
    """

    def __init__(self, task: DatasetTask, prepared: Prepared, go_on: Callable[[], None]) -> None:
        self._task = task
        self._ready = prepared.ready
        self._on_tape = {block.id: block for block in prepared.on_tape}
        self._go_on = go_on
        self._slots = asyncio.Semaphore(task.limits.parallel_datablocks)
        self._copying: set[DatablockId] = set()
        self._times_away: Counter[DatablockId] = Counter()
        self._news = False
        self._failed = False

    def recalls_changed(self) -> None:
        """Note that there is news of the dataset's recalls."""
        self._news = True

    async def copy(self) -> None:
        """Copy all datablocks of the window.

        Raises:
            DatasetFailed: A datablock cannot be had.
        """
        try:
            async with asyncio.TaskGroup() as work:
                for batch in self._ready:
                    self._begin(batch, work)
                work.create_task(self._stopping_others(self._follow(work)))
        except ExceptionGroup as group:
            raise DatasetFailed(_failures(group)) from None

    def _begin(self, batch: Sequence[BlockTask], work: asyncio.TaskGroup) -> None:
        self._copying.update(block.id for block in batch)
        work.create_task(self._stopping_others(self._copy(batch)))

    async def _stopping_others(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except DatasetFailed:
            self._failed = True
            raise

    def _still_wanted(self) -> None:
        """Stop here if the dataset has failed, or is not wanted any more, while a step was waited for."""
        self._go_on()
        if self._failed:
            raise asyncio.CancelledError

    async def _copy(self, batch: Sequence[BlockTask]) -> None:
        """Copy a batch; datablocks that went back to tape meanwhile are waited for again."""
        for block in await self._read(batch):
            self._times_away[block.id] += 1
            awaited: BlockTask = block
            if self._times_away[block.id] % RECALLS == 0:
                gone = f"{block.archive_id} was online {RECALLS} times, and gone when it was to be read"
                awaited = await self._other_copy(block, ReadFailed(gone).failure(block.archive_id))
            self._on_tape[awaited.id] = awaited
            self._news = True  # the word that it is there may have come before this
        self._copying.difference_update(block.id for block in batch)

    async def _read(self, batch: Sequence[BlockTask]) -> list[BlockTask]:
        """Copy a batch; gives the datablocks that went back to tape.

        A datablock whose archive cannot be had is read from its other copy.
        """
        limits = self._task.limits
        archive_id = batch[0].archive_id if len(batch) == 1 else None
        while True:
            try:
                async with self._slots:
                    with failing(archive_id):
                        back_on_tape = await run(
                            DatasetSteps.copy_datablocks, limits, list(batch), limits.transfer_attempts
                        )
                        self._still_wanted()
                        return back_on_tape
            except DatasetFailed as failed:
                failure = failed.failures[0]
                block = next((each for each in batch if each.archive_id == failure.archive_id), None)
                if block is None:
                    raise
                other = await self._other_copy(block, failure)
                batch = [other if each.id == other.id else each for each in batch]

    async def _other_copy(self, block: BlockTask, failure: Failure) -> BlockTask:
        """Have a datablock be read from another store.

        Raises:
            DatasetFailed: There is no other copy.
        """
        with failing():
            others = await run(DatasetSteps.try_other_copy, self._task.limits, BlockFailure(block, failure))
            self._still_wanted()
            if others:
                return others[0]
        raise DatasetFailed([failure])

    async def _follow(self, work: asyncio.TaskGroup) -> None:
        """Begin to copy datablocks that come back from tape."""
        while True:
            await workflow.wait_condition(lambda: bool(self._on_tape) or not self._copying)
            if not self._on_tape:
                return
            news = await self._next_news()
            others = [[await self._other_copy(each.block, each.failure)] for each in news.failed]
            for batch in (*news.ready, *others):
                its = [block for block in batch if self._on_tape.pop(block.id, None)]
                if its:
                    self._begin(its, work)

    async def _next_news(self) -> RecallNews:
        """Look for news of the recalls until there is some.

        It looks again when the flow is told of news, and also after a while, since the signal may be lost.
        """
        limits = self._task.limits
        while True:
            self._news = False
            with failing():
                found = await run(
                    DatasetSteps.look_at_recalls,
                    limits,
                    self._task.pid,
                    sorted(self._on_tape),
                    limits.appear_timeout,
                    limits.recall_timeout,
                )
            self._still_wanted()
            if found.ready or found.failed:
                return found
            with suppress(TimeoutError):
                await workflow.wait_condition(lambda: self._news, timeout=timedelta(seconds=found.patience))


@contextmanager
def failing(archive_id: str | None = None) -> Iterator[None]:
    """Turn a failed step into `DatasetFailed`; a cancelled one into `CancelledError`."""
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
            # If it were raised on, the engine would repeat the flow's last step for ever.
            return [InternalError(f"the flow met a fault: {type(error).__name__}: {error}").failure()]
