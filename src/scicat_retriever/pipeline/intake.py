"""Intake: a job is stored before anything else happens to it."""

from __future__ import annotations

import uuid

from scicat_retriever.domain.dataset import RetrieveJob
from scicat_retriever.domain.errors import DatasetListEmpty
from scicat_retriever.domain.ids import DatasetPid, JobId
from scicat_retriever.pipeline.toolbox import Toolbox
from scicat_retriever.ports.ledger import FlowName, JobRecord, Ledger

_FLOWS = uuid.UUID("5a1c7e9c-33f5-4c35-9d4f-2f8f8d9f2f60")
"""Namespace of the flows' UUIDs (RFC 9562, version 5)."""


def job_flow(job_id: JobId) -> FlowName:
    """Name the flow of a job: the same for every repetition of its intake."""
    return FlowName(uuid=str(uuid.uuid5(_FLOWS, job_id)), name=f"retrieve-job-{job_id}")


def dataset_flow(pid: DatasetPid) -> str:
    """Name the flow that retrieves a dataset, for whichever jobs ask for it."""
    return f"retrieve-dataset-{pid}"


def accept(job: RetrieveJob, ledger: Ledger) -> JobRecord:
    """Store a job. Accepting it again changes nothing and gives the same record."""
    return ledger.add_job(job, job_flow(job.id))


def open_job(job_id: JobId, tools: Toolbox) -> int:
    """See to it that the job's dataset list is known, reading it from the catalogue for a short-form job.

    Returns:
        How many datasets there are.

    Raises:
        DatasetListEmpty: The catalogue's job names none.
    """
    datasets = tools.ledger.job_datasets(job_id)
    if not datasets:
        job = tools.catalogue.job(job_id)
        if not job.datasets:
            raise DatasetListEmpty(f"job {job_id} names no dataset", "$.jobParams.datasetList")
        tools.ledger.set_datasets(job_id, job.datasets)
        datasets = tools.ledger.job_datasets(job_id)
    return len(datasets)
