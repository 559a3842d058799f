"""The files that a dataset had before it was archived: a second word on names, and never a reason to fail."""

from typing import Any

import httpx2
import pytest

from scicat_retriever.domain.dataset import OriginalFile
from scicat_retriever.domain.errors import CatalogueAnswerUnreadable, CatalogueUnavailable
from scicat_retriever.domain.ids import DatasetPid
from tests.unit.catalogue.backend import Backend, Reply, crash, failing, forbidden, ok

PID = DatasetPid("20.500.12345/abc")
LIST = "GET /api/v3/datasets"


def read(*replies: Reply) -> list[OriginalFile]:
    return list(Backend().on(LIST, *replies).client().original_files(PID))


def shown(*blocks: Any) -> httpx2.Response:
    return ok([{"pid": PID, "origdatablocks": list(blocks)}])


def test_the_files_of_all_original_datablocks_are_given_with_what_proves_them() -> None:
    backend = Backend().on(
        LIST,
        shown(
            {"chkAlg": "md5", "dataFileList": [{"path": "/data/a", "size": 1.0, "chk": "aB="}]},
            {"dataFileList": [{"path": "/data/b", "size": 2}]},
        ),
    )
    assert list(backend.client().original_files(PID)) == [
        OriginalFile("/data/a", 1, "aB=", "md5"),
        OriginalFile("/data/b", 2),
    ]
    [asked] = [one for one in backend.asked if one.line == LIST]
    assert asked.query == {
        "filter": f'{{"where":{{"pid":"{PID}"}},"include":[{{"relation":"origdatablocks"}}]}}'
    }


@pytest.mark.parametrize(
    "odd",
    [
        None,
        "text",
        {},
        {"dataFileList": None},
        {"dataFileList": "text"},
        {"dataFileList": [None, 5, {}, {"path": 5}, {"path": ""}, {"size": 5}]},
    ],
)
def test_what_cannot_be_read_is_passed_over(odd: Any) -> None:
    good = {"chkAlg": 5, "dataFileList": [{"path": "a", "size": -1, "chk": {}}]}
    assert read(shown(odd, good)) == [OriginalFile("a", None)]


@pytest.mark.parametrize(
    "reply", [ok([]), ok([{"pid": PID}]), forbidden(), failing(404, "no"), failing(400, "no")]
)
def test_where_none_are_shown_there_are_none(reply: Reply) -> None:
    assert read(reply) == []


@pytest.mark.parametrize("reply", [crash(), failing(503, "away")])
def test_a_scicat_that_is_away_is_no_word(reply: Reply) -> None:
    with pytest.raises(CatalogueUnavailable):
        read(reply)


def test_an_answer_that_is_no_list_is_no_word() -> None:
    with pytest.raises(CatalogueAnswerUnreadable):
        read(ok({"origdatablocks": []}))
