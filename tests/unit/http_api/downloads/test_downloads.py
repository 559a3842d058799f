import asyncio
import base64
import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit

import pytest
from httpx2 import Response
from starlette.testclient import TestClient

from scicat_retriever.domain.errors import StagingNotOurs
from scicat_retriever.domain.evidence import DatablockKey
from scicat_retriever.domain.ids import DatablockId, DatasetPid
from scicat_retriever.domain.states import DatablockState
from scicat_retriever.http_api.downloads.downloads import CHUNK
from scicat_retriever.pipeline.delivery.names import attachment
from scicat_retriever.ports.datablock_record import DatablockRecord
from tests.fakes.staging_area import InMemoryStagingArea
from tests.fakes.watched_staging import WatchedStaging
from tests.unit.http_api.rig import ApiRig, assert_problem
from tests.unit.pipeline.rig import FILES, LIFETIME, RETENTION, entries, tar

INSIDE = {**FILES, "run/large.bin": os.urandom(CHUNK * 2 + 123)}
CONTENT = tar(INSIDE)
SIZE = len(CONTENT)


@pytest.fixture
def staging() -> WatchedStaging:
    return WatchedStaging()


@pytest.fixture
def api(staging: WatchedStaging) -> ApiRig:
    return ApiRig(staging=staging)


def staged(api: ApiRig) -> DatablockRecord:
    (record,) = api.staged_dataset(
        api.archive(content=CONTENT, listed=entries(INSIDE), archive_id="deep/p 0.tar")
    )
    return record


def test_a_link_gives_the_whole_archive_under_its_name(
    client: TestClient, api: ApiRig, staging: WatchedStaging
) -> None:
    record = staged(api)
    response = client.get(api.link(record))
    assert (response.status_code, response.content) == (200, CONTENT)
    headers = response.headers
    assert headers["content-length"] == str(SIZE)
    assert headers["content-type"] == "application/octet-stream"
    assert headers["content-disposition"] == attachment("20.500.12345_p__p 0.tar")
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"] == f'"{record.archive_checksum}"'
    assert headers["cache-control"] == "private"
    assert headers["x-content-type-options"] == "nosniff"
    assert all(file.closed for file in staging.opened)


@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=100-199", slice(100, 200)),
        (f"bytes={CHUNK - 1}-{CHUNK}", slice(CHUNK - 1, CHUNK + 1)),
        ("bytes=1000-", slice(1000, SIZE)),
        (f"bytes=1000-{SIZE * 9}", slice(1000, SIZE)),
        ("bytes=-7", slice(SIZE - 7, SIZE)),
        (f"bytes=-{SIZE * 9}", slice(0, SIZE)),
    ],
)
def test_a_range_gives_that_part(client: TestClient, api: ApiRig, asked: str, part: slice) -> None:
    response = client.get(api.link(staged(api)), headers={"Range": asked})
    assert (response.status_code, response.content) == (206, CONTENT[part])
    assert response.headers["content-range"] == f"bytes {part.start}-{part.stop - 1}/{SIZE}"
    assert response.headers["content-length"] == str(part.stop - part.start)


@pytest.mark.parametrize("asked", ["bytes=0-1,5-6", "lines=1-2", "nonsense", "bytes=9-1", "x" * 5000])
def test_ranges_that_are_not_served_give_the_whole_file(client: TestClient, api: ApiRig, asked: str) -> None:
    response = client.get(api.link(staged(api)), headers={"Range": asked})
    assert (response.status_code, len(response.content)) == (200, SIZE)
    assert "content-range" not in response.headers


@pytest.mark.parametrize("asked", [f"bytes={SIZE}-", f"bytes={SIZE + 5}-{SIZE + 9}", "bytes=-0"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_range_outside_the_file_is_refused_with_its_size(
    client: TestClient, api: ApiRig, staging: WatchedStaging, asked: str, method: str
) -> None:
    response = client.request(method, api.link(staged(api)), headers={"Range": asked})
    assert response.status_code == 416
    assert response.headers["content-range"] == f"bytes */{SIZE}"
    assert [file.closed for file in staging.opened] == [True]
    if method == "GET":
        assert_problem(response, 416, "range_unsatisfiable")


def test_a_download_can_be_resumed_to_the_same_bytes(client: TestClient, api: ApiRig) -> None:
    link = api.link(staged(api))
    first = client.get(link, headers={"Range": "bytes=0-999"})
    rest = client.get(link, headers={"Range": "bytes=1000-", "If-Range": first.headers["etag"]})
    assert rest.status_code == 206
    assert first.content + rest.content == CONTENT


@pytest.mark.parametrize("if_range", ['"other"', "other", "Wed, 21 Oct 2015 07:28:00 GMT", 'W/"{}"'])
def test_a_resumption_of_another_file_gets_the_whole_one(
    client: TestClient, api: ApiRig, if_range: str
) -> None:
    record = staged(api)
    headers = {"Range": "bytes=1000-", "If-Range": if_range.format(record.archive_checksum)}
    response = client.get(api.link(record), headers=headers)
    assert (response.status_code, response.content) == (200, CONTENT)


@pytest.mark.parametrize(("asked", "status"), [({}, 200), ({"Range": "bytes=0-9"}, 206)])
def test_head_gives_the_headers_alone(
    client: TestClient, api: ApiRig, staging: WatchedStaging, asked: dict[str, str], status: int
) -> None:
    link = api.link(staged(api))
    head, get = client.head(link, headers=asked), client.get(link, headers=asked)
    assert (head.status_code, head.content) == (status, b"")
    assert dict(head.headers) == dict(get.headers)
    assert all(file.closed for file in staging.opened)


@pytest.mark.parametrize(
    ("name", "downloaded"),
    [
        ('qu"o\\te;.tar', "qu_o_te;.tar"),
        ("a\r\nSet-Cookie: x.tar", "a__Set-Cookie_ x.tar"),
        ("Größe ☢.tar.gz", "Größe ☢.tar"),
        ("a?b#c&d=e.tar", "a_b#c&d=e.tar"),
    ],
)
def test_odd_names_arrive_as_files_may_be_called(
    client: TestClient, api: ApiRig, name: str, downloaded: str
) -> None:
    (record,) = api.staged_dataset(
        api.archive(archive_id=name, content=tar(FILES, "w:gz" if name.endswith("gz") else "w"))
    )
    response = client.get(api.link(record))
    assert response.status_code == 200
    disposition = response.headers["content-disposition"]
    assert disposition.isascii()
    assert disposition == attachment(f"20.500.12345_p__{downloaded}")
    assert "set-cookie" not in response.headers


def test_of_a_compressed_archive_the_tar_is_downloaded(client: TestClient, api: ApiRig) -> None:
    (record,) = api.staged_dataset(api.archive(archive_id="a.tar.gz", content=tar(FILES, "w:gz")))
    response = client.get(api.link(record))
    assert response.content == tar(FILES)
    assert response.headers["content-length"] == str(len(tar(FILES))) == str(record.bytes_total)
    assert response.headers["content-disposition"] == attachment("20.500.12345_p__a.tar")


def test_an_expired_link_is_forbidden(client: TestClient, api: ApiRig) -> None:
    link = api.link(staged(api))
    api.clock.advance(LIFETIME - timedelta(seconds=1))
    assert client.get(link).status_code == 200
    api.clock.advance(timedelta(seconds=1))
    problem = assert_problem(client.get(link), 403, "link_expired")
    assert "ask for the dataset again" in problem["detail"]


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("dataset", "20.500.12345/other"),
        ("datablock", "block-1"),
        ("expires", "9999999999"),
        ("expires", "-1"),
        ("expires", "never"),
        ("expires", "9" * 50),
        ("expires", "١٢"),
        ("expires", ""),
        ("signature", "0" * 64),
        ("signature", "0" * 5000),
        ("signature", "ü"),
        ("signature", ""),
    ],
)
def test_a_tampered_link_is_forbidden(client: TestClient, api: ApiRig, part: str, value: str) -> None:
    url = urlsplit(api.link(staged(api)))
    query = {**dict(parse_qsl(url.query)), part: value}
    assert_problem(client.get(f"{url.path}?{urlencode(query)}"), 403, "link_tampered")


def test_a_link_under_another_filename_is_forbidden(client: TestClient, api: ApiRig) -> None:
    link = api.link(staged(api))
    assert_problem(client.get(link.replace("p%200.tar", "q.tar")), 403, "link_tampered")


@pytest.mark.parametrize("part", ["dataset", "datablock", "expires", "signature"])
def test_a_link_without_one_of_its_parts_is_a_problem_that_names_it(
    client: TestClient, api: ApiRig, part: str
) -> None:
    url = urlsplit(api.link(staged(api)))
    query = dict(parse_qsl(url.query))
    del query[part]
    assert assert_problem(client.get(f"{url.path}?{urlencode(query)}"), 422)["field"] == f"query.{part}"


def test_a_released_file_is_gone(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    link = api.link(record)
    api.ledger.datablocks.move(record.key, DatablockState.RELEASED)
    assert_problem(client.get(link), 410, "link_released")


def test_a_file_that_was_removed_behind_the_ledgers_back_is_gone(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    api.staging.delete(record.key)
    assert_problem(client.get(api.link(record)), 410, "link_released")


def test_a_datablock_that_is_no_longer_known_is_gone(client: TestClient, api: ApiRig) -> None:
    link = api.link(staged(api))
    with ApiRig().client() as elsewhere:
        assert_problem(elsewhere.get(link), 410, "link_released")


BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"}


def assert_page(response: Response, status: int, *words: str) -> None:
    """See that an answer is a page that says these words, and lets a browser do nothing but show it."""
    assert response.status_code == status
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy
    assert response.headers["referrer-policy"] == "no-referrer"
    assert response.headers["cache-control"] == "no-store"
    assert "<script" not in response.text
    style = response.text.partition("<style>")[2].partition("</style>")[0]
    assert base64.b64encode(sha256(style.encode()).digest()).decode() in policy
    for word in words:
        assert word in response.text


def test_a_browser_gets_a_page_that_says_what_to_do_with_an_expired_link(
    client: TestClient, api: ApiRig
) -> None:
    link = api.link(staged(api))
    api.clock.advance(LIFETIME)
    response = client.get(link, headers=BROWSER)
    assert_page(response, 403, "This download link has expired", "ask for it again", "20.500.12345/p")
    assert response.headers["vary"] == "Accept"


def test_a_browser_gets_a_page_for_a_file_that_is_gone(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    api.staging.delete(record.key)
    assert_page(client.get(api.link(record), headers=BROWSER), 410, "no longer kept", "ask for it again")


class AwayStaging(InMemoryStagingArea):
    """Cannot be read now."""

    @contextmanager
    def open_staged(self, key: DatablockKey, token: str) -> Iterator[BinaryIO]:
        raise StagingNotOurs("it is not mounted")
        yield  # type: ignore[unreachable] # which makes it a generator


def test_a_browser_is_told_when_to_come_again_where_staging_cannot_be_read_now() -> None:
    api = ApiRig(staging=AwayStaging())
    link = api.link(staged(api))
    with api.client() as client:
        response = client.get(link, headers=BROWSER)
    assert_page(response, 503)
    assert int(response.headers["retry-after"]) > 0


@pytest.mark.parametrize("cut", ["&signature", "?dataset", "&datablock"])
def test_a_browser_gets_a_page_for_a_link_that_was_cut(client: TestClient, api: ApiRig, cut: str) -> None:
    link = api.link(staged(api)).partition(cut)[0]
    assert_page(client.get(link, headers=BROWSER), 422, "not the whole link", "in quotes")


def test_nothing_of_a_link_that_is_not_ours_is_shown_or_run(client: TestClient, api: ApiRig) -> None:
    link = api.link(staged(api)).partition("?")[0]
    query = "?dataset=%3Cscript%3Ealert(1)%3C/script%3E&datablock=b&expires=1&signature=0"
    response = client.get(link + query, headers=BROWSER)
    assert_page(response, 403, "not the whole link")
    assert "alert" not in response.text


def test_what_is_shown_of_a_link_is_text(client: TestClient, api: ApiRig) -> None:
    pid = "<script>&amp;"
    key = DatablockKey(DatasetPid(pid), DatablockId("b"))
    url = urlsplit(api.links.link(key, "a.tar", api.clock() - timedelta(days=1)).url)
    response = client.get(f"{url.path}?{url.query}", headers=BROWSER)
    assert_page(response, 403, "has expired", "&lt;script&gt;&amp;amp;")


@pytest.mark.parametrize(
    "accept",
    ["*/*", "", "application/json", "application/problem+json, text/html;q=0.5", "text/html;q=0", "text/html;q=x"],
)  # fmt: skip
def test_programs_get_a_problem_and_no_page(client: TestClient, api: ApiRig, accept: str) -> None:
    link = api.link(staged(api))
    api.clock.advance(LIFETIME)
    assert_problem(client.get(link, headers={"Accept": accept}), 403, "link_expired")


def test_a_browser_that_asks_for_no_download_gets_a_problem(client: TestClient) -> None:
    assert_problem(client.get("/api/v1/overview", headers=BROWSER), 401, "token_invalid")


def test_a_link_copied_out_of_html_works(client: TestClient, api: ApiRig) -> None:
    link = api.link(staged(api))
    assert "&" in link
    assert client.get(link.replace("&", "&amp;")).content == CONTENT


@pytest.mark.parametrize("part", ["datablock", "signature"])
def test_a_link_that_a_shell_cut_says_to_use_it_whole_and_in_quotes(
    client: TestClient, api: ApiRig, part: str
) -> None:
    link = api.link(staged(api)).partition(f"&{part}")[0]
    detail = assert_problem(client.get(link), 422)["detail"]
    assert f"{part} is missing: use it exactly as it was given, and in quotes" in detail


def test_a_file_released_in_the_middle_of_a_download_is_read_to_its_end(
    client: TestClient, api: ApiRig
) -> None:
    record = staged(api)
    with client.stream("GET", api.link(record)) as response:
        api.clock.advance(RETENTION)
        api.staging.delete(record.key)
        assert b"".join(response.iter_bytes()) == CONTENT


def scope_of(path: str) -> dict[str, Any]:
    """A request as an ASGI server passes it on; the test client unquotes paths twice."""
    url = urlsplit(path)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": unquote(url.path),
        "raw_path": url.path.encode(),
        "root_path": "",
        "query_string": url.query.encode(),
        "headers": [],
    }


async def abandoned(client: TestClient, path: str, *, after: int) -> int:
    """Ask for a download, be gone after so many pieces of it, with 0 before the first; gives the status."""
    gone, pieces, status = asyncio.Event(), 0, 0
    if after == 0:
        gone.set()

    async def receive() -> MutableMapping[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        nonlocal pieces, status
        status = message.get("status", status)
        pieces += message["type"] == "http.response.body"
        if pieces >= after:
            gone.set()
            await asyncio.sleep(3600)  # a client that reads no more; ended by its going away

    await asyncio.wait_for(client.app(scope_of(path), receive, send), 30)
    return status


@pytest.mark.parametrize("name", ["100%25.tar", "..%2f..%2fpasswd.tar"])
def test_a_name_with_percent_signs_is_taken_as_it_is(client: TestClient, api: ApiRig, name: str) -> None:
    (record,) = api.staged_dataset(api.archive(archive_id=name))
    assert asyncio.run(abandoned(client, api.link(record), after=1)) == 200


@pytest.mark.parametrize("after", [0, 1])
def test_the_file_is_closed_when_the_client_goes_away(
    client: TestClient, api: ApiRig, staging: WatchedStaging, after: int
) -> None:
    link = api.link(staged(api))
    asyncio.run(abandoned(client, link, after=after))
    assert [file.closed for file in staging.opened] == [True]


def test_a_staged_file_that_lost_its_end_never_looks_complete(client: TestClient, api: ApiRig) -> None:
    record = staged(api)
    api.staging.damage_staged(record.key, CONTENT[:-1])
    response = client.get(api.link(record))
    assert len(response.content) < int(response.headers["content-length"])
