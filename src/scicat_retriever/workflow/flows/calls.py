"""The steps as flows call them: which activity, on which queue, how long, and how it is tried again.

The activities themselves are in `activities`; flows know them by name alone, so that no adapter is imported into a flow.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ActivityCancellationType

from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.workflow.engine.answers import answer_of
from scicat_retriever.workflow.engine.heart import TIMEOUT
from scicat_retriever.workflow.flows.tasks import (
    BlockFailure,
    BlockTask,
    DatasetOutcome,
    DatasetTask,
    JobTask,
    Page,
    Planned,
    Prepared,
    RecallNews,
)

R = TypeVar("R")

COPY_QUEUE, VERIFY_QUEUE = "-copy", "-verify"
"""Suffixes of the task queues whose workers have as many slots as may run at once."""

SHORT = 120.0
"""Seconds that one attempt of a step may take that only asks the ledger, SciCat or the store."""
LEDGER_TIMEOUT = 14 * 86400.0
"""Seconds that a step is tried again whose only obstacle can be our own database."""
FLOW_TIMEOUT = timedelta(seconds=4)
"""Silence after which a worker is taken for dead that was deciding on a flow's next step; the engine's default is 10 s."""
TOO_LONG = "TemporalTimeout:StartToClose"
"""The engine's name for an attempt that took longer than one may."""
HEARTBEAT = timedelta(seconds=TIMEOUT)
"""Silence after which a step's worker is taken for dead, and the step is given to another."""


async def report_job_started(task: JobTask) -> None:
    """Tell SciCat that the job is in progress."""
    patience = task.limits.report_timeout
    await _run("report_job_started", [task.job_id], task, type(None), patience=patience)


async def open_job(task: JobTask) -> int:
    """Know the job's dataset list, and how large the datasets are; gives its length."""
    return await _read("open_job", [task.job_id], task, int, attempt=3600.0)


async def claim_job(task: JobTask) -> None:
    """Claim staging space for all datasets of the job, waiting for it if need be."""
    await _wait("claim_job", [task.job_id], task, task.limits.space_timeout)


async def datasets_to_retrieve(task: JobTask, page: Page) -> list[DatasetPid]:
    """List a part of the job's datasets."""
    pids: list[DatasetPid] = await _ledger(
        "datasets_to_retrieve", [task.job_id, page], task, list[DatasetPid]
    )
    return pids


async def subscribe(task: JobTask, pid: DatasetPid) -> None:
    """Ask the dataset's flow, which is started if need be, to tell this job its outcome."""
    flow = workflow.info().workflow_id
    await _ledger("subscribe", [task.job_id, flow, DatasetTask(pid, task.limits)], task, type(None))


async def unsubscribe(task: JobTask, pid: DatasetPid) -> None:
    """Let the dataset's flow go on without this job, or end if nobody else waits."""
    await _ledger("unsubscribe", [workflow.info().workflow_id, pid], task, type(None))


async def note_outcome(task: JobTask, outcome: DatasetOutcome) -> bool:
    """Note in the ledger what a dataset of the job ended as; False where it did not bring what the job needs: ask again."""
    return await _ledger("note_outcome", [task.job_id, outcome], task, bool)


async def close_job(task: JobTask, failure: Failure | None) -> str:
    """Note what the job came to, and have SciCat told; gives the state."""
    return await _ledger("close_job", [task.job_id, failure], task, str)


async def report_dataset_started(task: DatasetTask) -> None:
    """Have SciCat told that the dataset is being retrieved."""
    await _ledger("report_dataset_started", [task.pid], task, type(None))


async def plan_dataset(task: DatasetTask) -> Planned:
    """Take down the dataset's datablocks, and have its claim be what they need where that is free."""
    return await _read("plan_dataset", [task.pid, task.run], task, Planned, attempt=3600.0)


async def claim_dataset(task: DatasetTask) -> None:
    """Claim the space that the dataset needs beside what its job claimed for it, waiting for it if need be."""
    await _wait("claim_dataset", [task.pid], task, task.limits.space_timeout)


async def prepare_datablocks(task: DatasetTask, page: Page) -> Prepared:
    """List the datablocks of a page that are not copied yet: those that can be copied now, and the others, asked for."""
    return await _run(
        "prepare_datablocks", [task.pid, page], task, Prepared, patience=LEDGER_TIMEOUT, attempt=3600.0
    )


async def look_at_recalls(task: DatasetTask, awaited: Sequence[DatablockId]) -> RecallNews:
    """Look what became of the recalls of these datablocks."""
    limits = task.limits
    args: list[object] = [task.pid, list(awaited), limits.appear_timeout, limits.recall_timeout]
    return await _ledger("look_at_recalls", args, task, RecallNews)


async def try_other_copy(task: DatasetTask, failed: BlockFailure) -> BlockTask | None:
    """Have a datablock be read from the store that has another copy of it; gives it, or None where there is none."""
    blocks: list[BlockTask] = await _ledger("try_other_copy", [failed], task, list[BlockTask])
    return blocks[0] if blocks else None


async def copy_datablocks(task: DatasetTask, batch: Sequence[BlockTask]) -> list[BlockTask]:
    """Copy and hash each archive of a batch in one pass, one after the other; gives those that went back to tape."""
    args: list[object] = [batch, task.limits.transfer_attempts]
    return await _transfer("copy_datablocks", args, task, list[BlockTask], COPY_QUEUE)


async def verify_datablocks(task: DatasetTask, page: Page) -> list[BlockFailure]:
    """Verify a page of datablocks, one after the other, and give each verified one its final name."""
    args: list[object] = [task.pid, page, task.limits.transfer_attempts]
    return await _transfer("verify_datablocks", args, task, list[BlockFailure], VERIFY_QUEUE)


async def publish_dataset(task: DatasetTask) -> None:
    """See that the whole dataset is staged, and have SciCat told that it is retrieved."""
    await _ledger("publish_dataset", [task.pid], task, type(None), attempt=3600.0)


async def discard_dataset(task: DatasetTask, failure: Failure) -> None:
    """Remove what a failed run left."""
    await _ledger("discard_dataset", [task.pid, task.run, failure], task, type(None), attempt=3600.0)


async def report_dataset_failed(task: DatasetTask, failures: Sequence[Failure]) -> None:
    """Have SciCat told why the dataset could not be retrieved."""
    await _ledger("report_dataset_failed", [task.pid, list(failures)], task, type(None))


def _retries(task: JobTask | DatasetTask, never: Sequence[str] = ()) -> RetryPolicy:
    """Exponential backoff with a ceiling; steps that fail by an error of ours add jitter (see `failures`).

    Errors of a type in `never` are final.
    """
    return RetryPolicy(
        non_retryable_error_types=list(never),
        initial_interval=timedelta(seconds=task.limits.backoff_initial),
        backoff_coefficient=2.0,
        maximum_interval=timedelta(seconds=max(task.limits.backoff_initial, task.limits.backoff_maximum)),
    )


async def _read(
    name: str, args: list[object], task: JobTask | DatasetTask, result: type[R], *, attempt: float
) -> R:
    """Ask SciCat; the step itself gives up early where the service lacks a right."""
    return await _run(name, args, task, result, patience=task.limits.catalogue_timeout, attempt=attempt)


async def _wait(name: str, args: list[object], task: JobTask | DatasetTask, patience: float) -> None:
    cancellation = ActivityCancellationType.TRY_CANCEL
    await _run(name, args, task, type(None), patience=patience, cancellation=cancellation)


async def _ledger(
    name: str,
    args: list[object],
    task: JobTask | DatasetTask,
    result: type[R],
    attempt: float = SHORT,
) -> R:
    return await _run(name, args, task, result, patience=LEDGER_TIMEOUT, attempt=attempt)


async def _transfer(name: str, args: list[object], task: DatasetTask, result: type[R], queue: str) -> R:
    """Move or compare bytes: one attempt may take long, wait for its slot as long as it must, and never overrun."""
    attempt, never = task.limits.transfer_timeout, [TOO_LONG]
    return await _run(name, args, task, result, patience=None, attempt=attempt, queue=queue, never=never)


async def _run(
    name: str,
    args: list[object],
    task: JobTask | DatasetTask,
    result: type[R],
    *,
    patience: float | None,
    attempt: float = SHORT,
    queue: str = "",
    cancellation: ActivityCancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
    never: Sequence[str] = (),
) -> R:
    """Run a step, repeating it as `_retries` says, and whatever else than the service's own workers say of its end.

    A step that was begun has its effect. By default a cancelled flow waits for its end and does not go on beside it:
    SciCat would hear two voices.

    Args:
        name: The activity.
        args: What it is given.
        task: Whose limits it goes by.
        result: The type of what it gives.
        patience: Seconds after which it is not tried again; None for no end.
        attempt: Seconds that one attempt may take.
        queue: Suffix of the task queue.
        cancellation: Whether a cancelled flow waits for the step's end.
        never: Types of errors that are final.
    """
    return await answer_of(
        lambda: workflow.execute_activity(
            name,
            args=args,
            result_type=result,
            task_queue=task.limits.queue + queue,
            start_to_close_timeout=timedelta(seconds=attempt),
            heartbeat_timeout=HEARTBEAT,
            schedule_to_close_timeout=None if patience is None else timedelta(seconds=patience),
            cancellation_type=cancellation,
            retry_policy=_retries(task, never),
        )
    )
