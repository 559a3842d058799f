"""Datasets whose flow was lost while no job asked for them any more: nobody else would clean them up."""

from __future__ import annotations

import structlog

from scicat_retriever.domain.errors import JobCancelled
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.pipeline.reports import report
from scicat_retriever.pipeline.tools.toolbox import Toolbox
from scicat_retriever.pipeline.transfer import publish

log = structlog.get_logger(__name__)


def clean_up(pid: DatasetPid, run: str, tools: Toolbox) -> None:
    """Tell SciCat that a dataset is not retrieved, and delete what its run brought.

    Args:
        pid: The dataset.
        run: The run whose flow was lost; what a later run brings stays.
        tools: The ports.
    """
    log.warning(
        "a dataset's flow was lost, and no job asks for the dataset any more: what it left is deleted",
        pid=pid,
    )
    lost = JobCancelled("nobody waits for the dataset any longer").failure()
    report.dataset_failed(pid, [lost], tools)
    publish.discard(pid, run, lost.code, tools, keep_verified=False)
