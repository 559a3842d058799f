"""What SciCat calls datasets, as it was when they were planned last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from scicat_retriever.domain.ids import DatasetPid, JobId


@dataclass(frozen=True, slots=True)
class Title:
    """What SciCat calls a dataset: its `datasetName`, and its `sourceFolder` where it shows one."""

    name: str
    source_folder: str | None = None


class Titles(Protocol):
    """The titles of datasets. Promises and errors as of `ports.ledger.Ledger`."""

    def note(self, pid: DatasetPid, title: Title) -> None:
        """Note a dataset's title, in place of the former one."""
        ...

    def of(self, job_id: JobId) -> Mapping[DatasetPid, Title]:
        """The titles of a job's datasets, in its order; those that were never planned are left out."""
        ...
