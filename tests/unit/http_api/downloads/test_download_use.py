"""Downloads that the storage itself hands out, and what the ledger is told of downloads."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import BinaryIO
from urllib.parse import unquote

import pytest
from starlette.testclient import TestClient

from scicat_retriever.domain.errors import LedgerUnavailable
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatasetPid
from scicat_retriever.http_api.downloads.downloads import CHUNK
from scicat_retriever.http_api.downloads.uses import Uses
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.ledger import InMemoryLedger
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.http_api.rig import ApiRig, assert_problem
from tests.unit.pipeline.rig import LIFETIME, HandClock, entries, tar

INSIDE = {"run/large.bin": os.urandom(CHUNK * 2 + 123)}
CONTENT = tar(INSIDE)
SIZE = len(CONTENT)


def staged(api: ApiRig) -> DatablockRecord:
    (record,) = api.staged_dataset(
        api.archive(content=CONTENT, listed=entries(INSIDE), archive_id="deep/p 0.tar")
    )
    return record


@pytest.fixture
def elsewhere() -> ApiRig:
    return ApiRig(staging=InMemoryStagingArea(downloads_at="https://s3.example.org/bucket"))


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_link_leads_to_where_the_storage_hands_the_file_out(elsewhere: ApiRig, method: str) -> None:
    record = staged(elsewhere)
    with elsewhere.client() as client:
        response = client.request(method, elsewhere.link(record), follow_redirects=False)
    url = elsewhere.staging.download_url(record.key, record.partial, "20.500.12345_p__p 0.tar", LIFETIME)
    assert url is not None
    assert (response.status_code, unquote(response.headers["location"])) == (307, unquote(url))
    assert response.headers["cache-control"] == "no-store"
    assert ("curl -L" in response.text) == (method == "GET")
    assert int(response.headers["content-length"]) > 0


def test_a_file_that_is_gone_from_the_storage_is_not_led_to(elsewhere: ApiRig) -> None:
    record = staged(elsewhere)
    elsewhere.staging.delete(record.key)
    with elsewhere.client() as client:
        response = client.get(elsewhere.link(record), follow_redirects=False)
    assert_problem(response, 410, "link_released")


def test_a_link_that_is_not_valid_leads_nowhere(elsewhere: ApiRig) -> None:
    link = elsewhere.link(staged(elsewhere))
    with elsewhere.client() as client:
        response = client.get(link[:-1] + "~", follow_redirects=False)
    assert_problem(response, 403, "link_tampered")
    assert "location" not in response.headers


def used_at(api: ApiRig, record: DatablockRecord) -> datetime | None:
    found = api.ledger.datablocks.get(record.key)
    assert found is not None
    return found.used_at


@pytest.mark.parametrize("rig", ["api", "elsewhere"])
def test_a_download_is_noted_when_it_begins(request: pytest.FixtureRequest, rig: str) -> None:
    api: ApiRig = request.getfixturevalue(rig)
    record = staged(api)
    api.clock.advance(timedelta(hours=5))
    with api.client() as client:
        client.get(api.link(record), follow_redirects=False)
    assert used_at(api, record) == api.clock()


def test_downloads_soon_after_another_are_not_noted_again(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    before = used_at(api, record)
    api.clock.advance(timedelta(seconds=59))
    client.get(api.link(record), headers={"Range": "bytes=0-9"})
    assert used_at(api, record) == before


class SlowFile(io.BytesIO):
    """Takes two minutes for each piece."""

    def __init__(self, content: bytes, clock: HandClock) -> None:
        super().__init__(content)
        self.clock = clock

    def read(self, size: int | None = -1, /) -> bytes:
        self.clock.advance(timedelta(minutes=2))
        return super().read(size)


class SlowStaging(InMemoryStagingArea):
    """Gives files that are slow to read."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = HandClock()

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        with super().open_staged(key, token) as file:
            yield SlowFile(file.read(), self.clock)


class DeafLedger(InMemoryLedger):
    """Cannot be told what is used."""

    deaf = 0

    def note_used(self, pid: DatasetPid, datablock: DatablockKey | None = None) -> None:
        if datablock is None:
            return super().note_used(pid)
        self.deaf += 1
        raise LedgerUnavailable("the database does not answer")


def test_a_long_download_is_noted_again_while_it_goes_on() -> None:
    staging = SlowStaging()
    api = ApiRig(staging=staging, clock=staging.clock)
    record = staged(api)
    begun = api.clock()
    with api.client() as client:
        assert client.get(api.link(record)).content == CONTENT
    pieces = -(-SIZE // CHUNK)
    assert used_at(api, record) == begun + pieces * timedelta(minutes=2)


def test_a_download_goes_on_though_the_ledger_cannot_be_told_of_it() -> None:
    staging = SlowStaging()
    api = ApiRig(staging=staging, clock=staging.clock)
    api.ledger = ledger = DeafLedger(api.clock)
    api.tools = replace(api.tools, ledger=ledger)
    record = staged(api)
    with api.client() as client:
        assert client.get(api.link(record)).content == CONTENT
    assert ledger.deaf > 1


class CountingLedger(InMemoryLedger):
    """Counts how often it is told what is used."""

    noted = 0

    def note_used(self, pid: DatasetPid, datablock: DatablockKey | None = None) -> None:
        self.noted += datablock is not None
        super().note_used(pid, datablock)


def test_downloads_that_begin_together_tell_the_ledger_once() -> None:
    ledger = CountingLedger(HandClock())
    api = ApiRig()
    api.ledger = ledger
    api.tools = replace(api.tools, ledger=ledger)
    record, uses = staged(api), Uses()
    api.clock.advance(timedelta(hours=1))
    now = api.clock()
    with ThreadPoolExecutor(8) as threads:  # all of them have read the record before any told
        list(threads.map(lambda _: uses.tell(record, now, ledger.cache), range(50)))
    assert ledger.noted == 1
    uses.tell(record, now + timedelta(minutes=1), ledger.cache)
    assert ledger.noted == 2
