"""Downloads that a bucket hands out itself, by presigned URLs; nobody needs a key for them."""

from __future__ import annotations

import re
import time
from datetime import timedelta
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

import pytest

from scicat_retriever.storage.staging.s3.area import S3Staging
from tests.contracts.staging.rig import CONTENT, KEY, MakeArea, key, stage
from tests.integration.s3_server import SECRET
from tests.integration.seaweedfs import Seaweed
from tests.integration.tcp_proxy import TcpProxy

LONGEST = timedelta(days=7)


def url_of(area: S3Staging, token: str, name: str = "p.tar") -> str:
    found = area.download_url(KEY, token, name, LONGEST)
    assert found is not None
    return found


def get(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urlopen(Request(url, headers=headers), timeout=20) as answer:  # noqa: S310 - to 127.0.0.1
            return answer.status, dict(answer.headers), answer.read()
    except HTTPError as refused:
        with refused:
            return refused.code, dict(refused.headers), b""


@pytest.mark.parametrize(
    "name", ["p.tar", "a b.tar", 'qu"o\\te;.tar', "Größe ☢.tar.gz", "x\r\nSet-Cookie: y.tar"]
)
def test_a_url_gives_the_whole_file_under_its_name(make_area: MakeArea, name: str) -> None:
    area = make_area()
    status, headers, content = get(url_of(area, stage(area, KEY), name))
    assert (status, content) == (200, CONTENT)
    begin, _, encoded = headers["Content-Disposition"].partition("; filename*=UTF-8''")
    assert unquote(encoded) == name
    assert re.fullmatch(r'attachment; filename="[ -~]+"', begin)
    assert headers["Content-Type"] == "application/octet-stream"
    assert "Set-Cookie" not in headers


def test_a_download_can_be_resumed(make_area: MakeArea) -> None:
    area = make_area()
    status, headers, content = get(url_of(area, stage(area, KEY)), Range="bytes=1000-")
    assert (status, content) == (206, CONTENT[1000:])
    assert headers["Content-Range"] == f"bytes 1000-{len(CONTENT) - 1}/{len(CONTENT)}"


def test_a_url_begins_with_the_endpoint_that_scientists_reach(make_area: MakeArea, proxy: TcpProxy) -> None:
    area = make_area(external_url=f"http://{proxy.address}")
    url = url_of(area, stage(area, KEY))
    assert urlsplit(url).netloc == proxy.address
    assert get(url)[2] == CONTENT


def test_a_url_is_signed_with_version_4_and_holds_no_secret(make_area: MakeArea) -> None:
    area = make_area()
    url = url_of(area, stage(area, KEY))
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in url
    assert SECRET not in url


@pytest.mark.parametrize(
    ("longest", "seconds"), [(LONGEST, 120), (timedelta(seconds=30), 30), (timedelta(0), 1)]
)
def test_a_url_works_no_longer_than_set_and_than_its_link(
    make_area: MakeArea, longest: timedelta, seconds: int
) -> None:
    found = make_area(url_lifetime=120).download_url(KEY, "0123456789abcdef", "p.tar", longest)
    assert found is not None
    assert f"X-Amz-Expires={seconds}&" in found


def test_a_url_works_no_longer_than_that(make_area: MakeArea) -> None:
    area = make_area(url_lifetime=5)
    url = url_of(area, stage(area, KEY))
    assert get(url)[0] == 200
    deadline = time.monotonic() + 30
    while get(url)[0] != 403:
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize("part", ["token", "X-Amz-Expires=3600", "filename", "X-Amz-Signature="])
def test_a_url_that_was_changed_works_for_nothing(make_area: MakeArea, part: str) -> None:
    area = make_area()
    token = stage(area, KEY)
    url = url_of(area, token)
    other = stage(area, key(datablock="2"))
    changes = {
        "token": (f"1/{token}", f"2/{other}"),
        "X-Amz-Expires=3600": ("X-Amz-Expires=3600", "X-Amz-Expires=36000"),
        "filename": ("p.tar", "q.tar"),
        "X-Amz-Signature=": ("X-Amz-Signature=", "X-Amz-Signature=0"),
    }
    before, after = changes[part]
    assert before in url
    assert get(url)[0] == 200
    assert get(url.replace(before, after))[0] == 403


def test_without_a_url_nobody_gets_in(make_area: MakeArea, seaweed: Seaweed, bucket: str) -> None:
    area = make_area()
    url = urlsplit(url_of(area, stage(area, KEY)))
    assert get(f"{seaweed.url}{url.path}")[0] == 403


def test_there_is_no_url_where_downloads_go_through_the_service(make_area: MakeArea) -> None:
    area = make_area(downloads="stream")
    assert area.download_url(KEY, stage(area, KEY), "p.tar", LONGEST) is None
