"""The flows that carry jobs out, as the ledger knows them: what the engine has, and is still to be told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from scicat_retriever.domain.ids import JobId
from scicat_retriever.ports.jobs import FlowName


@dataclass(frozen=True, slots=True)
class JobFlow:
    """A job's present flow: all that the engine is told of the job, whose dataset list may be long.

    Attributes:
        job_id: The job.
        flow: The flow that carries it out.
        attempt: Counts its flows, as in `JobRecord`.
        cancelled_by: Who asked that the job be cancelled, as in `JobRecord`.
    """

    job_id: JobId
    flow: FlowName
    attempt: int = 1
    cancelled_by: str = ""


class JobFlows(Protocol):
    """The book of the flows of jobs. Promises and errors as of `ports.ledger.Ledger`."""

    def of(self, job_id: JobId) -> FlowName | None:
        """Name the flow that carries a job out now, without reading the job's dataset list."""
        ...

    def to_start(self, limit: int) -> Sequence[JobFlow]:
        """Jobs that have not ended and whose flow was never handed to the engine, oldest first."""
        ...

    def mark_started(self, job_ids: Sequence[JobId]) -> None:
        """Note that the engine has the flows of these jobs, in one transaction; all of them must be known."""
        ...

    def started(self, after: int, limit: int) -> Sequence[tuple[int, JobFlow]]:
        """Jobs under way whose flow the engine has, with their numbers above `after`, in order."""
        ...

    def restart(self, job_id: JobId, flow: FlowName, lost_attempt: int) -> bool:
        """Have a job carried out by a new flow, since the engine lost the former one.

        The job keeps its space. False, and nothing changes, where the job has ended or is not at attempt
        `lost_attempt` any more.
        """
        ...

    def to_cancel(self, limit: int) -> Sequence[JobFlow]:
        """Jobs that have not ended, are to be cancelled, have a flow, and whose flow was not told yet."""
        ...

    def mark_cancel_told(self, job_id: JobId, attempt: int) -> None:
        """Note that the flow of this attempt was told that the job is cancelled; ignored for another one."""
        ...
