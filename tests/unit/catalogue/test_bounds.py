import gzip
import io
import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from structlog.testing import capture_logs

from scicat_retriever.catalogue.bounds import MAX_ANSWER
from scicat_retriever.catalogue.listing import MAX_ELEMENT, elements
from scicat_retriever.catalogue.scicat import Scicat
from scicat_retriever.catalogue.settings import ScicatSettings
from scicat_retriever.domain.errors import CatalogueAnswerUnreadable, CatalogueTimedOut
from scicat_retriever.domain.ids import DatasetPid
from tests.unit.catalogue.backend import LOGIN, Backend, ok

PID = DatasetPid("20.500.12345/abc")
DATASET = "GET /api/v4/datasets/20.500.12345%2Fabc"
COUNT, LIST = "GET /api/v3/datablocks/count", "GET /api/v3/datablocks"
JOBS = "GET /api/v4/jobs"
DECLARED = {"pid": PID, "numberOfFilesArchived": 1}


def bomb(head: bytes = b"") -> httpx2.Response:
    """Some hundred kB that unpack to more than any answer may have."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb") as out:
        out.write(head)
        for _ in range(MAX_ANSWER // 2**20 + 4):
            out.write(b" " * 2**20)
    content = packed.getvalue()
    cut = [content[at : at + 2**16] for at in range(0, len(content), 2**16)]
    return httpx2.Response(200, headers={"Content-Encoding": "gzip"}, content=iter(cut))


def trickle() -> Iterator[bytes]:
    yield b"["
    yield from itertools.repeat(b" ")


class Ticking:
    """A clock that goes on by ten seconds each time that it is looked at."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 10
        return self.now


def read_dataset(scicat: Scicat) -> object:
    return scicat.dataset(PID)


def read_datablocks(scicat: Scicat) -> object:
    return list(scicat.datablocks(PID))


def read_jobs(scicat: Scicat) -> object:
    return list(scicat.open_jobs(["retrieve"]))


ASKED = [
    (LOGIN, read_dataset),
    (DATASET, read_dataset),
    (COUNT, read_datablocks),
    (LIST, read_datablocks),
    (JOBS, read_jobs),
]


def scicat_where(line: str, reply: Any) -> Backend:
    scripted = Backend().on(DATASET, ok(DECLARED)).on(COUNT, ok({"count": 1})).on(LIST, ok([]))
    return scripted.on(line, reply)


@pytest.mark.parametrize(("line", "ask"), ASKED, ids=lambda each: getattr(each, "__name__", str(each)))
def test_an_answer_that_trickles_is_broken_off(line: str, ask: Callable[[Scicat], object]) -> None:
    scripted = scicat_where(line, lambda _: httpx2.Response(200, content=trickle()))
    with pytest.raises(CatalogueTimedOut, match=r"took longer than 600 s .*answer_timeout"):
        ask(scripted.client(monotonic=Ticking(), answer_timeout=600))


@pytest.mark.parametrize(("line", "ask"), ASKED, ids=lambda each: getattr(each, "__name__", str(each)))
def test_an_answer_that_unpacks_without_end_is_broken_off(line: str, ask: Callable[[Scicat], object]) -> None:
    scripted = scicat_where(line, lambda _: bomb(b"[" if line in (LIST, JOBS) else b""))
    with pytest.raises(CatalogueAnswerUnreadable, match=r"larger than 67 MB|more than 67 MB"):
        ask(scripted.client())


@pytest.mark.parametrize("packed", ["br", "zstd", "gzip, gzip", "x" * 5000])
def test_an_answer_that_is_packed_otherwise_than_asked_for_is_not_unpacked(packed: str) -> None:
    answer = httpx2.Response(200, headers={"Content-Encoding": packed}, stream=httpx2.ByteStream(b"x" * 100))
    with pytest.raises(CatalogueAnswerUnreadable, match="is packed by"):
        Backend().on(DATASET, answer).client().dataset(PID)


def test_only_what_unpacks_to_a_bounded_size_is_asked_for() -> None:
    scripted = Backend().on(DATASET, ok(DECLARED))
    scripted.client().dataset(PID)
    assert {one.headers["accept-encoding"] for one in scripted.asked} == {"gzip, deflate"}


def test_a_list_may_be_longer_than_one_of_its_elements() -> None:
    entry = json.dumps({"path": "x" * 2**20}).encode()
    pieces = itertools.chain([b"["], itertools.repeat(entry + b",", MAX_ELEMENT // 2**20 + 8), [entry, b"]"])
    assert sum(1 for _ in elements(pieces, "item", "files")) == MAX_ELEMENT // 2**20 + 9


@pytest.mark.parametrize(
    ("url", "warned"),
    [
        ("http://scicat.example.org", True),
        ("http://192.0.2.7:3000", True),
        ("https://scicat.example.org", False),
        ("http://localhost:3000", False),
        ("http://127.0.0.2:3000", False),
        ("http://[::1]:3000", False),
        ("http://scicat.localhost", False),
    ],
)
def test_speaking_to_scicat_over_the_network_unencrypted_is_warned_of(url: str, *, warned: bool) -> None:
    with capture_logs() as logged:
        Scicat(ScicatSettings.model_validate({"url": url, "token": "long-lived"})).close()
    assert [each["log_level"] for each in logged] == ["warning"] * warned
