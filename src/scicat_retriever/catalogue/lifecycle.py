"""Telling SciCat a dataset's state: one update is read before, written, and read back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from scicat_retriever.catalogue.answer import Answer
from scicat_retriever.catalogue.datasets import Datasets, dataset_path
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import encoded, pruned
from scicat_retriever.domain.errors import CatalogueUnavailable, CatalogueUpdateLost, DatasetUnknown
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.ports.catalogue import LifecycleUpdate

_RETURN_MESSAGE = "retrieveReturnMessage"


class Lifecycle:
    """The `datasetlifecycle` of datasets.

    Written to `PATCH /api/v4/datasets/{pid}/datasetlifecycle`, which merges. On a backend without that route the whole
    lifecycle is read, merged and sent to `PATCH /api/v4/datasets/{pid}` as `application/merge-patch+json`; with any
    other content type, even with a charset added, SciCat would put back to its default what is not sent.
    """

    def __init__(self, session: Session, datasets: Datasets) -> None:
        self._session = session
        self._datasets = datasets
        self._route_missing = False

    def update(self, pid: DatasetPid, update: LifecycleUpdate) -> None:
        """Tell SciCat a dataset's state; returns when it was read back.

        Raises:
            DatasetUnknown: SciCat has no such dataset.
            CatalogueUpdateLost: The update was accepted and is not there.
        """
        before = self._datasets.read_raw(pid)
        told = _told(update)
        failure: CatalogueUnavailable | None = None
        try:
            self._write(pid, told, _lifecycle_of(before))
        except CatalogueUnavailable as unavailable:
            # An occasional 500 comes after the write.
            failure = unavailable
        missing = self._missing(pid, told, before, failure)
        if missing:
            raise failure or CatalogueUpdateLost(
                f"The update of dataset {pid} was accepted and is not there: {', '.join(missing)}"
            )

    def _write(self, pid: DatasetPid, told: Mapping[str, Any], held: Mapping[str, Any]) -> None:
        body = dict(told)
        body[_RETURN_MESSAGE] = merge_patch(held.get(_RETURN_MESSAGE), told[_RETURN_MESSAGE])
        if body[_RETURN_MESSAGE] is None and held.get(_RETURN_MESSAGE) is None:
            del body[_RETURN_MESSAGE]
        answer: Answer | None = None
        if not self._route_missing:
            answer = self._session.ask("PATCH", f"{dataset_path(pid)}/datasetlifecycle", body=encoded(body))
            self._route_missing = answer.route_missing
        if answer is None or answer.route_missing:
            whole = {key: value for key, value in held.items() if key != "_id"} | body
            answer = self._session.ask(
                "PATCH",
                dataset_path(pid),
                body=encoded({"datasetlifecycle": whole}),
                content_type="application/merge-patch+json",
            )
        if answer.object_missing:
            raise DatasetUnknown(f"SciCat has no dataset {pid}")
        if not answer.ok:
            raise answer.error()

    def _missing(
        self,
        pid: DatasetPid,
        told: Mapping[str, Any],
        before: Mapping[str, Any],
        failure: CatalogueUnavailable | None,
    ) -> list[str]:
        """Name what was told and cannot be read back."""
        try:
            after = self._datasets.read_raw(pid)
        except CatalogueUnavailable:
            raise failure or CatalogueUnavailable(
                f"The update of dataset {pid} could not be read back"
            ) from None
        held = _lifecycle_of(after)
        missing = [key for key, value in told.items() if pruned(held.get(key)) != pruned(value)]
        if not isinstance(after.get("updatedAt"), str) or after["updatedAt"] == before.get("updatedAt"):
            missing.append("updatedAt")
        if self._session.account is not None and after.get("updatedBy") != self._session.account:
            missing.append("updatedBy")
        return missing


def merge_patch(held: object, wanted: object) -> object:
    """Give the JSON merge patch (RFC 7396) that turns `held` into `wanted`; null where nothing is wanted."""
    if wanted == {}:
        return None
    if not isinstance(wanted, Mapping) or not isinstance(held, Mapping):
        return wanted
    gone: dict[str, object] = {key: None for key in held if key not in wanted}
    return gone | {key: merge_patch(held.get(key), value) for key, value in wanted.items()}


def _told(update: LifecycleUpdate) -> dict[str, Any]:
    told: dict[str, Any] = {
        "retrieveStatusMessage": update.status.value,
        _RETURN_MESSAGE: update.return_message,
    }
    if update.retrievable is not None:
        told["retrievable"] = update.retrievable
    if update.integrity_check is not None:
        told["retrieveIntegrityCheck"] = update.integrity_check
    as_sent: dict[str, Any] = json.loads(encoded(told))
    return as_sent


def _lifecycle_of(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    lifecycle = dataset.get("datasetlifecycle")
    return lifecycle if isinstance(lifecycle, Mapping) else {}
