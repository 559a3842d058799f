"""The steps of a dataset's flow, done by the pipeline."""

from __future__ import annotations

from datetime import timedelta

from temporalio import activity

from scicat_retriever.domain.errors import Failure, InternalError, RetrieverError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.pipeline.recalls import copying, recall
from scicat_retriever.pipeline.recalls.other_copy import turn_to_other_copy
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.staging import openings
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.workflow.engine.heart import is_stopped, remember
from scicat_retriever.workflow.flows.dataset_steps import DatasetSteps
from scicat_retriever.workflow.flows.tasks import (
    BlockFailure,
    BlockTask,
    Page,
    Planned,
    Prepared,
    RecallNews,
)
from scicat_retriever.workflow.steps.recall_desks import RecallDesks


class DatasetActivities(DatasetSteps):
    """The steps of datasets, bound to their ports.

    Args:
        tools: The ports and policies.
        desks: The recall desks, which recall archives that are on tape.
    """

    def __init__(self, tools: Toolbox, desks: RecallDesks) -> None:
        self._tools = tools
        self._desks = desks

    def report_dataset_started(self, pid: DatasetPid) -> None:
        report.dataset_started(pid, self._tools)

    def plan_dataset(self, pid: DatasetPid, run: str) -> Planned:
        opened = openings.open_dataset(pid, run, self._tools)
        return Planned(opened.datablocks, opened.staged, opened.claimed)

    def claim_dataset(self, pid: DatasetPid) -> None:
        openings.claim_dataset(pid, self._tools)

    def prepare_datablocks(self, pid: DatasetPid, page: Page) -> Prepared:
        ready, on_tape = copying.to_copy(pid, page.after, page.limit, self._tools, is_stopped)
        if on_tape:
            self._desks.ring()
        return Prepared(_batches(ready), [_task_of(record) for record in on_tape])

    def look_at_recalls(
        self, pid: DatasetPid, awaited: list[DatablockId], appear_timeout: float, recall_timeout: float
    ) -> RecallNews:
        appear, recalled = timedelta(seconds=appear_timeout), timedelta(seconds=recall_timeout)
        news = recall.news(pid, awaited, appear, recalled, self._tools)
        return RecallNews(
            _batches(news.ready), [_failed(*each) for each in news.failed], copying.next_look(news)
        )

    def try_other_copy(self, failed: BlockFailure) -> list[BlockTask]:
        block, why = failed.block, failed.failure
        record = self._record(block)
        turned = turn_to_other_copy(record, block.store, why.code, why.message, self._tools, part=block.part)
        return [_task_of(self._record(block))] if turned else []

    def copy_datablocks(self, batch: list[BlockTask], attempts: int) -> list[BlockTask]:
        tries = copying.Tries(attempts, remember, *activity.info().heartbeat_details)
        away = [
            each for each in batch if not copying.bring(self._record(each), tries, self._tools, is_stopped)
        ]
        if away:
            self._desks.ring()
        return away

    def verify_datablocks(self, pid: DatasetPid, page: Page, attempts: int) -> list[BlockFailure]:
        records = self._tools.ledger.datablocks.of(pid, page.after, page.limit)
        is_last = activity.info().attempt >= attempts
        wrong = publish.verify_wanted(records, self._tools, is_stopped, is_last=is_last)
        return [_failed(*each) for each in wrong]

    def publish_dataset(self, pid: DatasetPid) -> None:
        report.dataset_retrieved(pid, publish.publish(pid, self._tools), self._tools)

    def discard_dataset(self, pid: DatasetPid, run: str, failure: Failure) -> None:
        keep = publish.is_kept_after(failure.code)
        publish.discard(pid, run, failure.code, self._tools, keep_verified=keep)

    def report_dataset_failed(self, pid: DatasetPid, failures: list[Failure]) -> None:
        report.dataset_failed(pid, failures, self._tools)

    def _record(self, block: BlockTask) -> DatablockRecord:
        record = self._tools.ledger.datablocks.get(DatablockKey(block.pid, block.id))
        if record is None:
            raise InternalError(f"{block.archive_id}: the ledger does not know it")
        return record


def _task_of(record: DatablockRecord) -> BlockTask:
    block = record.datablock
    return BlockTask(record.key.pid, record.key.id, block.archive_id, record.store, bool(block.ranges))


def _batches(records: list[DatablockRecord]) -> list[list[BlockTask]]:
    return [[_task_of(record) for record in batch] for batch in transfer.batches(records)]


def _failed(record: DatablockRecord, error: RetrieverError) -> BlockFailure:
    return BlockFailure(_task_of(record), error.failure(record.datablock.archive_id))
