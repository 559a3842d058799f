"""Remarks on datasets: what those who get them should know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from scicat_retriever.domain.ids import DatasetPid, JobId


class Remarks(Protocol):
    """The remarks on datasets. Promises and errors as of `ports.ledger.Ledger`."""

    def note(self, pid: DatasetPid, remark: str) -> None:
        """Note the remark on a dataset, in place of the former one; empty for none."""
        ...

    def of(self, job_id: JobId) -> Mapping[DatasetPid, str]:
        """The remarks on the datasets of a job, in its order; those without one are left out."""
        ...
