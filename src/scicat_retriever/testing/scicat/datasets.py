"""Routes of datasets: create, read, list, change, delete."""

import asyncio
import json
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from scicat_retriever.testing.scicat.access import Access
from scicat_retriever.testing.scicat.accounts import Account
from scicat_retriever.testing.scicat.answers import (
    Answer,
    JsonObject,
    application_refusal,
    bare_refusal,
    forbidden_resource,
    framework_refusal,
    unauthorized_access,
)
from scicat_retriever.testing.scicat.call import Call
from scicat_retriever.testing.scicat.datablocks import for_v4_include
from scicat_retriever.testing.scicat.dataset_shapes import (
    CREATE_FIELDS,
    complaints,
    new_dataset,
    new_lifecycle,
    show,
    v3_complaints,
)
from scicat_retriever.testing.scicat.filters import limits_of, matching, project
from scicat_retriever.testing.scicat.lifecycle import merge_lifecycle
from scicat_retriever.testing.scicat.routing import Route
from scicat_retriever.testing.scicat.store import Store

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
        if call.version == "v4" and (found := complaints(given)):
            raise framework_refusal(400, found)
        if call.version == "v3" and (lacking := v3_complaints(given)):
            raise application_refusal(400, json.dumps(lacking, separators=(",", ":")))
        if given.get("pid") in self._store.datasets:
            raise framework_refusal(409, f"A dataset with pid {given['pid']} already exists!")
        creator = call.account.username if call.account else ""
        dataset = new_dataset(self._store, given, call.version, creator)
        self._store.datasets[dataset["pid"]] = dataset
        return Answer(201, show(dataset, call.version, with_id=True))

    async def read(self, call: Call) -> Answer:
        """Give one dataset, with its datablocks if asked (``?include=datablocks`` or ``filter.include``)."""
        if call.account is None and call.version == "v4":
            raise forbidden_resource()
        pid = call.params["pid"]
        dataset = self._store.datasets.get(pid)
        if dataset is None:
            raise framework_refusal(404, f"dataset: {'null' if call.version == 'v4' else pid} not found")
        if not self._access.may_read_dataset(call.account, dataset):
            raise unauthorized_access()
        wanted = _relations(call.filter().get("include"))
        if call.version == "v4":
            wanted = [name for value in call.arguments("include") for name in value.split(",")] or wanted
        return Answer(200, self._with_relations(show(dataset, call.version, history=True), wanted, call))

    async def find(self, call: Call) -> Answer:
        """List datasets by a filter; an anonymous caller gets 403 from v4 and 200 ``[]`` from v3."""
        if call.account is None and call.version == "v4":
            raise forbidden_resource()
        given = call.filter()
        where = given.get("where")
        pid = where.get("pid") if isinstance(where, dict) else None
        # A plain pid is looked up, so that a list by pid stays cheap in a large catalogue.
        pool = (
            [self._store.datasets[pid]]
            if isinstance(pid, str) and pid in self._store.datasets
            else list(self._store.datasets.values())
        )
        visible = [one for one in matching(pool, where) if self._access.may_read_dataset(call.account, one)]
        limit, skip = limits_of(given, DEFAULT_LIMIT)
        wanted = _relations(given.get("include"))
        shown = (
            self._with_relations(show(one, call.version), wanted, call) for one in visible[skip:][:limit]
        )
        return Answer(200, [project(one, given.get("fields"), always=("_id",)) for one in shown])

    async def change(self, call: Call) -> Answer:
        """Change a dataset.

        ``application/json`` replaces the lifecycle by defaults and what is given; exactly
        ``application/merge-patch+json`` on v4 merges it. Either way ``packedSize`` becomes 0 unless it is sent.
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
        _check_unmodified(call.headers.get("if-unmodified-since"), dataset)
        changes = self._changes(call, dataset)
        await asyncio.sleep(self._gap)
        dataset.update({"packedSize": 0, **changes})
        dataset["updatedBy"] = call.account.username if call.account else ""
        dataset["updatedAt"] = self._store.clock.now()
        return Answer(200, show(dataset, call.version, with_id=True))

    async def delete(self, call: Call) -> Answer:
        """Delete a dataset with its blocks; gives it as it was, in its v4 shape even from v3."""
        if not self._access.may_delete(call.account):
            raise forbidden_resource()
        dataset = self._store.remove_dataset(call.params["pid"])
        if dataset is None:
            raise framework_refusal(404, f"dataset: {call.params['pid']} not found")
        return Answer(200, show(dataset, "v4", with_id=True))

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

    def _with_relations(self, shown: JsonObject, wanted: list[str], call: Call) -> JsonObject:
        more = dict(shown)
        for name, blocks in (
            ("datablocks", self._store.datablocks),
            ("origdatablocks", self._store.origdatablocks),
        ):
            if name in wanted:
                found = [for_v4_include(block) for block in blocks.of(shown["pid"])]
                more[name] = found if self._may_include(call, shown) else []
        return more

    def _may_include(self, call: Call, shown: JsonObject) -> bool:
        # v3 includes the datablocks for everybody who may read the dataset; v4 only for its owners and readers.
        who: Account | None = call.account
        return call.version == "v3" or self._access.may_see(who, shown)


def _relations(include: object) -> list[str]:
    if not isinstance(include, list):
        return []
    return [str(one.get("relation")) if isinstance(one, dict) else str(one) for one in include]


def _check_unmodified(header: str | None, dataset: JsonObject) -> None:
    """Refuse with 412 if the dataset was changed at or after the moment; ignore what is no date."""
    if header is None:
        return
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        try:
            moment = datetime.fromisoformat(header)
        except ValueError:
            return
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    if datetime.fromisoformat(dataset["updatedAt"]) >= moment:
        raise framework_refusal(412, "Resource has been modified on server")
