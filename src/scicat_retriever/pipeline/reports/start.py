"""The start of a job, as SciCat hears of it before anything is recalled for it."""

from __future__ import annotations

from contextlib import suppress

import structlog

from scicat_retriever.domain.errors import CatalogueError, CatalogueJobUnclosable
from scicat_retriever.domain.ids import JobId
from scicat_retriever.pipeline.jobs import intake
from scicat_retriever.pipeline.jobs.status import saying_why
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.reports.teller import Teller
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.ports.reports import Subject

log = structlog.get_logger(__name__)


def start_job(job_id: JobId, teller: Teller, tools: Toolbox) -> None:
    """Tell SciCat that a job is in progress; returns when SciCat holds it.

    Nothing is recalled for a job that SciCat does not know. A job of which a dataset was deleted is started
    all the same, though SciCat cannot be told of it: the others are there to be retrieved, and SciCat can be
    told of them.

    Args:
        job_id: The job.
        teller: Tells SciCat.
        tools: The ports.

    Raises:
        RetrieverError: The job can never be carried out: SciCat is not told that it is in progress.
        CatalogueError: SciCat was not told, this time or for ever.
    """
    with saying_why(job_id, tools):
        # Where SciCat cannot be asked now, the next step asks it, with a patience of its own.
        with suppress(CatalogueError):
            intake.open_job(job_id, tools)
        report.job_started(job_id, tools)
        try:
            teller.tell_now(Subject.job(job_id))
        except CatalogueJobUnclosable:
            log.warning("SciCat cannot be told of a job; its other datasets are retrieved", job_id=job_id)
