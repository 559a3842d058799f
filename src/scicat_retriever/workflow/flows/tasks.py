"""The values that flows and steps hand each other: small, frozen, fit for the engine's history."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

from scicat_retriever.domain.errors import Failure
from scicat_retriever.domain.ids import DatablockId, DatasetPid, JobId
from scicat_retriever.pipeline.reports.patience import Patience
from scicat_retriever.workflow.flows.choices import FlowChoices


@dataclass(frozen=True)
class FlowLimits(FlowChoices, Patience):
    """The limits of a flow, fixed when it starts.

    Attributes:
        queue: Prefix of the task queues' names.
    """

    queue: str = field(kw_only=True)

    @classmethod
    def of(cls, choices: FlowChoices, patience: Patience, queue: str) -> FlowLimits:
        """Make the limits from an operator's choices."""
        chosen = {
            each.name: getattr(policy, each.name)
            for policy, kind in ((choices, FlowChoices), (patience, Patience))
            for each in fields(kind)
        }
        return cls(**chosen, queue=queue)


@dataclass(frozen=True)
class JobTask:
    """The state of a job's flow, which it takes along into a fresh history.

    Attributes:
        job_id: The job.
        limits: The limits it goes by.
        deadline: Unix seconds after which the job is given up; 0 before the first run.
        after: How many of its datasets are done with.
        opened: Whether SciCat was told that the job is in progress, the dataset list is known, and the job
            has its space.
        datasets: How many datasets there are, once known.
    """

    job_id: JobId
    limits: FlowLimits
    deadline: float = 0.0
    after: int = 0
    opened: bool = False
    datasets: int = 0


@dataclass(frozen=True)
class DatasetTask:
    """The state of a dataset's flow, which it takes along into a fresh history.

    Attributes:
        pid: The dataset.
        limits: The limits it goes by.
        run: The name of this run in the ledger; empty until the flow begins.
        subscribers: The job flows that wait for the dataset.
        datablocks: How many there are, once planned; 0 before.
        copied: How many are done with copying, in order.
        verified: How many are done with verification, in order.
    """

    pid: DatasetPid
    limits: FlowLimits
    run: str = ""
    subscribers: tuple[str, ...] = ()
    datablocks: int = 0
    copied: int = 0
    verified: int = 0


@dataclass(frozen=True)
class BlockTask:
    """One datablock for a step: the store that it is read from, and whether it is a part of an archive."""

    pid: DatasetPid
    id: DatablockId
    archive_id: str
    store: str
    part: bool


@dataclass(frozen=True)
class Planned:
    """The result of planning a dataset.

    Attributes:
        datablocks: How many there are.
        staged: Whether all of them are staged already.
        claimed: Whether the dataset has the space that it needs.
    """

    datablocks: int
    staged: bool
    claimed: bool


@dataclass(frozen=True)
class Prepared:
    """The datablocks of a page that have to be copied.

    Attributes:
        ready: Datablocks that can be copied now, small ones put together in batches.
        on_tape: Datablocks whose recall was asked for.
    """

    ready: list[list[BlockTask]]
    on_tape: list[BlockTask]


@dataclass(frozen=True)
class BlockFailure:
    """Why one datablock could not be retrieved."""

    block: BlockTask
    failure: Failure


@dataclass(frozen=True)
class RecallNews:
    """News of a dataset's recalls.

    Attributes:
        ready: Datablocks that can be copied, small ones put together in batches.
        failed: Datablocks whose recall is given up.
        patience: Seconds after which it is worth looking again if nobody says that there is news.
    """

    ready: list[list[BlockTask]]
    failed: list[BlockFailure]
    patience: float


@dataclass(frozen=True)
class DatasetOutcome:
    """The outcome that a dataset's flow tells the jobs that wait: retrieved, if there are no failures."""

    pid: DatasetPid
    failures: tuple[Failure, ...] = field(default=())


@dataclass(frozen=True)
class Page:
    """A page of a list in the ledger: at most `limit` entries, from position `after`."""

    after: int
    limit: int
