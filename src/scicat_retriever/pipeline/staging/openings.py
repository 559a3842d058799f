"""Openings: what jobs and datasets begin with. What they need is looked up in SciCat and their space claimed.

Their status says what they wait for.
"""

from __future__ import annotations

from dataclasses import dataclass

from scicat_retriever.domain.errors import CatalogueError, NoSpaceYet
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.pipeline.jobs import intake, plan
from scicat_retriever.pipeline.jobs.status import STARTED, note_status, saying_why
from scicat_retriever.pipeline.staging import space
from scicat_retriever.pipeline.tools.attempts import FORBIDDEN_ATTEMPTS, WAITS_FOR_STAGING
from scicat_retriever.pipeline.tools.toolbox import Toolbox

ODD_ATTEMPTS = 8
"""After how many attempts a job goes on without a dataset that SciCat has no usable answer for.

That is about two minutes.
"""


def open_job(job_id: JobId, attempt: int, tools: Toolbox) -> int:
    """Know the job's dataset list, and how large the datasets are.

    Args:
        job_id: The job.
        attempt: How often this was tried, the first being 1: the later, the more SciCat is believed.
        tools: The ports.

    Returns:
        The length of the list.

    Raises:
        CatalogueError: SciCat does not answer, or refuses.
    """
    with saying_why(job_id, tools):
        datasets = intake.open_job(job_id, tools)
        space.measure_job(
            job_id,
            tools,
            forbidden_is_final=attempt >= FORBIDDEN_ATTEMPTS,
            odd_fail_alone=attempt >= ODD_ATTEMPTS,
        )
        return datasets


def claim_job(job_id: JobId, tools: Toolbox) -> None:
    """Claim the space of all datasets of a job.

    Raises:
        RetrieverError: As `space.claim_job`.
    """
    with saying_why(job_id, tools):
        space.claim_job(job_id, tools)
    note_status(job_id, STARTED, tools)


@dataclass(frozen=True, slots=True)
class Opening:
    """What a dataset begins with.

    Attributes:
        datablocks: How many it has, extracts of archives among them.
        staged: Whether all that is wanted is staged already.
        claimed: Whether it has the space that it needs.
    """

    datablocks: int
    staged: bool
    claimed: bool


def open_dataset(pid: DatasetPid, run: str, tools: Toolbox) -> Opening:
    """Take down the datablocks of a dataset, and claim the space that they need where it is free.

    Args:
        pid: The dataset.
        run: Names this retrieval.
        tools: The ports.

    Raises:
        RetrieverError: As `plan.plan_dataset` and `space.claim_dataset`, but for a lack of space.
    """
    try:
        planned = plan.plan_dataset(pid, run, tools)
    except CatalogueError as error:
        tools.ledger.jobs.note_waiting(pid, f"waiting for SciCat: {error}" if error.retryable else "")
        raise
    count = planned.datablocks + planned.extracts
    wanted = (each for each in tools.ledger.datablocks.of(pid) if each.wanted)
    staged = all(each.state is DatablockState.STAGED for each in wanted)
    try:
        claim_dataset(pid, tools)
    except NoSpaceYet:
        return Opening(count, staged=staged, claimed=False)
    return Opening(count, staged=staged, claimed=True)


def claim_dataset(pid: DatasetPid, tools: Toolbox) -> None:
    """Claim what a planned dataset needs.

    Raises:
        RetrieverError: As `space.claim_dataset`.
    """
    try:
        space.claim_dataset(pid, tools)
    except WAITS_FOR_STAGING as error:
        tools.ledger.jobs.note_waiting(pid, str(error))
        raise
    tools.ledger.jobs.note_waiting(pid, "")
