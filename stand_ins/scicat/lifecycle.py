"""The lifecycle sub-resource ``/datasets/{pid}/datasetlifecycle``, with its lost updates.

It reads the whole lifecycle, pauses, and writes the whole lifecycle: of two concurrent changes one is lost,
as in SciCat, and now and then such a write is answered with 500 although it was stored.
"""

import asyncio
import copy
from collections.abc import Callable

from stand_ins.scicat.access import Access
from stand_ins.scicat.answers import (
    Answer,
    JsonObject,
    crash,
    forbidden_resource,
    framework_refusal,
    no_such_route,
    unauthorized_access,
)
from stand_ins.scicat.call import Call
from stand_ins.scicat.dataset_shapes import default_lifecycle, is_iso_date
from stand_ins.scicat.routing import Route
from stand_ins.scicat.store import Store

_Check = tuple[Callable[[object], bool], str]
_BOOLEAN: _Check = (lambda value: isinstance(value, bool), "must be a boolean value")
_STRING: _Check = (lambda value: isinstance(value, str), "must be a string")
_DATE: _Check = (is_iso_date, "must be a valid ISO 8601 date string")
_ANY: _Check = (lambda _: True, "")
_FIELDS: dict[str, _Check] = {
    **dict.fromkeys(
        ("archivable", "retrievable", "publishable", "isOnCentralDisk", "retrieveIntegrityCheck"), _BOOLEAN
    ),
    **dict.fromkeys(
        ("archiveStatusMessage", "retrieveStatusMessage", "exportedTo", "storageLocation"), _STRING
    ),
    **dict.fromkeys(("dateOfDiskPurging", "archiveRetentionTime", "dateOfPublishing", "publishedOn"), _DATE),
    **dict.fromkeys(("archiveReturnMessage", "retrieveReturnMessage"), _ANY),
}


class LifecycleRoutes:
    """Routes of the lifecycle sub-resource.

    Args:
        store: the records.
        access: the rights, and the release.
        write_gap_seconds: pause between reading and writing.
        conflict_500_every: every how many-th write that met a concurrent write is answered with 500 after it
            was stored; 0 means never.

    Attributes:
        offered: False makes the sub-resource unknown (404), as on an older backend.
    """

    def __init__(
        self, store: Store, access: Access, write_gap_seconds: float, conflict_500_every: int
    ) -> None:
        self.offered = True
        self._store = store
        self._access = access
        self._gap = write_gap_seconds
        self._conflict_500_every = conflict_500_every
        self._conflicts = 0

    def routes(self) -> list[Route]:
        """Give the routes."""
        path = "{version}/datasets/{pid}/datasetlifecycle"
        return [Route("GET", path, self.read), Route("PATCH", path, self.change)]

    async def read(self, call: Call) -> Answer:
        """Give the lifecycle of a dataset."""
        dataset = self._dataset(call)
        if not self._access.may_read_dataset(call.account, dataset):
            raise unauthorized_access()
        return Answer(200, dataset["datasetlifecycle"])

    async def change(self, call: Call) -> Answer:
        """Merge a body into the lifecycle and give all of it; sets ``updatedBy`` and ``updatedAt``."""
        if call.account is None:
            raise forbidden_resource()
        dataset = self._dataset(call)
        self._access.require_lifecycle_writer(call.account, dataset)
        if call.body and not call.is_readable:
            raise crash()
        check_lifecycle(call.payload)
        before = dataset["datasetlifecycle"]
        merge = merge_lifecycle if call.version == "v4" else _merge_flat
        after = merge(self._store, before, call.payload)
        if self._access.release.identical_lifecycle_is_conflict and _told_nothing_new(before, after):
            text = f"dataset with pid {call.params['pid']} already has the same lifecycle"
            raise framework_refusal(409, text)
        await asyncio.sleep(self._gap)
        overtaken = dataset["datasetlifecycle"] is not before
        dataset["datasetlifecycle"] = after
        dataset["updatedBy"] = call.account.username
        dataset["updatedAt"] = self._store.clock.now()
        if overtaken:
            self._conflicts += 1
            if self._conflict_500_every and self._conflicts % self._conflict_500_every == 0:
                raise crash()
        return Answer(200, after)

    def _dataset(self, call: Call) -> JsonObject:
        if not self.offered:
            raise no_such_route(call.method, call.target)
        dataset = self._store.datasets.get(call.params["pid"])
        if dataset is None:
            raise framework_refusal(404, f"dataset with pid {call.params['pid']} not found")
        return dataset


def _told_nothing_new(before: JsonObject, after: JsonObject) -> bool:
    return {**before, "_id": None} == {**after, "_id": None}


def check_lifecycle(body: JsonObject) -> None:
    """Refuse with 400 what SciCat's ``PartialUpdateDatasetLifecycleDto`` refuses; null is always allowed."""
    if not body:
        raise framework_refusal(400, "dataset lifecycle DTO must not be empty")
    found = [f"property {key} should not exist" for key in body if key not in _FIELDS]
    for key, value in body.items():
        good, text = _FIELDS.get(key, _ANY)
        if value is not None and not good(value):
            found.append(f"{key} {text}")
    if found:
        raise framework_refusal(400, found)


def merge_lifecycle(store: Store, old: JsonObject, body: JsonObject) -> JsonObject:
    """Merge as v4 does: deep (RFC 7396), where null restores a key's default or removes it."""
    merged = copy.deepcopy(old)
    defaults = default_lifecycle(store)
    for key, value in body.items():
        if value is None and key in defaults:
            merged[key] = defaults[key]
        else:
            _merge_key(merged, key, value)
            if merged.get(key) == {}:
                del merged[key]
    return merged


def merge_patch(target: object, patch: object) -> object:
    """Apply a JSON merge patch (RFC 7396) and give the result."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        _merge_key(merged, key, value)
    return merged


def _merge_key(merged: JsonObject, key: str, value: object) -> None:
    if value is None:
        merged.pop(key, None)
    else:
        merged[key] = merge_patch(merged.get(key), value)


def _merge_flat(store: Store, old: JsonObject, body: JsonObject) -> JsonObject:
    """Merge as v3 does: key by key, null stays null, an empty object vanishes, the lifecycle gets a new id."""
    merged = {**copy.deepcopy(old), **body, "_id": store.ids.next()}
    return {key: value for key, value in merged.items() if value != {}}
