"""A dataset's lifecycle, written by a change of the dataset: for backends without a route for it alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from scicat_retriever.catalogue.answer import Answer, segment
from scicat_retriever.catalogue.datasets.datasets import dataset_path
from scicat_retriever.catalogue.session import Session
from scicat_retriever.catalogue.wire import amount, encoded
from scicat_retriever.domain.ids import DatasetPid

SUMS = ("size", "packedSize", "numberOfFiles", "numberOfFilesArchived")
"""Sums that a change of a dataset may put back to 0 where they are not sent along.

v4 up to v5.2.1 does so with all of them; v3 leaves them alone.
"""


class DatasetChange:
    """Changes a dataset so that only its lifecycle differs afterwards.

    `PATCH /api/v3/datasets/{pid}` replaces the whole lifecycle, so the lifecycle is sent whole, as it was
    read, with the update in it. The sums are sent along as they were read, and SciCat is asked to refuse
    (412) if the dataset was changed since: what an ingestor adds at the same moment must not be undone.

    `PATCH /api/v4/datasets/{pid}` is used only for a backend without v3, as `application/merge-patch+json`:
    with any other content type, even with a charset added, SciCat puts back to its default what is not sent.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._v3_missing = False

    def write(self, pid: DatasetPid, lifecycle: Mapping[str, Any], before: Mapping[str, Any]) -> Answer:
        """Write a whole lifecycle; gives SciCat's answer.

        Args:
            pid: The dataset.
            lifecycle: The whole lifecycle, as it shall be.
            before: The dataset as it was read.
        """
        whole = {key: value for key, value in lifecycle.items() if key != "_id"}
        sums = {key: before[key] for key in SUMS if amount(before.get(key)) is not None}
        body = {**sums, "datasetlifecycle": whole}
        unless = _just_after(before.get("updatedAt"))
        if not self._v3_missing:
            path = f"/api/v3/datasets/{segment(pid)}"
            answer = self._session.ask("PATCH", path, body=encoded(body), unmodified_since=unless)
            if not answer.route_missing:
                return answer
            self._v3_missing = True
        body["datasetlifecycle"] = _without_what_is_gone(whole, before)
        return self._session.ask(
            "PATCH",
            dataset_path(pid),
            body=encoded(body),
            content_type="application/merge-patch+json",
            unmodified_since=unless,
        )


def _without_what_is_gone(whole: Mapping[str, Any], before: Mapping[str, Any]) -> dict[str, Any]:
    held = before.get("datasetlifecycle")
    message = held.get("retrieveReturnMessage") if isinstance(held, Mapping) else None
    wanted = whole.get("retrieveReturnMessage")
    return {**whole, "retrieveReturnMessage": merge_patch(message, wanted)}


def merge_patch(held: object, wanted: object) -> object:
    """Give the JSON merge patch (RFC 7396) that turns `held` into `wanted`; null where nothing is wanted."""
    if wanted == {}:
        return None
    if not isinstance(wanted, Mapping) or not isinstance(held, Mapping):
        return wanted
    gone: dict[str, object] = {key: None for key in held if key not in wanted}
    return gone | {key: merge_patch(held.get(key), value) for key, value in wanted.items()}


def _just_after(moment: object) -> str | None:
    """Give the time of the dataset's last change, one millisecond later.

    Some releases would refuse the update for the last change itself, if its very millisecond were given.
    """
    try:
        changed = datetime.fromisoformat(moment) if isinstance(moment, str) else None
    except ValueError:
        return None
    if changed is None:
        return None
    return (changed + timedelta(milliseconds=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
