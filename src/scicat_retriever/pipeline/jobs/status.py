"""The job's status: what it is doing, or waits for, in words that SciCat's pages show."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from scicat_retriever.domain.errors import CatalogueError
from scicat_retriever.domain.ids import JobId
from scicat_retriever.pipeline.tools.attempts import WAITS_FOR_STAGING
from scicat_retriever.pipeline.tools.toolbox import Toolbox

STARTED = "The datasets are being retrieved."


def note_status(job_id: JobId, message: str, tools: Toolbox) -> None:
    """Have the job's status say something, where that is news: each note is a write to disk.

    A job that has ended keeps what it ended with.
    """
    record = tools.ledger.jobs.get(job_id)
    if record is not None and not record.state.finished and record.message != message:
        tools.ledger.jobs.move(job_id, record.state, message)


@contextmanager
def saying_why(job_id: JobId, tools: Toolbox) -> Iterator[None]:
    """Have the job's status say that it waits for SciCat or for staging, where the body raises so."""
    try:
        yield
    except WAITS_FOR_STAGING as error:
        note_status(job_id, str(error), tools)
        raise
    except CatalogueError as error:
        if error.retryable:
            note_status(job_id, f"waiting for SciCat: {error}", tools)
        raise
