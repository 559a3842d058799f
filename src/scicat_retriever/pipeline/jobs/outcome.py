"""Outcome: what a dataset's run means to each job that waited for it.

A job is believed to have only what is there for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from scicat_retriever.domain.errors import DatablocksMissing, Failure, SpaceGivenBack
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.tools.toolbox import Toolbox


def note_outcome(job_id: JobId, pid: DatasetPid, failures: Sequence[Failure], tools: Toolbox) -> bool:
    """Note how a dataset ended for a job, by what its run ended with.

    Args:
        job_id: The job.
        pid: The dataset.
        failures: Why its run failed; none where it went well.
        tools: The ports.

    Returns:
        Whether the dataset has ended for the job. False where the job has to ask for it again: the run went
        well, but the job joined it late and needs more than the run brought; or the job gave its space back,
        or does so now because the run ended with `SpaceGivenBack`. Then it asks for all its datasets again,
        once it has its space.
    """
    if _stands_in_line_again(job_id, pid, failures, tools):
        return False
    if tools.ledger.needs.is_brought(job_id, pid):
        # Also where the run failed: what this job chose may all be there.
        tools.ledger.jobs.move_dataset(job_id, pid, DatasetState.RETRIEVED)
        return True
    if failures:
        tools.ledger.jobs.move_dataset(job_id, pid, DatasetState.FAILED, failures)
        tools.ledger.claims.end(pid)  # this job needs no more space for it
        return True
    if any(
        record.state is not DatablockState.STAGED for record in tools.ledger.needs.datablocks(job_id, pid)
    ):
        return False
    changed = DatablocksMissing(
        f"the catalogue lists other datablocks of dataset {pid} than when the job's files were looked for: retry the job"
    )
    return note_outcome(job_id, pid, [changed.failure()], tools)


def unfinished(job_id: JobId, after: int, limit: int, tools: Toolbox) -> list[DatasetPid]:
    """Give the datasets of a part of a job's list that have not ended for it.

    Args:
        job_id: The job.
        after: Where the part begins.
        limit: Its length.
        tools: The ports.
    """
    ended = (DatasetState.RETRIEVED, DatasetState.FAILED)
    return [each.pid for each in tools.ledger.jobs.datasets(job_id, after, limit) if each.state not in ended]


def is_carried_out_by(job_id: JobId, flow: str, tools: Toolbox) -> bool:
    """Say whether a flow is the one that carries the job out now.

    A late step of an earlier flow must not end the one that follows it.
    """
    current = tools.ledger.job_flows.of(job_id)
    return current is None or current.name == flow


def gave_back(failures: Sequence[Failure]) -> bool:
    """Say whether a run ended because the jobs that wait for its dataset give their space back."""
    return any(failure.code == SpaceGivenBack.code for failure in failures)


def _stands_in_line_again(
    job_id: JobId, pid: DatasetPid, failures: Sequence[Failure], tools: Toolbox
) -> bool:
    brought = tools.ledger.needs.is_brought(job_id, pid)
    waits = tools.ledger.claims.is_in_line(job_id)
    # Nothing is pinned for a job that waits: what is there now may be gone when it has its space.
    told = gave_back(failures) and not brought
    if not told and not (waits and (brought or not failures)):
        return False
    # Who is not told to may have got its space since it was asked, and keeps it: it would not ask again.
    if not tools.ledger.claims.give_back(job_id, pid, if_waiting=not told):
        return False
    # The job may have been the last to ask for this one, and for those that it did not start.
    tools.ledger.claims.end(pid)
    tools.ledger.claims.end_idle()
    return True
