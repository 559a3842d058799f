"""Intake: a job is stored before anything else happens to it."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace

import structlog

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueForbidden,
    JobMalformed,
    JobNotEnded,
    JobNotFound,
    JobRefused,
    error_of,
)
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.job_flows import JobFlow, JobFlows
from scicat_retriever.ports.jobs import FlowName, JobRecord, Jobs

log = structlog.get_logger(__name__)
_FLOWS = uuid.UUID("5a1c7e9c-33f5-4c35-9d4f-2f8f8d9f2f60")
"""Namespace of the flows' UUIDs (RFC 9562, version 5)."""


def job_flow(job_id: JobId, attempt: int = 1) -> FlowName:
    """Name the flow of a job: the same for every repetition of its intake, another for each retry."""
    first = uuid.uuid5(_FLOWS, job_id)
    if attempt == 1:
        return FlowName(str(first), f"retrieve-job-{job_id}")
    return FlowName(str(uuid.uuid5(first, str(attempt))), f"retry-{attempt}-of-job-{job_id}")


def dataset_flow(pid: DatasetPid) -> str:
    """Name the flow that retrieves a dataset, for whichever jobs ask for it."""
    return f"retrieve-dataset-{pid}"


def accept(job: RetrieveJob, jobs: Jobs) -> JobRecord:
    """Store a job. Accepting it again changes nothing and gives the same record, but see `accept_all`."""
    return accept_all([job], jobs)[0]


def accept_all(given: Sequence[RetrieveJob], jobs: Jobs) -> Sequence[JobRecord]:
    """Store several jobs, all or none, with one flush to disk; gives their records in the same order.

    A job may come twice: first garbled, so that it was refused as malformed, and then with its datasets. Then
    it is retried, once, and read from SciCat, which has the last word.
    """
    records = jobs.add_all([(job, job_flow(job.id)) for job in given])
    return [_judged_anew(job, record, jobs) for job, record in zip(given, records, strict=True)]


def _judged_anew(job: RetrieveJob, record: JobRecord, jobs: Jobs) -> JobRecord:
    """Have SciCat's own job judged in place of a garbled copy that was refused."""
    if not job.datasets or record.attempt > 1 or not isinstance(refusal_of(record), JobMalformed):
        return record
    log.info("a copy of a job was refused, and another one is better: SciCat's own is read", job_id=job.id)
    try:
        return retry(job.id, jobs)
    except JobNotEnded:  # one more copy came at the same time
        return _known(job.id, jobs)


def refuse(refused: JobRefused, jobs: Jobs) -> JobRecord | None:
    """Note that a job is refused for good, and have SciCat told so at once. A known job stays as it is.

    Returns:
        The job's record; None where nobody knows which job it is, so that nobody can be told.

    Raises:
        LedgerUnavailable: It cannot be noted now. The job stays open in SciCat, where it is found and judged
            again.
    """
    job = refused.job
    return None if job is None else jobs.refuse(job, job_flow(job.id), refused.failure())


def refusal_of(record: JobRecord) -> JobRefused | None:
    """Give the error that a job was refused with; None of a job that was not."""
    if record.failure is None or not record.state.finished:
        return None
    return error_of(record.failure, JobRefused)


def retry(job_id: JobId, jobs: Jobs, pids: Collection[DatasetPid] | None = None) -> JobRecord:
    """Have an ended job carried out again: its datasets that are not there.

    With `pids`, only those of them in `pids`.

    Raises:
        JobNotFound: There is no such job.
        JobNotEnded: It is still being carried out.
        DatasetNotOfJob: It has no such dataset.
        NothingToRetry: All that is asked about is there.
    """
    jobs.retry(job_id, _next_flow(job_id, jobs), pids)
    return _known(job_id, jobs)


def restart(lost: JobFlow, job_flows: JobFlows) -> bool:
    """Have a job carried out by a new flow, since the engine lost the former one.

    False, and nothing changes, where the job has ended or has a newer flow.
    """
    flow = job_flow(lost.job_id, lost.attempt + 1)
    return job_flows.restart(lost.job_id, flow, lost.attempt)


def _next_flow(job_id: JobId, jobs: Jobs) -> FlowName:
    return job_flow(job_id, _known(job_id, jobs).attempt + 1)


def _known(job_id: JobId, jobs: Jobs) -> JobRecord:
    record = jobs.get(job_id)
    if record is None:
        raise JobNotFound(f"The service has no job {job_id}.")
    return record


def open_job(job_id: JobId, tools: Toolbox) -> int:
    """See to it that the job's dataset list is known, reading it from the catalogue for a short-form job.

    Returns:
        How many datasets there are.

    Raises:
        JobRefused: As the catalogue has it, it can never be carried out.
    """
    datasets = tools.ledger.jobs.datasets(job_id)
    _learn_group(job_id, tools)
    if not datasets:
        tools.ledger.jobs.complete(job_id, tools.catalogue.job(job_id))
        datasets = tools.ledger.jobs.datasets(job_id)
    return len(datasets)


def _learn_group(job_id: JobId, tools: Toolbox) -> None:
    """Note the owner group of a job that came without it, where there are quotas."""
    record = _known(job_id, tools.ledger.jobs)
    if not tools.cache.has_quotas or record.job.owner_group is not None or not record.job.datasets:
        return
    try:
        group = tools.catalogue.job(job_id).owner_group
    except CatalogueError as error:
        if error.retryable and not isinstance(error, CatalogueForbidden):
            raise
        return
    except JobRefused:
        return  # it was taken as it came, and SciCat has it otherwise: its list is known
    tools.ledger.jobs.complete(job_id, replace(record.job, owner_group=group))
