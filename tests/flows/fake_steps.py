"""The steps as plain fakes, under the declarations of the real ones: a small world in memory that a test sets up."""

from __future__ import annotations

import threading
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from temporalio import activity

from scicat_retriever.domain.errors import Failure, RetrieverError, SpaceGivenBack
from scicat_retriever.domain.ids import ArchiveId, DatablockId, DatasetPid, JobId
from scicat_retriever.pipeline.tools.attempts import AttemptFailed
from scicat_retriever.pipeline.tools.stopping import stop_if
from scicat_retriever.workflow.engine.heart import is_stopped
from scicat_retriever.workflow.flows.dataset_steps import DatasetSteps
from scicat_retriever.workflow.flows.job_steps import JobSteps
from scicat_retriever.workflow.flows.looks import Looks
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

PID, Q = DatasetPid("20.500.12345/p"), DatasetPid("20.500.12345/q")
STORE, OTHER_STORE = "lts", "other"
PATIENCE = 3600.0
"""Seconds after which the fake has recalls looked at again."""
LONGEST = 60.0
"""Seconds that a test waits for anything."""


class Joins(Protocol):
    """Reaches the flows of datasets."""

    def join(self, job_flow: str, task: DatasetTask) -> None: ...

    def leave(self, job_flow: str, pid: DatasetPid) -> None: ...


@dataclass(frozen=True)
class Taken:
    """A step that was taken: its name, what it was given, and when the engine had it begin.

    Attributes:
        run: The run of the flow; another one where the flow went on with a fresh history.
    """

    name: str
    given: tuple[object, ...]
    at: datetime
    attempt: int
    flow: str
    run: str


@dataclass
class Hold:
    """A step that stands still until it is let go on, or, unless it is deaf, is told to stop."""

    deaf: bool = True
    entered: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def wait(self) -> None:
        self.entered.set()
        while not self.released.wait(0.02):
            if not self.deaf:
                stop_if(is_stopped)


class Lost(Exception):
    """Put into `mishaps`: the worker takes the step and is never heard of again."""


def block(number: int, pid: DatasetPid = PID) -> BlockTask:
    return BlockTask(pid, DatablockId(f"block-{number:03}"), ArchiveId(f"{number:03}.tar"), STORE, False)


class FakeSteps(JobSteps, DatasetSteps, Looks):
    """What goes well unless a test says otherwise.

    Attributes:
        taken: All steps, in the order in which they were begun.
        datasets: Those of the job, in its order.
        retrieved: Which of them the job has already; none once it gave its space back.
        blocks: The datablocks of each dataset.
        on_tape: Which are on tape.
        unreadable: Which cannot be copied from their first store, for good, and why.
        recall_failed: Whose recalls are given up, and why.
        wrong: Which are not right as copied from their first store, and why.
        other_copies: Which have a copy in another store.
        gone: How often each that is online is back on tape when it is to be copied.
        copied: From which store each was copied, in order.
        refused: How often the next outcomes do not bring what the job needs.
        is_staged: Whether datasets are staged already.
        has_space: Whether there is room for datasets as soon as they are planned.
        batch: How many datablocks are copied by one step.
        outcomes: What jobs were told, in order.
        failed: What SciCat was told of each dataset's failure.
        closed: What jobs were closed with.
        most_at_once: How many copies ran side by side.
    """

    def __init__(self, joins: Joins, datablocks: int = 3) -> None:
        self._joins = joins
        self._lock = threading.Lock()
        self._mishaps: dict[str, deque[Exception]] = defaultdict(deque)
        self._always: dict[str, Exception] = {}
        self._holds: dict[str, Hold] = {}
        self._all_holds: list[Hold] = []
        self._held_copies: dict[DatablockId, Hold] = {}
        self._running = 0
        self.taken: list[Taken] = []
        self.datasets = [PID]
        self.retrieved: set[DatasetPid] = set()
        self.blocks = {pid: [block(number, pid) for number in range(datablocks)] for pid in (PID, Q)}
        self.on_tape: set[DatablockId] = set()
        self.unreadable: dict[DatablockId, RetrieverError] = {}
        self.wrong: dict[DatablockId, RetrieverError] = {}
        self.recall_failed: dict[DatablockId, RetrieverError] = {}
        self.other_copies: set[DatablockId] = set()
        self.gone: dict[DatablockId, int] = defaultdict(int)
        self.copied: list[tuple[DatablockId, str]] = []
        self.refused = 0
        self.is_staged = False
        self.has_space = True
        self.batch = 1
        self.failed: list[tuple[DatasetPid, list[Failure]]] = []
        self.outcomes: list[DatasetOutcome] = []
        self.closed: list[Failure | None] = []
        self.most_at_once = 0

    # What a test does.

    def fail(self, step: str, *errors: Exception) -> None:
        """Have the next attempts at a step fail."""
        self._mishaps[step].extend(errors)

    def always_fail(self, step: str, error: Exception) -> None:
        self._always[step] = error

    def mend(self, step: str) -> None:
        self._always.pop(step, None)

    def hold(self, step: str, *, deaf: bool = True) -> Hold:
        """Have the next attempt at a step stand still."""
        hold = self._holds[step] = Hold(deaf)
        self._all_holds.append(hold)
        return hold

    def hold_copy(self, datablock: DatablockId) -> Hold:
        """Have the copy of a datablock stand still until it is told to stop."""
        hold = self._held_copies[datablock] = Hold(deaf=False)
        self._all_holds.append(hold)
        return hold

    def let_go(self) -> None:
        """Have all steps go on that stand still: a worker that is to end waits for them."""
        for hold in self._all_holds:
            hold.released.set()

    def names(self, flow: str | None = None) -> list[str]:
        return [each.name for each in self.taken if flow in (None, each.flow)]

    def runs(self, step: str) -> list[str]:
        """Give the run in which the flow took each attempt at a step."""
        return [each.run for each in self.of(step)]

    def of(self, step: str) -> list[Taken]:
        return [each for each in self.taken if each.name == step]

    # What each step does first.

    def _take(self, *given: object) -> None:
        info = activity.info()
        name, flow = info.activity_type, info.workflow_id or ""
        with self._lock:
            begun = info.current_attempt_scheduled_time
            self.taken.append(Taken(name, given, begun, info.attempt, flow, info.workflow_run_id or ""))
            hold = self._holds.pop(name, None)
        if hold is not None:
            hold.wait()
        with self._lock:
            mishaps = self._mishaps[name]
            error = mishaps.popleft() if mishaps else self._always.get(name)
        if isinstance(error, Lost):
            activity.raise_complete_async()
        if error is not None:
            raise error

    # The job's.

    def report_job_started(self, job_id: JobId) -> None:
        self._take(job_id)

    def open_job(self, job_id: JobId) -> int:
        self._take(job_id)
        return len(self.datasets)

    def claim_job(self, job_id: JobId) -> None:
        self._take(job_id)

    def datasets_to_retrieve(self, job_id: JobId, page: Page) -> list[DatasetPid]:
        self._take(job_id, page)
        listed = self.datasets[page.after : page.after + page.limit]
        return [pid for pid in listed if pid not in self.retrieved]

    def subscribe(self, job_id: JobId, job_flow: str, task: DatasetTask) -> None:
        self._take(job_id, job_flow, task)
        self._joins.join(job_flow, task)

    def unsubscribe(self, job_flow: str, pid: DatasetPid) -> None:
        self._take(job_flow, pid)
        self._joins.leave(job_flow, pid)

    def note_outcome(self, job_id: JobId, outcome: DatasetOutcome) -> bool:
        self._take(job_id, outcome)
        with self._lock:
            self.outcomes.append(outcome)
            if any(failure.code == SpaceGivenBack.code for failure in outcome.failures):
                self.retrieved.clear()
                return False
            self.refused -= 1
            if self.refused < 0:
                self.retrieved.add(outcome.pid)
            return self.refused < 0

    def close_job(self, job_id: JobId, failure: Failure | None) -> str:
        self._take(job_id, failure)
        self.closed.append(failure)
        return "closed" if failure is None else failure.code

    # The dataset's.

    def report_dataset_started(self, pid: DatasetPid) -> None:
        self._take(pid)

    def plan_dataset(self, pid: DatasetPid, run: str) -> Planned:
        self._take(pid, run)
        return Planned(len(self.blocks[pid]), self.is_staged, self.has_space)

    def claim_dataset(self, pid: DatasetPid) -> None:
        self._take(pid)

    def prepare_datablocks(self, pid: DatasetPid, page: Page) -> Prepared:
        self._take(pid, page)
        there = self._not_copied(self.blocks[pid][page.after : page.after + page.limit])
        ready = [each for each in there if each.id not in self.on_tape]
        batches = [ready[first : first + self.batch] for first in range(0, len(ready), self.batch)]
        return Prepared(batches, [each for each in there if each.id in self.on_tape])

    def _not_copied(self, blocks: Iterable[BlockTask]) -> list[BlockTask]:
        done = {each for each, _ in self.copied}
        return [each for each in blocks if each.id not in done]

    def look_at_recalls(
        self, pid: DatasetPid, awaited: list[DatablockId], appear_timeout: float, recall_timeout: float
    ) -> RecallNews:
        self._take(pid, awaited, appear_timeout, recall_timeout)
        its = [each for each in self.blocks[pid] if each.id in awaited]
        failed = [
            BlockFailure(each, self.recall_failed[each.id].failure(each.archive_id))
            for each in its
            if each.id in self.recall_failed
        ]
        ready = [[each] for each in its if each.id not in self.on_tape and each.id not in self.recall_failed]
        return RecallNews(ready, failed, PATIENCE)

    def try_other_copy(self, failed: BlockFailure) -> list[BlockTask]:
        self._take(failed)
        one = failed.block
        if one.store == STORE and one.id in self.other_copies:
            self.copied = [each for each in self.copied if each[0] != one.id]
            other = replace(one, store=OTHER_STORE)
            self.blocks[one.pid] = [other if each.id == one.id else each for each in self.blocks[one.pid]]
            return [other]
        return []

    def copy_datablocks(self, batch: list[BlockTask], attempts: int) -> list[BlockTask]:
        with self._lock:
            self._running += 1
            self.most_at_once = max(self.most_at_once, self._running)
        try:
            self._take(batch, attempts)
            return [each for each in batch if not self._copy(each)]
        finally:
            with self._lock:
                self._running -= 1

    def _copy(self, one: BlockTask) -> bool:
        if one.id in self._held_copies:
            self._held_copies[one.id].wait()
        with self._lock:
            if self.gone[one.id]:
                self.gone[one.id] -= 1
                return False
            if one.id in self.unreadable and one.store == STORE:
                raise AttemptFailed(
                    self.unreadable[one.id], is_final=True, archive_id=ArchiveId(one.archive_id)
                )
            self.copied.append((one.id, one.store))
            return True

    def verify_datablocks(self, pid: DatasetPid, page: Page, attempts: int) -> list[BlockFailure]:
        self._take(pid, page, attempts)
        return [
            BlockFailure(each, self.wrong[each.id].failure(each.archive_id))
            for each in self.blocks[pid][page.after : page.after + page.limit]
            if each.id in self.wrong and each.store == STORE
        ]

    def publish_dataset(self, pid: DatasetPid) -> None:
        self._take(pid)

    def discard_dataset(self, pid: DatasetPid, run: str, failure: Failure) -> None:
        self._take(pid, run, failure)

    def report_dataset_failed(self, pid: DatasetPid, failures: list[Failure]) -> None:
        self._take(pid, failures)
        self.failed.append((pid, failures))

    # What nobody asks for.

    def sweep_staging(self) -> int:
        self._take()
        return 1

    def restart_lost_flows(self) -> int:
        self._take()
        return 2

    def reconcile_jobs(self) -> int:
        self._take()
        return 3

    def check_staging(self) -> int:
        self._take()
        return 4

    def check_fixity(self) -> int:
        self._take()
        return 5
