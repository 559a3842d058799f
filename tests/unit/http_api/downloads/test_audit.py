"""What the journal hears of downloads, by whichever way they go."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import structlog
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from scicat_retriever.http_api.downloads.downloads import CHUNK
from scicat_retriever.http_api.downloads.journal import DownloadJournal
from scicat_retriever.ports.datablock_record import DatablockRecord
from scicat_retriever.ports.downloads import Download, DownloadEnd
from tests.fakes.staging_area import InMemoryStagingArea
from tests.unit.http_api.downloads.test_downloads import abandoned, scope_of
from tests.unit.http_api.retrievals.test_retrieval_page import link
from tests.unit.http_api.rig import AUTHORIZED, ApiRig
from tests.unit.pipeline.rig import FILES, JOB, PID, entries, tar

INSIDE = {**FILES, "run/large.bin": os.urandom(CHUNK * 2 + 123)}
CONTENT = tar(INSIDE)
SIZE = len(CONTENT)
FILE = next(iter(FILES))


def staged(api: ApiRig) -> DatablockRecord:
    (record,) = api.staged_dataset(
        api.archive(content=CONTENT, listed=entries(INSIDE), archive_id="deep/p 0.tar")
    )
    return record


def noted(client: TestClient, api: ApiRig) -> list[Download]:
    """What the ledger was told, the first one first."""
    journal = client.app.state.journal  # type: ignore[attr-defined]
    assert isinstance(journal, DownloadJournal)
    journal.write()
    return [each for _, each in api.ledger.downloads.find()][::-1]


def test_a_link_to_a_datablock_is_noted_with_what_was_sent(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    client.get(api.link(record))
    client.get(api.link(record), headers={"Range": "bytes=5-14"})
    whole, part = noted(client, api)
    assert (whole.first, whole.last, whole.sent, whole.end) == (0, SIZE - 1, SIZE, DownloadEnd.WHOLE)
    assert (part.first, part.last, part.sent, part.end) == (5, 14, 10, DownloadEnd.WHOLE)
    assert (whole.job_id, whole.what) == (None, "20.500.12345_p__p 0.tar")
    assert whole.who.startswith("datablock link ")
    assert whole.who == part.who
    assert (whole.began, whole.seen) == (api.clock(), api.clock())


def test_what_lies_below_a_retrieval_is_noted_with_its_job(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    page = link(api)
    sizes = [
        len(client.get(f"{page}/{path}", params=params).content)
        for path, params in (
            ("all.zip", {}),
            ("all.tar", {"files": FILE}),
            ("datasets/1/all.tar", {}),
            (f"datasets/1/files/{FILE}", {}),
        )
    ]
    rows = noted(client, api)
    assert [each.what for each in rows] == [
        "all.zip",
        f"all.tar?files={FILE}",
        "datasets/1/all.tar",
        f"datasets/1/files/{FILE}",
    ]
    assert [(each.job_id, each.sent, each.end) for each in rows] == [
        (JOB, size, DownloadEnd.WHOLE) for size in sizes
    ]
    ticket = api.links.ticket(page.rpartition("/")[2])
    assert {each.who for each in rows} == {f"link {ticket.id}"}


def test_an_answer_without_bytes_is_no_download(client: TestClient, api: ApiRig) -> None:
    api.retrieved(PID)
    (record,) = api.ledger.datablocks.of(PID)
    for path in (api.link(record), f"{link(api)}/all.zip", f"{link(api)}/datasets/1/files/{FILE}"):
        head = client.head(path)
        assert client.get(path, headers={"If-None-Match": head.headers["etag"]}).status_code == 304
        assert client.get(path, headers={"Range": "bytes=999999999-"}).status_code == 416
        assert client.get(path.replace(".", "x")).status_code >= 400
    assert client.get(link(api)).status_code == 200
    assert noted(client, api) == []


@pytest.mark.parametrize("after", [0, 2])
def test_a_client_that_goes_away_breaks_its_download_off(client: TestClient, api: ApiRig, after: int) -> None:
    asyncio.run(abandoned(client, api.link(staged(api)), after=after))
    (row,) = noted(client, api)
    assert row.end is DownloadEnd.BROKEN_OFF
    assert row.sent is not None
    assert row.sent <= max(0, after - 1) * CHUNK
    assert row.last == SIZE - 1


def test_a_piece_that_the_server_throws_away_since_the_client_has_left_is_not_counted(
    client: TestClient, api: ApiRig
) -> None:
    async def asked() -> None:
        gone, drained, sent = asyncio.Event(), asyncio.Event(), []

        def lose() -> None:  # as uvicorn does when a connection is lost, in this order
            gone.set()
            drained.set()

        async def receive() -> MutableMapping[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(len(message.get("body", b"")))
            if sum(sent) == 2 * CHUNK and not gone.is_set():
                asyncio.get_running_loop().call_soon(lose)
                await drained.wait()  # for the client to read, which then has left

        scope = scope_of(path) | {"headers": [(b"range", f"bytes=0-{2 * CHUNK - 1}".encode())]}
        await client.app(scope, receive, send)

    path = api.link(staged(api))
    asyncio.run(asked())
    (row,) = noted(client, api)
    assert (row.sent, row.end) == (CHUNK, DownloadEnd.BROKEN_OFF)


def test_a_file_that_is_shorter_than_it_was_makes_the_download_fail(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    api.staging.damage_staged(record.key, CONTENT[:-1])
    sent = len(client.get(api.link(record)).content)
    (row,) = noted(client, api)
    assert (row.end, row.sent) == (DownloadEnd.FAILED, sent)


def test_a_download_is_noted_while_it_runs(client: TestClient, api: ApiRig) -> None:
    path, found = api.link(staged(api)), []

    async def receive() -> MutableMapping[str, Any]:
        await asyncio.Event().wait()
        return {}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message.get("more_body"):
            found.extend(noted(client, api))

    asyncio.run(client.app(scope_of(path), receive, send))  # type: ignore[arg-type]
    assert {each.end for each in found} == {DownloadEnd.RUNNING}
    assert len({each.id for each in found}) == 1
    assert [each.end for each in noted(client, api)] == [DownloadEnd.WHOLE]


@pytest.mark.parametrize(
    ("asked", "wanted"), [({}, (0, SIZE - 1)), ({"Range": "bytes=5-9"}, (5, 9)), ({"Range": "bytes=x"}, (0, SIZE - 1))]
)  # fmt: skip
def test_where_the_storage_hands_the_file_out_what_was_sent_is_not_known(
    asked: dict[str, str], wanted: tuple[int, int]
) -> None:
    api = ApiRig(staging=InMemoryStagingArea(downloads_at="https://s3.example.org/bucket"))
    path = api.link(staged(api))
    with api.client() as client:
        client.head(path, follow_redirects=False)
        client.get(path, headers=asked, follow_redirects=False)
        client.get(path, headers={"Range": f"bytes={SIZE}-"}, follow_redirects=False)
        (row,) = noted(client, api)
    assert (row.first, row.last, row.sent, row.end) == (*wanted, None, DownloadEnd.ELSEWHERE)


def test_no_secret_is_in_a_row_or_in_the_log_or_in_what_operators_are_shown(
    client: TestClient, api: ApiRig
) -> None:
    api.retrieved(PID)
    (record,) = api.ledger.datablocks.of(PID)
    page, old = link(api), api.link(record)
    gone = api.link(record)
    with capture_logs(processors=[structlog.contextvars.merge_contextvars]) as lines:
        for path in (
            old,
            f"{page}/all.zip",
            f"{page}/all.tar?files={FILE}",
            f"{page}/datasets/1/all.zip",
            f"{page}/datasets/1/files/{FILE}",
        ):
            assert client.get(path).status_code == 200
        api.staging.damage_staged(record.key, b"")
        for path in (gone, f"{page}/all.zip"):
            client.get(path)
        rows = noted(client, api)
        shown = client.get("/api/v1/audit/downloads", headers=AUTHORIZED).text
    assert len(rows) == 7
    ticket_digest = page.rpartition(".")[2]
    signature = parse_qs(urlsplit(old).query)["signature"][0].rpartition(".")[2]
    assert len(ticket_digest) == len(signature) == 64
    told = f"{rows!r} {json.dumps(lines, default=str)} {shown}"
    for secret in (ticket_digest, signature):
        for start in range(64 - 12):
            assert secret[start : start + 12] not in told
