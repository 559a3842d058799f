"""Datasets, read from SciCat."""

from __future__ import annotations

from typing import Any

from scicat_retriever.catalogue.answer import segment
from scicat_retriever.catalogue.rights import READ_DATASETS
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import dataset_from
from scicat_retriever.domain.dataset import Dataset
from scicat_retriever.domain.errors import DatasetUnknown
from scicat_retriever.domain.ids import DatasetPid


def dataset_path(pid: DatasetPid) -> str:
    """Give the v4 path of a dataset."""
    return f"/api/v4/datasets/{segment(pid)}"


class Datasets:
    """The datasets in SciCat."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def read(self, pid: DatasetPid) -> Dataset:
        """Read what the catalogue declares of a dataset.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
            CatalogueEntryInvalid: SciCat's entry of it cannot be worked with.
        """
        entry = self.read_raw(pid)
        if entry.get("pid") != pid:
            # Something on the way may have mixed up two answers; what comes twice is SciCat's own.
            entry = self.read_raw(pid)
        return dataset_from(entry, pid)

    def read_raw(self, pid: DatasetPid) -> dict[str, Any]:
        """Read a dataset as SciCat's v4 has it; errors as in `read`."""
        answer = self._session.ask("GET", dataset_path(pid))
        if answer.object_missing:
            raise DatasetUnknown(f"SciCat has no dataset {pid}")
        if not answer.ok:
            raise answer.error(READ_DATASETS)
        return answer.json_object()
