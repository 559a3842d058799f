from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from scicat_retriever.catalogue.wire import amount
from scicat_retriever.domain.dataset import Dataset
from scicat_retriever.domain.errors import (
    CatalogueAnswerUnreadable,
    CatalogueEntryInvalid,
    CatalogueError,
    CatalogueRefused,
    CatalogueTimedOut,
    CatalogueUnavailable,
    DatasetUnknown,
)
from scicat_retriever.domain.ids import DatasetPid
from tests.unit.catalogue.backend import Backend, crash, failing, ok

PID = DatasetPid("20.500.12345/abc")
GET = "GET /api/v4/datasets/20.500.12345%2Fabc"


def test_a_dataset_is_read() -> None:
    body = {
        "pid": PID,
        "datasetName": "ds two",
        "numberOfFilesArchived": 6,
        "packedSize": 750,
        "ownerGroup": "group1",
        "updatedAt": "2026-11-23T02:16:52.646Z",
        "sourceFolder": "/data/p1/ä run",
    }
    assert Backend().on(GET, ok(body)).client().dataset(PID) == Dataset(
        PID,
        "ds two",
        6,
        750,
        "group1",
        datetime(2026, 11, 23, 2, 16, 52, 646000, UTC),
        source_folder="/data/p1/ä run",
    )


@pytest.mark.parametrize("folder", [None, "", 5, ["/data"], "/" + "d" * 5000])
def test_a_source_folder_of_no_use_is_none(folder: object) -> None:
    body = {"pid": PID, "sourceFolder": folder}
    assert Backend().on(GET, ok(body)).client().dataset(PID).source_folder is None


def test_what_a_dataset_does_not_say_is_none_or_nothing() -> None:
    body = {"pid": PID, "updatedAt": "yesterday", "ownerGroup": 5}
    assert Backend().on(GET, ok(body)).client().dataset(PID) == Dataset(PID, PID, 0, 0)


def test_null_is_taken_as_absent_and_a_whole_float_as_the_number() -> None:
    body = {"pid": PID, "datasetName": None, "numberOfFilesArchived": None, "packedSize": 4608.0}
    read = Backend().on(GET, ok(body)).client().dataset(PID)
    assert read == Dataset(PID, PID, 0, 4608)
    assert isinstance(read.packed_size, int)


def test_an_answer_for_another_dataset_is_believed_when_it_comes_twice() -> None:
    once = Backend().on(GET, ok({"pid": "another"}), ok({"pid": PID}))
    assert once.client().dataset(PID).pid == PID
    for_ever = Backend().on(GET, ok({"pid": "another"}))
    with pytest.raises(CatalogueEntryInvalid, match="answers with another one"):
        for_ever.client().dataset(PID)
    assert for_ever.lines() == [GET, GET]


@given(
    st.integers()
    | st.floats()
    | st.booleans()
    | st.none()
    | st.text(max_size=5)
    | st.lists(st.integers(), max_size=2)
)
def test_an_amount_is_a_whole_number_that_is_exact_or_none(value: object) -> None:
    read = amount(value)
    if read is None:
        right = type(value) in (int, float) and value == value // 1 and 0 <= value < 2**53  # type: ignore[operator]
        assert not right
    else:
        assert type(read) is int
        assert read == value
        assert 0 <= read < 2**53


def test_what_a_dataset_cannot_have_is_named() -> None:
    strange = Backend().on(GET, ok({"pid": PID, "numberOfFilesArchived": -2}))
    with pytest.raises(CatalogueEntryInvalid, match=r"numberOfFilesArchived .*\(-2\)"):
        strange.client().dataset(PID)


@pytest.mark.parametrize(
    ("pid", "path"),
    [
        ("20.500.12345/a b%2F", "20.500.12345%2Fa%20b%252F"),
        ("a?x=1#y", "a%3Fx%3D1%23y"),
        ("..", "%2E%2E"),
        ("ä", "%C3%A4"),
    ],
)
def test_a_pid_is_encoded_once_and_stays_one_segment(pid: str, path: str) -> None:
    backend = Backend().on(f"GET /api/v4/datasets/{path}", ok({"pid": pid}))
    assert backend.client().dataset(DatasetPid(pid)).pid == pid


@pytest.mark.parametrize("message", ["dataset: null not found", "Not Found", "Dataset not found"])
def test_a_dataset_that_scicat_does_not_have_is_unknown(message: str) -> None:
    with pytest.raises(DatasetUnknown):
        Backend().on(GET, failing(404, message)).client().dataset(PID)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        (failing(404, f"Cannot {GET}"), CatalogueRefused),
        (httpx2.Response(404, text="default backend - 404"), CatalogueUnavailable),
        (crash(), CatalogueUnavailable),
        (httpx2.ReadTimeout("slow"), CatalogueTimedOut),
        (httpx2.Response(200, text="<html>"), CatalogueAnswerUnreadable),
        (httpx2.Response(200, content=b"[" * 100_000), CatalogueAnswerUnreadable),
        (ok([]), CatalogueAnswerUnreadable),
        (ok({"status": "down for maintenance"}), CatalogueAnswerUnreadable),
        (ok({"pid": "another"}), CatalogueEntryInvalid),
        (ok({"pid": PID, "packedSize": -1}), CatalogueEntryInvalid),
        (ok({"pid": PID, "packedSize": 1.5}), CatalogueEntryInvalid),
        (ok({"pid": PID, "packedSize": "750"}), CatalogueEntryInvalid),
        (ok({"pid": PID, "packedSize": True}), CatalogueEntryInvalid),
        (ok({"pid": PID, "packedSize": 2.0**53}), CatalogueEntryInvalid),
        (
            httpx2.Response(200, content=b'{"pid": "20.500.12345/abc", "packedSize": NaN}'),
            CatalogueEntryInvalid,
        ),
        (
            httpx2.Response(200, content=b'{"pid": "20.500.12345/abc", "packedSize": 1e999}'),
            CatalogueEntryInvalid,
        ),
        (ok({"pid": PID, "numberOfFilesArchived": -2}), CatalogueEntryInvalid),
        (ok({"pid": PID, "numberOfFilesArchived": "6"}), CatalogueEntryInvalid),
    ],
)
def test_a_failed_or_strange_answer_is_a_catalogue_error(reply: Any, expected: type[CatalogueError]) -> None:
    with pytest.raises(CatalogueError) as raised:
        Backend().on(GET, reply).client().dataset(PID)
    assert type(raised.value) is expected
