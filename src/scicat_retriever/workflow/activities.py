"""The activities: each runs one step of the pipeline and turns its error into one that the engine understands.

All are plain functions run in threads. Each may be repeated at any time, also while a lost repetition still runs.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Concatenate, ParamSpec, TypeVar

import structlog
from temporalio import activity
from temporalio.exceptions import ApplicationError, CancelledError

from scicat_retriever.domain import errors
from scicat_retriever.domain.errors import Failure, RetrieverError
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatasetState
from scicat_retriever.pipeline import intake, plan, publish, recall, reconcile, report, transfer
from scicat_retriever.pipeline.outbox import Teller
from scicat_retriever.pipeline.pause import pause_before
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.catalogue import Visibility
from scicat_retriever.ports.ledger import DatablockRecord
from scicat_retriever.ports.outbox import Subject
from scicat_retriever.workflow.failures import engine_error, first_of
from scicat_retriever.workflow.heart import Heart, remember
from scicat_retriever.workflow.lost_flows import LostFlows
from scicat_retriever.workflow.subscriptions import Subscriptions
from scicat_retriever.workflow.tasks import BlockTask, DatasetOutcome, DatasetTask, Page

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger(__name__)

_APPEARING = (errors.DatablockMissing, errors.DatablockUnreadable, errors.ArchiveIncomplete)
"""Errors of an archive that may still be on its way into the store; given up after `appear_timeout`."""
_WAITS = (errors.NotYetOnline, errors.NoSpaceYet, *_APPEARING)
"""Errors that say no more than: ask again."""
FORBIDDEN_ATTEMPTS = 4
"""How often SciCat is asked that says that the service's account may not read."""
_WANTS_NOTHING_KEPT = {
    kind.code for kind in (errors.JobCancelled, errors.SpaceTimedOut, errors.LargerThanStaging)
}
"""Failures after which nothing is kept for a retry: nobody wants it, or others need the space."""
_NOT_COUNTED = (errors.LedgerUnavailable, errors.WorkerStopping)
"""Errors of a copy that say nothing about the archive, so do not use up its attempts."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How repetitions are spaced, in seconds: of failures, and of questions whether a wait is over."""

    backoff_initial: float
    backoff_maximum: float
    poll_initial: float
    poll_maximum: float


def step(body: Callable[Concatenate[Activities, P], R]) -> Callable[Concatenate[Activities, P], R]:
    """Make a method an activity that speaks the engine's errors."""

    @functools.wraps(body)
    def run(self: Activities, /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with self.heart.beating(tuple(activity.info().heartbeat_details)):
                return body(self, *args, **kwargs)
        except (ApplicationError, CancelledError):
            raise
        except RetrieverError as error:
            raise self.engine_error(error) from error
        except Exception as error:
            log.exception("a step failed by a fault of the service", step=body.__name__)
            fault = errors.InternalError(f"{body.__name__}: {type(error).__name__}: {error}")
            raise self.engine_error(fault) from error

    return activity.defn(name=body.__name__, no_thread_cancel_exception=True)(run)


class Activities:
    """The steps, bound to their ports.

    Args:
        tools: The ports and policies.
        pace: How repetitions are spaced.
        subscriptions: Reaches the flows of datasets.
        teller: Tells SciCat.
        lost_flows: Finds jobs whose flows are lost.
        job_types: SciCat's job types that are carried out here.
    """

    def __init__(
        self,
        tools: Toolbox,
        pace: Pace,
        subscriptions: Subscriptions,
        teller: Teller,
        lost_flows: LostFlows,
        job_types: Collection[str],
    ) -> None:
        self._tools = tools
        self._teller = teller
        self._lost_flows = lost_flows
        self._job_types = job_types
        self._pace = pace
        self._subscriptions = subscriptions
        self.heart = Heart()

    def engine_error(
        self, error: RetrieverError, *, give_up: bool = False, archive_id: str | None = None
    ) -> ApplicationError:
        """Turn an error into one that the engine repeats after a pause, or does not repeat."""
        pace = self._pace
        initial, maximum = pace.backoff_initial, pace.backoff_maximum
        if isinstance(error, _WAITS):
            initial, maximum = pace.poll_initial, pace.poll_maximum
        info = activity.info()
        log.info(
            "step not done", step=info.activity_type, code=error.code, attempt=info.attempt, why=str(error)
        )
        pause_now = pause_before(info.attempt, initial, maximum)
        return engine_error(
            error, attempt=info.attempt, give_up=give_up, pause=pause_now, archive_id=archive_id
        )

    @contextmanager
    def _saying_why(self, job_id: JobId) -> Iterator[None]:
        """Have the job's status say that it waits for SciCat, where it does."""
        try:
            yield
        except errors.CatalogueError as error:
            record = self._tools.ledger.job(job_id)
            if record is not None and error.retryable:
                self._tools.ledger.move_job(job_id, record.state, f"waiting for SciCat: {error}")
            raise

    @step
    def report_job_started(self, job_id: JobId) -> None:
        with self._saying_why(job_id):
            report.job_started(job_id, self._tools)
            # Waits for SciCat: nothing is recalled for a job that it does not know.
            self._teller.tell_now(Subject.job(job_id))

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
            return intake.open_job(job_id, self._tools)

    @step
    def datasets_to_retrieve(self, job_id: JobId, page: Page) -> list[DatasetPid]:
        datasets = self._tools.ledger.job_datasets(job_id, page.after, page.limit)
        ended = (DatasetState.RETRIEVED, DatasetState.FAILED)
        return [each.pid for each in datasets if each.state not in ended]

    @step
    def subscribe(self, job_id: JobId, job_flow: str, task: DatasetTask) -> None:
        self._tools.ledger.move_job_dataset(job_id, task.pid, DatasetState.STARTED)
        self._subscriptions.join(job_flow, task)

    @step
    def unsubscribe(self, job_flow: str, pid: DatasetPid) -> None:
        self._subscriptions.leave(job_flow, pid)

    @step
    def note_outcome(self, job_id: JobId, outcome: DatasetOutcome) -> None:
        if not self._is_current(job_id):
            return
        state = DatasetState.FAILED if outcome.failures else DatasetState.RETRIEVED
        self._tools.ledger.move_job_dataset(job_id, outcome.pid, state, outcome.failures)

    @step
    def close_job(self, job_id: JobId, failure: Failure | None) -> str:
        if not self._is_current(job_id):
            return "another flow carries the job out by now"
        return report.close_job(job_id, failure, self._tools)

    def _is_current(self, job_id: JobId) -> bool:
        """Keep a lost repetition of a step of an earlier attempt from ending the one that follows it."""
        flow = self._tools.ledger.flow_of(job_id)
        return flow is None or flow.name == activity.info().workflow_id

    @step
    def report_dataset_started(self, pid: DatasetPid) -> None:
        report.dataset_started(pid, self._tools)

    @step
    def plan_dataset(self, pid: DatasetPid, run: str) -> int:
        with self._reading():
            try:
                planned = plan.plan_dataset(pid, run, self._tools)
            except errors.CatalogueError as error:
                self._tools.ledger.note_waiting(
                    pid, f"waiting for SciCat: {error}" if error.retryable else ""
                )
                raise
        self._tools.ledger.note_waiting(pid, "")
        return planned.datablocks

    @step
    def datablocks_to_copy(self, pid: DatasetPid, page: Page) -> list[list[BlockTask]]:
        records = self._tools.ledger.datablocks(pid, page.after, page.limit)
        return [
            [BlockTask(pid, record.datablock.id, record.datablock.archive_id) for record in batch]
            for batch in transfer.batches(r for r in records if not transfer.is_copied(r, self._tools))
        ]

    @step
    def prepare_datablocks(self, batch: list[BlockTask]) -> list[BlockTask]:
        ready = []
        for block in batch:
            try:
                record = self._record(block)
                recall.reserve_space(record, self._tools)
                recall.recall(record, self._tools)
            except _WAITS:
                continue
            except RetrieverError as error:
                log.info("a datablock cannot be prepared", code=error.code, why=str(error))
                break  # it, and those after it, are left to the steps that know what the error means
            ready.append(block)
        return ready

    @step
    def wait_for_space(self, block: BlockTask) -> None:
        recall.reserve_space(self._record(block), self._tools)

    @step
    def wait_for_recall(self, block: BlockTask, appear_timeout: float) -> None:
        now = datetime.now(UTC).timestamp()
        details = activity.info().heartbeat_details
        try:
            recall.recall(self._record(block), self._tools)
        except _APPEARING as error:
            missing_since = float(details[0]) if details else now
            remember(missing_since)
            raise self.engine_error(error, give_up=now - missing_since >= appear_timeout) from error
        except RetrieverError:
            if details:
                remember()  # it was seen: should it go again, the time counts anew
            raise

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
            except (errors.NotYetOnline, *_APPEARING):
                back_on_tape.append(block)
        return back_on_tape

    def _copy(self, record: DatablockRecord, failed_before: int, attempts: int) -> None:
        """Copy one datablock; the engine keeps how often that one failed."""
        try:
            if activity.is_cancelled():
                raise self._stopped()
            recalled = recall.recall(record, self._tools)

            def progress(bytes_done: int) -> None:
                if bytes_done != recalled.size:  # that all are done, the finished copy tells
                    self._tools.ledger.note_progress(record.key, bytes_done)

            transfer.copy(recalled, record, self._tools, progress=progress, cancelled=activity.is_cancelled)
        except errors.JobCancelled as error:
            raise self._stopped() from error
        except (errors.NotYetOnline, *_APPEARING):
            raise  # the flow waits for it again, with the time that a recall, or its appearing, may take
        except RetrieverError as error:
            if not isinstance(error, _NOT_COUNTED):
                failed_before += 1
            remember(record.key.id, failed_before)
            raise self.engine_error(
                error, give_up=failed_before >= attempts, archive_id=record.datablock.archive_id
            ) from error

    def _stopped(self) -> Exception:
        """Tell a cancelled step from one whose worker stops: the latter goes on elsewhere."""
        details = activity.cancellation_details()
        if details is not None and details.cancel_requested:
            return CancelledError("the step was cancelled")
        return self.engine_error(errors.WorkerStopping("the worker stops; the step is repeated"))

    @step
    def verify_datablocks(self, pid: DatasetPid, page: Page, attempts: int) -> list[Failure]:
        failures = []
        for record in self._tools.ledger.datablocks(pid, page.after, page.limit):
            archive_id = record.datablock.archive_id
            if activity.is_cancelled():
                raise self._stopped()
            try:
                publish.verify_and_stage(record, self._tools)
            except (errors.IntegrityError, errors.StagedFileMissing) as error:
                failures.append(error.failure(archive_id))
            except errors.StagingError as error:
                give_up = activity.info().attempt >= attempts
                raise self.engine_error(error, give_up=give_up, archive_id=archive_id) from error
        return first_of(failures)

    @step
    def publish_dataset(self, pid: DatasetPid) -> None:
        try:
            integrity = publish.publish(pid, self._tools)
        except errors.StagedFileMissing as error:
            raise self.engine_error(error, give_up=True) from error
        report.dataset_retrieved(pid, integrity, self._tools)

    @step
    def discard_dataset(self, pid: DatasetPid, run: str, failure: Failure) -> None:
        publish.discard(
            pid, run, failure.code, self._tools, keep_verified=failure.code not in _WANTS_NOTHING_KEPT
        )

    @step
    def report_dataset_failed(self, pid: DatasetPid, failures: list[Failure]) -> None:
        report.dataset_failed(pid, failures, self._tools)

    @step
    def sweep_expired(self) -> int:
        return publish.sweep_expired(self._tools)

    @step
    def reconcile_jobs(self) -> int:
        try:
            found = reconcile.reconcile(self._job_types, self._tools)
        except errors.CatalogueError as error:
            self._tools.ledger.note_finding(reconcile.FINDING, {"error": error.code, "message": str(error)})
            raise
        self._tools.ledger.note_finding(reconcile.FINDING, found.as_finding())
        if found.visibility is Visibility.HIDDEN:
            log.error(
                "SciCat does not list jobs to the service's account: jobs it is not told of stay unseen"
            )
        return found.missed + found.told_again

    @step
    def restart_lost_flows(self) -> int:
        found = self._lost_flows.restart()
        self._tools.ledger.note_finding("engine", asdict(found))
        return found.restarted

    def _record(self, block: BlockTask) -> DatablockRecord:
        record = self._tools.ledger.datablock(DatablockKey(block.pid, block.id))
        if record is None:
            raise errors.InternalError(f"{block.archive_id}: the ledger does not know it")
        return record
