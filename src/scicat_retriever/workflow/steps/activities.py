"""The activities: each runs one step of the pipeline and turns its error into one that the engine understands.

All are plain functions run in threads. Each may be repeated at any time, also while a lost repetition still runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import structlog
from temporalio import activity

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import Failure, RetrieverError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.jobs import intake, plan
from scicat_retriever.pipeline.jobs.outcome import gave_back, note_outcome
from scicat_retriever.pipeline.recalls import recall
from scicat_retriever.pipeline.recalls.other_copy import turn_to_other_copy
from scicat_retriever.pipeline.recalls.verdict import WAITED_FOR
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.teller import Teller
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import copy as transfer
from scicat_retriever.pipeline.transfer import publish
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.reports import Subject
from scicat_retriever.workflow.engine.heart import is_stopped, remember
from scicat_retriever.workflow.flows.subscriptions import Subscriptions
from scicat_retriever.workflow.flows.tasks import (
    BlockFailure,
    BlockTask,
    DatasetOutcome,
    DatasetTask,
    Page,
    Planned,
    Prepared,
    RecallNews,
)
from scicat_retriever.workflow.steps.recall_desks import RecallDesks
from scicat_retriever.workflow.steps.step import Pace, Steps, step

log = structlog.get_logger(__name__)

FORBIDDEN_ATTEMPTS = 4
"""How often SciCat is asked that says that the service's account may not read."""
ODD_ATTEMPTS = 8
"""After how many attempts a job goes on without a dataset that SciCat gives no usable answer for: about two minutes."""
_WANTS_NOTHING_KEPT = {
    kind.code for kind in (errors.JobCancelled, errors.SpaceTimedOut, errors.LargerThanStaging)
}
"""Failures after which nothing is kept for a retry: nobody wants it, or others need the space."""
RECALL_LOOK = 3600.0
"""Seconds after which a flow looks at its recalls though nobody told it that there is news: the word may be lost."""
_SHORTLY = 0.05
_WAITS_FOR_STAGING = (errors.NoSpaceYet, errors.StagingNotOurs)
"""Errors of what goes on by itself once others made room, or an operator mounted the staging area."""
_NOT_COUNTED = (errors.LedgerUnavailable, errors.WorkerStopping, *_WAITS_FOR_STAGING)
"""Errors of a copy that say nothing about the archive, so do not use up its attempts."""


class Activities(Steps):
    """The steps, bound to their ports.

    Args:
        tools: The ports and policies.
        pace: How repetitions are spaced.
        subscriptions: Reaches the flows of datasets.
        teller: Tells SciCat.
        desks: Recall what is on tape.
    """

    def __init__(
        self, tools: Toolbox, pace: Pace, subscriptions: Subscriptions, teller: Teller, desks: RecallDesks
    ) -> None:
        super().__init__(pace)
        self._tools = tools
        self._desks = desks
        self._teller = teller
        self._subscriptions = subscriptions

    @contextmanager
    def _saying_why(self, job_id: JobId) -> Iterator[None]:
        """Have the job's status say that it waits for SciCat or for staging, where it does."""
        try:
            yield
        except _WAITS_FOR_STAGING as error:
            self._note(job_id, str(error))
            raise
        except errors.CatalogueError as error:
            if error.retryable:
                self._note(job_id, f"waiting for SciCat: {error}")
            raise

    @step
    def report_job_started(self, job_id: JobId) -> None:
        with self._saying_why(job_id):
            # What can never be carried out is never told to be in progress. Where SciCat cannot be asked now, the next
            # step asks it, with a patience of its own.
            with suppress(errors.CatalogueError):
                intake.open_job(job_id, self._tools)
            report.job_started(job_id, self._tools)
            # Waits for SciCat: nothing is recalled for a job that it does not know.
            try:
                self._teller.tell_now(Subject.job(job_id))
            except errors.CatalogueJobUnclosable:
                # A dataset of it was deleted: the others are there to be retrieved, and SciCat can be told of them.
                log.warning("SciCat cannot be told of a job; its other datasets are retrieved", job_id=job_id)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Believe a missing right soon, but not at once: a proxy or a backend that restarts may have said so."""
        try:
            yield
        except errors.CatalogueForbidden as error:
            give_up = activity.info().attempt >= FORBIDDEN_ATTEMPTS
            raise self.engine_error(error, give_up=give_up) from error

    @step
    def open_job(self, job_id: JobId) -> int:
        with self._reading(), self._saying_why(job_id):
            datasets = intake.open_job(job_id, self._tools)
            attempt = activity.info().attempt
            space.measure_job(
                job_id,
                self._tools,
                forbidden_is_final=attempt >= FORBIDDEN_ATTEMPTS,
                odd_fail_alone=attempt >= ODD_ATTEMPTS,
            )
            return datasets

    @step
    def claim_job(self, job_id: JobId) -> None:
        with self._saying_why(job_id):
            space.claim_job(job_id, self._tools)
        self._note(job_id, report.STARTED)

    def _note(self, job_id: JobId, message: str) -> None:
        """Have the job's status say something, where that is news: each note is a write to disk."""
        record = self._tools.ledger.jobs.get(job_id)
        if record is not None and not record.state.finished and record.message != message:
            self._tools.ledger.jobs.move(job_id, record.state, message)

    @step
    def datasets_to_retrieve(self, job_id: JobId, page: Page) -> list[DatasetPid]:
        datasets = self._tools.ledger.jobs.datasets(job_id, page.after, page.limit)
        ended = (DatasetState.RETRIEVED, DatasetState.FAILED)
        return [each.pid for each in datasets if each.state not in ended]

    @step
    def subscribe(self, job_id: JobId, job_flow: str, task: DatasetTask) -> None:
        self._tools.ledger.jobs.move_dataset(job_id, task.pid, DatasetState.STARTED)
        self._subscriptions.join(job_flow, task)

    @step
    def unsubscribe(self, job_flow: str, pid: DatasetPid) -> None:
        self._subscriptions.leave(job_flow, pid)

    @step
    def note_outcome(self, job_id: JobId, outcome: DatasetOutcome) -> bool:
        return not self._is_current(job_id) or note_outcome(
            job_id, outcome.pid, outcome.failures, self._tools
        )

    @step
    def close_job(self, job_id: JobId, failure: Failure | None) -> str:
        if not self._is_current(job_id):
            return "another flow carries the job out by now"
        return report.close_job(job_id, failure, self._tools)

    def _is_current(self, job_id: JobId) -> bool:
        """Keep a lost repetition of a step of an earlier attempt from ending the one that follows it."""
        flow = self._tools.ledger.flows.of(job_id)
        return flow is None or flow.name == activity.info().workflow_id

    @step
    def report_dataset_started(self, pid: DatasetPid) -> None:
        report.dataset_started(pid, self._tools)

    @step
    def plan_dataset(self, pid: DatasetPid, run: str) -> Planned:
        with self._reading():
            try:
                planned = plan.plan_dataset(pid, run, self._tools)
            except errors.CatalogueError as error:
                self._tools.ledger.jobs.note_waiting(
                    pid, f"waiting for SciCat: {error}" if error.retryable else ""
                )
                raise
        count = planned.datablocks + planned.extracts
        wanted = (each for each in self._tools.ledger.datablocks.of(pid) if each.wanted)
        staged = all(each.state is DatablockState.STAGED for each in wanted)
        try:
            self._claim(pid)
        except errors.NoSpaceYet:
            return Planned(count, staged=staged, claimed=False)
        return Planned(count, staged=staged, claimed=True)

    @step
    def claim_dataset(self, pid: DatasetPid) -> None:
        self._claim(pid)

    def _claim(self, pid: DatasetPid) -> None:
        """Claim what a planned dataset needs, and have its status say so where it has to wait."""
        try:
            space.claim_dataset(pid, self._tools)
        except _WAITS_FOR_STAGING as error:
            self._tools.ledger.jobs.note_waiting(pid, str(error))
            raise
        self._tools.ledger.jobs.note_waiting(pid, "")

    @step
    def prepare_datablocks(self, pid: DatasetPid, page: Page) -> Prepared:
        records = [
            each
            for each in self._tools.ledger.datablocks.of(pid, page.after, page.limit)
            if each.wanted and not transfer.is_copied(each, self._tools)
        ]
        ready = recall.prepare(records, self._tools, is_stopped)
        there = {record.key.id for record in ready}
        if len(ready) < len(records):
            self._desks.ring()
        return Prepared(
            _batches(ready), [_task_of(record) for record in records if record.key.id not in there]
        )

    @step
    def look_at_recalls(
        self, pid: DatasetPid, awaited: list[DatablockId], appear_timeout: float, recall_timeout: float
    ) -> RecallNews:
        appear, recalled = timedelta(seconds=appear_timeout), timedelta(seconds=recall_timeout)
        news = recall.news(pid, awaited, appear, recalled, self._tools)
        patience = RECALL_LOOK if news.patience is None else news.patience.total_seconds() + _SHORTLY
        return RecallNews(
            _batches(news.ready),
            [
                BlockFailure(_task_of(record), error.failure(record.datablock.archive_id))
                for record, error in news.failed
            ],
            min(RECALL_LOOK, patience),
        )

    @step
    def try_other_copy(self, failed: BlockFailure) -> list[BlockTask]:
        block, failure = failed.block, failed.failure
        turned = turn_to_other_copy(
            self._record(block), block.store, failure.code, failure.message, self._tools, part=block.part
        )
        return [_task_of(self._record(block))] if turned else []

    @step
    def copy_datablocks(self, batch: list[BlockTask], attempts: int) -> list[BlockTask]:
        details = activity.info().heartbeat_details
        failing, failures = (str(details[0]), int(details[1])) if details else ("", 0)
        back_on_tape = []
        for block in batch:
            record = self._record(block)
            if transfer.is_copied(record, self._tools):  # an attempt before this one may have come so far
                continue
            try:
                self._copy(record, failures if block.id == failing else 0, attempts)
            except WAITED_FOR:
                back_on_tape.append(block)
        if back_on_tape:
            self._desks.ring()
        return back_on_tape

    def _copy(self, record: DatablockRecord, failed_before: int, attempts: int) -> None:
        """Copy one datablock; the engine keeps how often that one failed."""
        try:
            stop_if(is_stopped)
            recalled = recall.recall(record, self._tools, is_stopped)

            def progress(bytes_done: int) -> None:
                if bytes_done != recalled.size:  # that all are done, the finished copy tells
                    self._tools.ledger.datablocks.note_progress(record.key, bytes_done)

            try:
                transfer.copy(recalled, record, self._tools, progress=progress, cancelled=is_stopped)
            except WAITED_FOR:
                # It was online when it was looked at, and could not be opened.
                self._tools.ledger.recalls.want([record.key])
                raise
        except (errors.JobCancelled, *WAITED_FOR):
            raise  # the flow waits for the latter again, with the time that a recall, or its appearing, may take
        except RetrieverError as error:
            if not isinstance(error, _NOT_COUNTED):
                failed_before += 1
            if isinstance(error, _WAITS_FOR_STAGING):
                # What the datablock waits for is shown; it goes on by itself once there is room, or the area is mounted.
                self._tools.ledger.datablocks.move(record.key, DatablockState.RECALLING, str(error))
            remember(record.key.id, failed_before)
            raise self.engine_error(
                error, give_up=failed_before >= attempts, archive_id=record.datablock.archive_id
            ) from error

    @step
    def verify_datablocks(self, pid: DatasetPid, page: Page, attempts: int) -> list[BlockFailure]:
        failures = []
        for record in self._tools.ledger.datablocks.of(pid, page.after, page.limit):
            archive_id = record.datablock.archive_id
            if not record.wanted:
                continue
            stop_if(is_stopped)
            try:
                publish.verify_and_stage(record, self._tools)
            except (errors.IntegrityError, errors.StagedFileMissing) as error:
                failures.append(BlockFailure(_task_of(record), error.failure(archive_id)))
            except errors.StagingError as error:
                give_up = activity.info().attempt >= attempts and not isinstance(error, _NOT_COUNTED)
                raise self.engine_error(error, give_up=give_up, archive_id=archive_id) from error
        return failures

    @step
    def publish_dataset(self, pid: DatasetPid) -> None:
        try:
            published = publish.publish(pid, self._tools)
        except errors.StagedFileMissing as error:
            raise self.engine_error(error, give_up=True) from error
        report.dataset_retrieved(pid, published, self._tools)

    @step
    def discard_dataset(self, pid: DatasetPid, run: str, failure: Failure) -> None:
        publish.discard(
            pid, run, failure.code, self._tools, keep_verified=failure.code not in _WANTS_NOTHING_KEPT
        )

    @step
    def report_dataset_failed(self, pid: DatasetPid, failures: list[Failure]) -> None:
        if gave_back(failures):
            return  # it has not failed: it is retrieved once its jobs have their space
        report.dataset_failed(pid, failures, self._tools)

    def _record(self, block: BlockTask) -> DatablockRecord:
        record = self._tools.ledger.datablocks.get(DatablockKey(block.pid, block.id))
        if record is None:
            raise errors.InternalError(f"{block.archive_id}: the ledger does not know it")
        return record


def _task_of(record: DatablockRecord) -> BlockTask:
    block = record.datablock
    return BlockTask(record.key.pid, record.key.id, block.archive_id, record.store, bool(block.ranges))


def _batches(records: list[DatablockRecord]) -> list[list[BlockTask]]:
    return [[_task_of(record) for record in batch] for batch in transfer.batches(records)]
