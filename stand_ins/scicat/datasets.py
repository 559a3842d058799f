"""Routes of datasets: create, read, list, change, delete."""

import asyncio
import json
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime

from stand_ins.scicat.access import Access
from stand_ins.scicat.answers import (
    Answer,
    JsonObject,
    application_refusal,
    bare_refusal,
    forbidden_resource,
    framework_refusal,
    unauthorized_access,
)
from stand_ins.scicat.call import Call
from stand_ins.scicat.dataset_shapes import (
    CREATE_FIELDS,
    complaints,
    new_dataset,
    new_lifecycle,
    show,
    v3_complaints,
    with_buffers,
)
from stand_ins.scicat.filters import limits_of, matching, project
from stand_ins.scicat.lifecycle import merge_lifecycle
from stand_ins.scicat.relations import Relations, wanted_by_filter, wanted_by_query
from stand_ins.scicat.routing import Route
from stand_ins.scicat.store import Store

DEFAULT_LIMIT = 100


class DatasetRoutes:
    """Routes below ``/api/v3/datasets`` and ``/api/v4/datasets``.

    Args:
        store: the records.
        access: the rights.
        write_gap_seconds: pause between reading and writing a dataset, in which another write gets lost.
    """

    def __init__(self, store: Store, access: Access, write_gap_seconds: float) -> None:
        self._store = store
        self._access = access
        self._release = access.release
        self._relations = Relations(store, access)
        self._gap = write_gap_seconds

    def routes(self) -> list[Route]:
        """Give the routes."""
        return [
            Route("POST", "{version}/datasets", self.create),
            Route("GET", "{version}/datasets", self.find),
            Route("GET", "{version}/datasets/{pid}", self.read),
            Route("PATCH", "{version}/datasets/{pid}", self.change),
            Route("DELETE", "{version}/datasets/{pid}", self.delete),
        ]

    async def create(self, call: Call) -> Answer:
        """Register a dataset: 201, or 409 for a pid that exists (``POST /datasets``)."""
        self._access.require_dataset_creator(call.account)
        given = call.payload
        given_group = self._release.checks_owner_group_is_given
        if call.version == "v4" and (found := complaints(given, group_given=given_group)):
            raise framework_refusal(400, found)
        if call.version == "v3" and (lacking := v3_complaints(given, group_given=given_group)):
            raise application_refusal(400, json.dumps(lacking, separators=(",", ":")))
        if given.get("pid") in self._store.datasets:
            raise framework_refusal(409, f"A dataset with pid {given['pid']} already exists!")
        creator = call.account.username if call.account else ""
        dataset = new_dataset(self._store, given, call.version, creator)
        self._store.datasets[dataset["pid"]] = dataset
        return Answer(201, self._written(dataset, call.version))

    async def read(self, call: Call) -> Answer:
        """Give one dataset, with its datablocks if asked (``?include=datablocks`` or ``filter.include``)."""
        self._let_in(call)
        pid = call.params["pid"]
        dataset = self._store.datasets.get(pid)
        if dataset is None:
            raise framework_refusal(404, f"dataset: {'null' if call.version == 'v4' else pid} not found")
        if not self._access.may_read_dataset(call.account, dataset):
            raise unauthorized_access()
        wanted = wanted_by_query(call) if call.version == "v4" else []
        shown = show(dataset, call.version, history=True)
        whole = self._relations.added(shown, wanted or wanted_by_filter(call.filter()), call)
        return Answer(200, self._as_sent(whole, call.version))

    async def find(self, call: Call) -> Answer:
        """List datasets by a filter; a visitor finds what is published in v3, and is refused by v4."""
        self._let_in(call)
        if call.account is None and call.version == "v4":
            raise unauthorized_access()
        given = call.filter()
        where = given.get("where")
        pid = where.get("pid") if isinstance(where, dict) else None
        # A plain pid is looked up, so that a list by pid stays cheap in a large catalogue.
        pool = (
            [self._store.datasets[pid]]
            if isinstance(pid, str) and pid in self._store.datasets
            else list(self._store.datasets.values())
        )
        visible = [one for one in matching(pool, where) if self._access.may_find_dataset(call.account, one)]
        limit, skip = limits_of(given, DEFAULT_LIMIT)
        wanted = wanted_by_filter(given)
        shown = (
            self._relations.added(show(one, call.version), wanted, call) for one in visible[skip:][:limit]
        )
        always = ("_id", *(one.name for one in wanted))
        listed = [project(one, given.get("fields"), always=always) for one in shown]
        return Answer(200, [self._as_sent(one, call.version) for one in listed])

    async def change(self, call: Call) -> Answer:
        """Change a dataset.

        ``application/json`` replaces the lifecycle by defaults and what is given; exactly
        ``application/merge-patch+json`` on v4 merges it. Either way some sums become 0 unless they are sent.
        """
        self._access.require_dataset_creator(call.account)
        dataset = self._store.datasets.get(call.params["pid"])
        if dataset is None:
            raise framework_refusal(404, "Dataset not found") if call.version == "v4" else bare_refusal(404)
        if not self._access.owns(call.account, dataset):
            v3_text = "Unauthorized to update this dataset"
            raise unauthorized_access() if call.version == "v4" else framework_refusal(403, v3_text)
        unknown = [key for key in call.payload if key not in CREATE_FIELDS - {"pid", "type"}]
        if unknown and call.version == "v4":
            raise framework_refusal(400, [f"property {key} should not exist" for key in unknown])
        self._check_unmodified(call.headers.get("if-unmodified-since"), dataset)
        changes = self._changes(call, dataset)
        await asyncio.sleep(self._gap)
        reset = self._release.reset_sizes if call.version == "v4" else self._release.reset_sizes_v3
        dataset.update({**dict.fromkeys(reset, 0), **changes})
        dataset["updatedBy"] = call.account.username if call.account else ""
        dataset["updatedAt"] = self._store.clock.now()
        return Answer(200, self._written(dataset, call.version))

    async def delete(self, call: Call) -> Answer:
        """Delete a dataset, and leave its datablocks; gives it as it was, in its v4 shape even from v3."""
        if not self._access.may_delete(call.account):
            raise forbidden_resource()
        dataset = self._store.remove_dataset(call.params["pid"], with_datablocks=False)
        if dataset is None:
            raise framework_refusal(404, f"dataset: {call.params['pid']} not found")
        return Answer(200, show(dataset, "v4", with_id=self._release.written_has_id))

    def _changes(self, call: Call, dataset: JsonObject) -> JsonObject:
        changes = {
            key: value for key, value in call.payload.items() if key in CREATE_FIELDS - {"pid", "type"}
        }
        lifecycle = changes.pop("datasetlifecycle", None)
        if lifecycle is None:
            return changes
        if call.merges:
            changes["datasetlifecycle"] = merge_lifecycle(self._store, dataset["datasetlifecycle"], lifecycle)
        else:
            changes["datasetlifecycle"] = new_lifecycle(self._store, lifecycle)
        return changes

    def _let_in(self, call: Call) -> None:
        """Refuse a visitor whom the release lets ask v4 for nothing."""
        if call.account is None and call.version == "v4" and not self._release.anonymous_reads:
            raise forbidden_resource()

    def _written(self, dataset: JsonObject, version: str) -> JsonObject:
        """Give a dataset as the answer to a write shows it."""
        shown = show(dataset, version, with_id=self._release.written_has_id)
        return self._as_sent(shown, version)

    def _as_sent(self, shown: JsonObject, version: str) -> JsonObject:
        if version == "v4" and self._release.sub_ids_are_buffers:
            return with_buffers(shown)
        return shown

    def _check_unmodified(self, header: str | None, dataset: JsonObject) -> None:
        """Refuse with 412 if the dataset was changed since a moment; ignore what is no date."""
        moment = _moment(header)
        if moment is None:
            return
        updated = datetime.fromisoformat(dataset["updatedAt"])
        if not self._release.precondition_names_dataset:
            if updated >= moment:
                raise framework_refusal(412, "Resource has been modified on server")
        elif updated > moment:
            since = format_datetime(moment.astimezone(UTC), usegmt=True)
            text = f"Dataset #{dataset['pid']} has been modified on the server since {since}."
            raise framework_refusal(412, text)


def _moment(header: str | None) -> datetime | None:
    """Read an HTTP date or an ISO one."""
    try:
        moment = parsedate_to_datetime(header or "")
    except ValueError:
        try:
            moment = datetime.fromisoformat(header or "")
        except ValueError:
            return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
