import copy
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.catalogue.datasets.change import merge_patch
from scicat_retriever.catalogue.wire import pruned
from scicat_retriever.domain.errors import (
    CatalogueError,
    CatalogueForbidden,
    CatalogueRefused,
    CatalogueTimedOut,
    CatalogueUnavailable,
    CatalogueUpdateLost,
    DatasetUnknown,
)
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.domain.states import LifecycleWord
from scicat_retriever.ports.catalogue import LifecycleUpdate
from tests.unit.catalogue.backend import Backend, crash, failing, forbidden, ok

PID = DatasetPid("20.500.12345/abc")
GET = "GET /api/v4/datasets/20.500.12345%2Fabc"
PATCH = "PATCH /api/v4/datasets/20.500.12345%2Fabc/datasetlifecycle"
PATCH_V3 = "PATCH /api/v3/datasets/20.500.12345%2Fabc"
SUMS = {"size": 1400, "packedSize": 20480, "numberOfFiles": 14, "numberOfFilesArchived": 4}
PATCH_DATASET = "PATCH /api/v4/datasets/20.500.12345%2Fabc"
RETRIEVED = LifecycleUpdate(LifecycleWord.RETRIEVED, {}, retrievable=True, integrity_check=True)
FAILED = LifecycleUpdate(LifecycleWord.FAILED, {"status": "retrievalFailed", "message": "why"})


def applied(target: Any, patch: Any) -> Any:
    """RFC 7396, section 2, word for word."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = applied(result.get(name), value)
    return result


class Dataset:
    """Keeps a lifecycle as SciCat does behind both of its routes."""

    def __init__(self, **lifecycle: Any) -> None:
        self.lifecycle: dict[str, Any] = {
            "_id": "x",
            "retrieveStatusMessage": "",
            "exportedTo": "/x",
            **lifecycle,
        }
        self.sums = dict(SUMS)
        self.writes = 0
        self.writer = "archiveManager"
        self.updated_by = "ingestor"

    def read(self, _: httpx2.Request) -> httpx2.Response:
        lifecycle = copy.deepcopy(self.lifecycle)
        moved = f"2026-01-01T00:00:00.{self.writes:03}Z"
        return ok(
            {
                "pid": PID,
                **self.sums,
                "datasetlifecycle": lifecycle,
                "updatedAt": moved,
                "updatedBy": self.updated_by,
            }
        )

    def write(self, request: httpx2.Request) -> httpx2.Response:
        body = httpx2.Response(200, content=request.read()).json()
        self.lifecycle = applied(self.lifecycle, body.get("datasetlifecycle", body))
        self.writes += 1
        self.updated_by = self.writer
        return ok(self.lifecycle)

    def change(self, request: httpx2.Request) -> httpx2.Response:
        """As SciCat changes a dataset: what is not sent of its sums becomes 0, and v3 replaces the lifecycle."""
        body = httpx2.Response(200, content=request.read()).json()
        self.sums = {key: body.get(key, 0) for key in SUMS}
        if "/api/v3/" in str(request.url):
            self.lifecycle = {}
        return self.write(request)

    def write_then_crash(self, request: httpx2.Request) -> httpx2.Response:
        self.write(request)
        return crash()

    def write_then_drop(self, request: httpx2.Request) -> httpx2.Response:
        self.write(request)
        raise httpx2.RemoteProtocolError("dropped")


def backend(dataset: Dataset) -> Backend:
    return Backend().on(GET, dataset.read).on(PATCH, dataset.write)


def test_an_update_is_read_before_written_and_read_back() -> None:
    dataset = Dataset()
    scripted = backend(dataset)
    scripted.client().update_lifecycle(PID, RETRIEVED)
    assert scripted.lines() == [GET, PATCH, GET]
    assert scripted.bodies(PATCH) == [
        {"retrieveStatusMessage": "datasetRetrieved", "retrievable": True, "retrieveIntegrityCheck": True}
    ]
    assert dataset.lifecycle["exportedTo"] == "/x"


def test_an_update_may_be_repeated() -> None:
    dataset = Dataset()
    scicat = backend(dataset).client()
    scicat.update_lifecycle(PID, FAILED)
    scicat.update_lifecycle(PID, FAILED)
    assert dataset.lifecycle["retrieveReturnMessage"] == FAILED.return_message


@pytest.mark.parametrize("old", [{"error": "disk full", "deep": {"a": 1}}, "plain text", ["a"]])
def test_an_older_return_message_does_not_outlive_the_update(old: object) -> None:
    dataset = Dataset(retrieveReturnMessage=old)
    scicat = backend(dataset).client()
    scicat.update_lifecycle(PID, FAILED)
    assert dataset.lifecycle["retrieveReturnMessage"] == FAILED.return_message


@pytest.mark.parametrize("old", [{"error": "disk full"}, "plain text", {}])
def test_an_empty_return_message_removes_the_older_one(old: object) -> None:
    dataset = Dataset(retrieveReturnMessage=old)
    backend(dataset).client().update_lifecycle(PID, RETRIEVED)
    assert not dataset.lifecycle.get("retrieveReturnMessage")


def test_keys_inside_an_older_return_message_are_removed_too() -> None:
    dataset = Dataset(retrieveReturnMessage={"details": {"old": 1, "both": 1}, "gone": 1})
    update = LifecycleUpdate(LifecycleWord.FAILED, {"details": {"both": 2}})
    scripted = backend(dataset)
    scripted.client().update_lifecycle(PID, update)
    sent = {"details": {"old": None, "both": 2}, "gone": None}
    assert scripted.bodies(PATCH)[0]["retrieveReturnMessage"] == sent
    assert dataset.lifecycle["retrieveReturnMessage"] == {"details": {"both": 2}}


def test_an_update_that_is_accepted_and_not_there_is_lost() -> None:
    with pytest.raises(CatalogueUpdateLost, match="retrieveStatusMessage"):
        backend(Dataset()).on(PATCH, ok({})).client().update_lifecycle(PID, RETRIEVED)


def test_updated_at_must_have_moved() -> None:
    dataset = Dataset(retrieveStatusMessage="datasetRetrieved", retrievable=True, retrieveIntegrityCheck=True)
    dataset.updated_by = "archiveManager"
    with pytest.raises(CatalogueUpdateLost, match="updatedAt"):
        backend(dataset).on(PATCH, ok({})).client().update_lifecycle(PID, RETRIEVED)


def test_updated_by_must_be_our_account() -> None:
    dataset = Dataset()
    dataset.writer = "somebody else"
    with pytest.raises(CatalogueUpdateLost, match="updatedBy"):
        backend(dataset).client().update_lifecycle(PID, RETRIEVED)


def test_updated_by_is_not_looked_at_where_our_account_is_unknown() -> None:
    dataset = Dataset()
    dataset.writer = "somebody else"
    backend(dataset).client(token="long-lived").update_lifecycle(PID, RETRIEVED)
    assert dataset.lifecycle["retrieveStatusMessage"] == "datasetRetrieved"


@pytest.mark.parametrize("failing_write", ["write_then_crash", "write_then_drop"])
def test_an_error_that_comes_after_the_write_is_overlooked(failing_write: str) -> None:
    dataset = Dataset()
    scripted = backend(dataset).on(PATCH, getattr(dataset, failing_write))
    scripted.client().update_lifecycle(PID, RETRIEVED)
    assert scripted.lines() == [GET, PATCH, GET]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (crash(), CatalogueUnavailable),
        (failing(503, "away"), CatalogueUnavailable),
        (httpx2.ReadTimeout("slow"), CatalogueTimedOut),
        (forbidden(), CatalogueForbidden),
        (failing(400, ["property x should not exist"]), CatalogueRefused),
        (failing(404, "dataset with pid x not found"), DatasetUnknown),
        (httpx2.Response(404, text="default backend - 404"), CatalogueUnavailable),
    ],
)
def test_an_error_without_a_write_stands(reply: Any, expected: type[CatalogueError]) -> None:
    with pytest.raises(CatalogueError) as raised:
        backend(Dataset()).on(PATCH, reply).client().update_lifecycle(PID, RETRIEVED)
    assert type(raised.value) is expected


def test_what_cannot_be_read_back_is_not_claimed() -> None:
    dataset = Dataset()
    scripted = backend(dataset).on(GET, dataset.read, failing(503, "away"))
    with pytest.raises(CatalogueUnavailable):
        scripted.client().update_lifecycle(PID, RETRIEVED)


def test_an_unknown_dataset_is_not_written_to() -> None:
    scripted = Backend().on(GET, failing(404, "dataset: null not found"))
    with pytest.raises(DatasetUnknown):
        scripted.client().update_lifecycle(PID, RETRIEVED)
    assert scripted.lines() == [GET]


def without_the_route(dataset: Dataset) -> Backend:
    return Backend().on(GET, dataset.read).on(PATCH_V3, dataset.change)


def test_a_backend_without_the_route_gets_the_whole_lifecycle_and_keeps_its_sums() -> None:
    dataset = Dataset(storageLocation="tape1", retrieveReturnMessage={"error": "x"})
    scripted = without_the_route(dataset)
    scripted.client().update_lifecycle(PID, FAILED)
    assert scripted.lines() == [GET, PATCH, PATCH_V3, GET]
    assert scripted.bodies(PATCH_V3) == [
        {
            **SUMS,
            "datasetlifecycle": {
                "retrieveStatusMessage": "datasetRetrievalFailed",
                "retrieveReturnMessage": FAILED.return_message,
                "exportedTo": "/x",
                "storageLocation": "tape1",
            },
        }
    ]
    (sent,) = [one for one in scripted.asked if one.line == PATCH_V3]
    assert sent.headers["content-type"] == "application/json"
    assert sent.headers["if-unmodified-since"] == "2026-01-01T00:00:00.001Z"
    assert dataset.sums == SUMS


def test_a_backend_that_has_neither_the_route_nor_v3_gets_a_merge_patch_and_keeps_its_sums() -> None:
    dataset = Dataset(retrieveReturnMessage={"error": "x"})
    scripted = Backend().on(GET, dataset.read).on(PATCH_DATASET, dataset.change)
    scripted.client().update_lifecycle(PID, FAILED)
    assert scripted.lines() == [GET, PATCH, PATCH_V3, PATCH_DATASET, GET]
    (sent,) = [one for one in scripted.asked if one.line == PATCH_DATASET]
    assert sent.headers["content-type"] == "application/merge-patch+json"
    assert sent.body["datasetlifecycle"]["retrieveReturnMessage"]["error"] is None
    assert dataset.sums == SUMS


def test_the_way_that_works_is_remembered() -> None:
    scripted = without_the_route(Dataset())
    scicat = scripted.client()
    scicat.update_lifecycle(PID, FAILED)
    scicat.update_lifecycle(PID, RETRIEVED)
    assert scripted.lines()[4:] == [GET, PATCH_V3, GET]


def test_a_dataset_that_was_changed_meanwhile_is_read_again_before_it_is_changed() -> None:
    scripted = without_the_route(Dataset()).on(PATCH_V3, failing(412, "has been modified on the server"))
    with pytest.raises(CatalogueUpdateLost, match="changed by somebody else") as raised:
        scripted.client().update_lifecycle(PID, RETRIEVED)
    assert raised.value.retryable


def test_what_scicat_holds_already_counts_as_told_though_it_refuses_it() -> None:
    dataset = Dataset(retrieveStatusMessage="datasetRetrieved", retrievable=True, retrieveIntegrityCheck=True)
    refused = failing(409, "dataset already has the same lifecycle")
    backend(dataset).on(PATCH, refused).client().update_lifecycle(PID, RETRIEVED)
    assert dataset.writes == 0
    with pytest.raises(CatalogueRefused, match="409"):
        backend(Dataset()).on(PATCH, refused).client().update_lifecycle(PID, RETRIEVED)


def test_who_lacks_the_right_is_told_which_setting_gives_it() -> None:
    with pytest.raises(CatalogueForbidden, match="UPDATE_DATASET_LIFECYCLE_GROUPS"):
        backend(Dataset()).on(PATCH, forbidden()).client().update_lifecycle(PID, RETRIEVED)
    with pytest.raises(CatalogueForbidden, match="ADMIN_GROUPS"):
        without_the_route(Dataset()).on(PATCH_V3, forbidden()).client().update_lifecycle(PID, RETRIEVED)


JSON = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner, max_size=3),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.text("ab", max_size=2), JSON, max_size=4)


@given(st.none() | JSON, OBJECTS)
def test_the_patch_turns_whatever_is_held_into_what_is_wanted(
    held: object, wanted: dict[str, object]
) -> None:
    patched = applied({"m": held}, {"m": merge_patch(held, wanted)}).get("m")
    assert pruned(patched) == pruned(wanted)
