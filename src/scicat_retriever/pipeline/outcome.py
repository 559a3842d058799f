"""Outcome: what a dataset's run means to each job that waited for it. A job is believed to have only what is there for it."""

from __future__ import annotations

from collections.abc import Sequence

from scicat_retriever.domain.errors import DatablocksMissing, Failure
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState, DatasetState
from scicat_retriever.pipeline.toolbox import Toolbox


def note_outcome(job_id: JobId, pid: DatasetPid, failures: Sequence[Failure], tools: Toolbox) -> bool:
    """Note how a dataset ended for a job, by what its run ended with.

    Args:
        job_id: The job.
        pid: The dataset.
        failures: Why its run failed; none where it went well.
        tools: The ports.

    Returns:
        Whether it has ended for the job. False, and nothing is noted, where the run went well and did not bring all that
        the job needs, since that joined it too late: the job has to ask for the dataset again.
    """
    if tools.ledger.is_brought(job_id, pid):
        # Also where the run failed: what this job chose may all be there.
        tools.ledger.move_job_dataset(job_id, pid, DatasetState.RETRIEVED)
        return True
    if failures:
        tools.ledger.move_job_dataset(job_id, pid, DatasetState.FAILED, failures)
        tools.ledger.end_claim(pid)  # this job needs no more space for it
        return True
    if any(record.state is not DatablockState.STAGED for record in tools.ledger.job_datablocks(job_id, pid)):
        return False
    changed = DatablocksMissing(
        f"the catalogue lists other datablocks of dataset {pid} than when the job's files were looked for: retry the job"
    )
    return note_outcome(job_id, pid, [changed.failure()], tools)
