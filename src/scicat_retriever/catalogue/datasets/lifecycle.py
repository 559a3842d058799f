"""The update of a dataset's state in SciCat: the dataset is read, the update is written and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scicat_retriever.catalogue.answer import Answer
from scicat_retriever.catalogue.datasets.change import DatasetChange, merge_patch
from scicat_retriever.catalogue.datasets.datasets import Datasets, dataset_path
from scicat_retriever.catalogue.rights import WRITE_DATASETS, WRITE_LIFECYCLE
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import encoded, pruned
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueRefused,
    CatalogueUnavailable,
    CatalogueUpdateLost,
    DatasetUnknown,
)
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.ports.catalogue import LifecycleUpdate

_RETURN_MESSAGE = "retrieveReturnMessage"


class Lifecycle:
    """The `datasetlifecycle` of datasets.

    Updates go to `PATCH /api/v4/datasets/{pid}/datasetlifecycle`, which merges them and leaves all else
    alone. In a backend without that route the dataset is changed (see `DatasetChange`).
    """

    def __init__(self, session: Session, datasets: Datasets) -> None:
        self._session = session
        self._datasets = datasets
        self._route_missing = False
        self._change = DatasetChange(session)

    def update(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        """Tell SciCat a dataset's state; returns once it was read back.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
            CatalogueUpdateLost: The update was accepted and is not there; or somebody else changed the
                dataset meanwhile.
        """
        before = self._datasets.read_raw(pid)
        told = _told(update)
        failure: CatalogueError | None = None
        try:
            self._write(pid, told, before)
        except (CatalogueUnavailable, CatalogueRefused) as refused:
            # An occasional 500 comes after the write; and v4.19 to v4.23 answer 409 to what they hold
            # already.
            failure = refused
        missing = self._missing(pid, told, before, failure)
        if missing:
            raise failure or CatalogueUpdateLost(
                f"The update of dataset {pid} was accepted and is not there: {', '.join(missing)}"
            )

    def _write(self, pid: DatasetPid, told: Mapping[str, Any], before: Mapping[str, Any]) -> None:
        held = _lifecycle_of(before)
        body = dict(told)
        body[_RETURN_MESSAGE] = merge_patch(held.get(_RETURN_MESSAGE), told[_RETURN_MESSAGE])
        if body[_RETURN_MESSAGE] is None and held.get(_RETURN_MESSAGE) is None:
            del body[_RETURN_MESSAGE]
        answer: Answer | None = None
        if not self._route_missing:
            answer = self._session.ask("PATCH", f"{dataset_path(pid)}/datasetlifecycle", body=encoded(body))
            self._route_missing = answer.route_missing
        right = WRITE_LIFECYCLE
        if answer is None or answer.route_missing:
            answer = self._change.write(pid, {**held, **told}, before)
            right = WRITE_DATASETS
        if answer.object_missing:
            raise DatasetUnknown(f"SciCat has no dataset {pid}")
        if answer.status == 412:
            raise CatalogueUpdateLost(
                f"Dataset {pid} was changed by somebody else while it was to be told its state"
            )
        if not answer.ok:
            raise answer.error(right)

    def _missing(
        self,
        pid: DatasetPid,
        told: Mapping[str, Any],
        before: Mapping[str, Any],
        failure: CatalogueError | None,
    ) -> list[str]:
        """Name the keys that were told and cannot be read back."""
        try:
            after = self._datasets.read_raw(pid)
        except CatalogueUnavailable:
            raise failure or CatalogueUnavailable(
                f"The update of dataset {pid} could not be read back"
            ) from None
        held = _lifecycle_of(after)
        missing = [key for key, value in told.items() if pruned(held.get(key)) != pruned(value)]
        if isinstance(failure, CatalogueRefused):
            # Nothing was written, so nothing has moved: that SciCat holds it all is enough.
            return missing
        if not isinstance(after.get("updatedAt"), str) or after["updatedAt"] == before.get("updatedAt"):
            missing.append("updatedAt")
        if self._session.account is not None and after.get("updatedBy") != self._session.account:
            missing.append("updatedBy")
        return missing


def _told(update: LifecycleUpdate) -> dict[str, Any]:
    told: dict[str, Any] = {_RETURN_MESSAGE: update.return_message}
    if update.status is not None:
        told["retrieveStatusMessage"] = update.status.value
    if update.retrievable is not None:
        told["retrievable"] = update.retrievable
    if update.integrity_check is not None:
        told["retrieveIntegrityCheck"] = update.integrity_check
    as_sent: dict[str, Any] = json.loads(encoded(told))
    return as_sent


def _lifecycle_of(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    lifecycle = dataset.get("datasetlifecycle")
    return lifecycle if isinstance(lifecycle, Mapping) else {}
