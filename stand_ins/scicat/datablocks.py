"""Routes of datablocks and original datablocks (v3 only), with the silent cut at 100."""

import uuid

from stand_ins.scicat.access import Access
from stand_ins.scicat.answers import (
    Answer,
    JsonObject,
    bare_refusal,
    crash,
    forbidden_resource,
    framework_refusal,
    unauthorized_access,
)
from stand_ins.scicat.call import Call
from stand_ins.scicat.dataset_shapes import is_iso_date
from stand_ins.scicat.filters import limits_of, matching, project
from stand_ins.scicat.routing import Route
from stand_ins.scicat.store import Blocks, Store

DEFAULT_LIMIT = 100


class DatablockRoutes:
    """Routes of datablocks below a dataset and of their own collection.

    Args:
        store: the records.
        access: the rights.
    """

    def __init__(self, store: Store, access: Access) -> None:
        self._store = store
        self._access = access

    def routes(self) -> list[Route]:
        """Give the routes; there are none in v4."""
        return [
            Route("POST", "v3/datasets/{pid}/datablocks", self.create_in_dataset),
            Route("GET", "v3/datasets/{pid}/datablocks", self.list_of_dataset),
            Route("GET", "v3/datasets/{pid}/datablocks/count", self.count_of_dataset),
            Route("DELETE", "v3/datasets/{pid}/datablocks/{id}", self.delete_in_dataset),
            Route("POST", "v3/datasets/{pid}/origdatablocks", self.create_original),
            Route("GET", "v3/datasets/{pid}/origdatablocks", self.list_originals),
            Route("POST", "v3/datablocks", self.create),
            Route("GET", "v3/datablocks", self.find),
            Route("GET", "v3/datablocks/count", self.count),
            Route("GET", "v3/datablocks/{id}", self.read),
        ]

    async def create_in_dataset(self, call: Call) -> Answer:
        """Register a datablock below its dataset; an archiveId that exists is a crash, not a conflict."""
        self._access.require_dataset_creator(call.account)
        _check(call.payload, original=False)
        dataset = self._dataset(call.params["pid"], "a datablock")
        if call.payload["archiveId"] in self._store.datablocks.archive_ids:
            raise crash()
        return Answer(201, self.add(dataset, call.payload, _name(call)))

    async def create(self, call: Call) -> Answer:
        """Register a datablock; an archiveId that exists is a conflict (409)."""
        self._access.require_dataset_creator(call.account)
        _check(call.payload, original=False)
        dataset = self._dataset(str(call.payload.get("datasetId")), "a datablock")
        if call.payload["archiveId"] in self._store.datablocks.archive_ids:
            raise framework_refusal(409, "A datablock with this this unique key already exists!")
        return Answer(201, self.add(dataset, call.payload, _name(call)))

    async def create_original(self, call: Call) -> Answer:
        """Register the files of a dataset as they were before archiving."""
        self._access.require_dataset_creator(call.account)
        _check(call.payload, original=True)
        dataset = self._dataset(call.params["pid"], "an origdatablock")
        return Answer(201, self.add_original(dataset, call.payload, _name(call)))

    async def list_of_dataset(self, call: Call) -> Answer:
        """Give the first 100 datablocks of a dataset, whatever the filter says."""
        return self._first_of_dataset(call, self._store.datablocks)

    async def list_originals(self, call: Call) -> Answer:
        """Give the first 100 original datablocks of a dataset."""
        return self._first_of_dataset(call, self._store.origdatablocks)

    async def count_of_dataset(self, call: Call) -> Answer:
        """Count the datablocks of a dataset."""
        return Answer(200, {"count": len(self._of_dataset(call, self._store.datablocks))})

    async def delete_in_dataset(self, call: Call) -> Answer:
        """Delete a datablock and take it off the sums of its dataset."""
        if not self._access.may_delete(call.account):
            raise forbidden_resource()
        dataset = self._dataset(call.params["pid"], "a datablock")
        block = self._store.datablocks.by_id.get(call.params["id"])
        if block is None:
            raise bare_refusal(404)
        self._store.datablocks.remove(block)
        dataset["packedSize"] -= block["packedSize"]
        dataset["numberOfFilesArchived"] -= len(block["dataFileList"])
        dataset["updatedAt"] = self._store.clock.now()
        return Answer(200)

    async def find(self, call: Call) -> Answer:
        """Give datablocks by a filter, 100 unless ``limits.limit`` says otherwise; ``[]`` without the right."""
        self._let_in(call)
        given = call.filter()
        found = self._visible(call, given)
        limit, skip = limits_of(given, DEFAULT_LIMIT)
        wanted = found[skip:] if limit is None else found[skip : skip + limit]
        return Answer(200, [project(block, given.get("fields"), always=("_id",)) for block in wanted])

    async def count(self, call: Call) -> Answer:
        """Count the datablocks that a filter finds."""
        self._let_in(call)
        return Answer(200, {"count": len(self._visible(call, call.filter()))})

    async def read(self, call: Call) -> Answer:
        """Give one datablock; older releases give the first of the catalogue whatever the id says."""
        release = self._access.release
        if not self._access.may_delete(call.account):
            raise bare_refusal(403 if release.anonymous_reads else 401)
        blocks = self._store.datablocks.by_id
        found = (
            blocks.get(call.params["id"]) if release.datablock_by_id else next(iter(blocks.values()), None)
        )
        if found is None:
            raise bare_refusal(404)
        return Answer(200, found)

    def add(self, dataset: JsonObject, given: JsonObject, creator: str) -> JsonObject:
        """Store a datablock and count it in its dataset."""
        block = self._new_block(dataset, given, creator)
        self._store.datablocks.add(block)
        dataset["packedSize"] += block["packedSize"]
        dataset["numberOfFilesArchived"] += len(block["dataFileList"])
        dataset["updatedAt"] = self._store.clock.now()
        return block

    def add_original(self, dataset: JsonObject, given: JsonObject, creator: str) -> JsonObject:
        """Store an original datablock and count it in its dataset."""
        block = self._new_block(dataset, given, creator)
        self._store.origdatablocks.add(block)
        dataset["size"] += block["size"]
        dataset["numberOfFiles"] += len(block["dataFileList"])
        dataset["updatedAt"] = self._store.clock.now()
        return block

    def _new_block(self, dataset: JsonObject, given: JsonObject, creator: str) -> JsonObject:
        block_id = str(uuid.uuid4())
        now = self._store.clock.now()
        return {
            "_id": block_id,
            "createdBy": creator,
            "updatedBy": creator,
            "ownerGroup": dataset["ownerGroup"],
            "accessGroups": list(dataset["accessGroups"]),
            "isPublished": False,
            "datasetId": dataset["pid"],
            **{
                key: given[key]
                for key in ("archiveId", "size", "packedSize", "chkAlg", "version")
                if key in given
            },
            "dataFileList": [self._new_file(one) for one in given["dataFileList"]],
            "createdAt": now,
            "updatedAt": now,
            "__v": 0,
            "id": block_id,
        }

    def _new_file(self, given: JsonObject) -> JsonObject:
        file_id = self._store.ids.next()
        time = given["time"]
        # SciCat stores the time as a date and shows it with milliseconds.
        shown = f"{time[:-1]}.000Z" if time.endswith("Z") and "." not in time else time
        return {**given, "time": shown, "_id": file_id, "id": file_id}

    def _dataset(self, pid: str, what: str) -> JsonObject:
        dataset = self._store.datasets.get(pid)
        if dataset is None:
            raise framework_refusal(404, f"Dataset: {pid} not found for attaching {what}")
        return dataset

    def _let_in(self, call: Call) -> None:
        """Refuse a visitor whom the release lets ask for no datablocks."""
        if call.account is None and not self._access.release.anonymous_reads:
            raise forbidden_resource()

    def _first_of_dataset(self, call: Call, blocks: Blocks) -> Answer:
        return Answer(200, self._of_dataset(call, blocks)[:DEFAULT_LIMIT])

    def _of_dataset(self, call: Call, blocks: Blocks) -> list[JsonObject]:
        pid = call.params["pid"]
        dataset = self._store.datasets.get(pid)
        if dataset is None:
            raise framework_refusal(404, f"dataset: {pid} not found")
        if not self._access.may_see(call.account, dataset):
            raise unauthorized_access()
        return blocks.of(pid)

    def _visible(self, call: Call, given: JsonObject) -> list[JsonObject]:
        where = given.get("where")
        pid = where.get("datasetId") if isinstance(where, dict) else None
        blocks = self._store.datablocks
        pool = blocks.of(pid) if isinstance(pid, str) else list(blocks.by_id.values())
        found = matching(pool, where)
        if self._access.may_list_every_datablock(call.account):
            return found
        return [block for block in found if self._access.may_see(call.account, block)]


def _name(call: Call) -> str:
    return call.account.username if call.account else ""


def _check(given: JsonObject, *, original: bool) -> None:
    """Refuse with 400 a datablock that lacks something, in SciCat's words and order."""
    found: list[str] = []
    for key, kind in () if original else (("archiveId", str),):
        _complain(found, given, key, kind)
    for key in ("size",) if original else ("size", "packedSize"):
        _complain(found, given, key, int)
    for key, kind in () if original else (("version", str),):
        _complain(found, given, key, kind)
    files = given.get("dataFileList")
    if not isinstance(files, list) or not files:
        found.append("dataFileList should not be empty")
    else:
        for index, one in enumerate(files):
            found.extend(_file_complaints(f"dataFileList.{index}", one))
    if found:
        raise framework_refusal(400, found)


def _complain(found: list[str], given: JsonObject, key: str, kind: type) -> None:
    value = given.get(key)
    if not isinstance(value, kind) or isinstance(value, bool):
        found.append(f"{key} must be {'a string' if kind is str else 'an integer number'}")


def _file_complaints(where: str, given: object) -> list[str]:
    if not isinstance(given, dict):
        return [f"{where} must be an object"]
    found = [] if isinstance(given.get("path"), str) else [f"{where}.path must be a string"]
    if not isinstance(given.get("size"), int | float):
        found.append(f"{where}.size must be a number conforming to the specified constraints")
    if not is_iso_date(given.get("time")):
        found.append(f"{where}.time must be a valid ISO 8601 date string")
    return found
