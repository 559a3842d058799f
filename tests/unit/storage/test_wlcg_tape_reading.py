"""The Tape REST store: where the token goes, and reading from doors that do not give what was asked for."""

from __future__ import annotations

import httpx2
import pytest

from scicat_retriever.domain.errors import (
    StoreRefusesAccount,
    StoreUnavailable,
)
from scicat_retriever.storage.lts.wlcg_tape import WlcgTape
from tests.unit.storage.tape_rest_backend import API, TOKEN, A, Server, word

# Where the token goes


def test_the_token_is_not_sent_to_where_a_door_redirects() -> None:
    def redirect(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "door.example.org":
            return httpx2.Response(307, headers={"Location": "https://pool1.example.org/api/v0/x?uuid=1"})
        return httpx2.Response(200, content=b"archive")

    server = Server(GET_file=redirect)
    with server.store().open(A) as source:
        assert source.readinto(memoryview(bytearray(100))) == 7
    assert [request.headers.get("Authorization") for request in server.asked] == [f"Bearer {TOKEN}", None]


def test_the_token_is_sent_to_a_redirect_s_host_that_the_settings_name() -> None:
    def redirect(request: httpx2.Request) -> httpx2.Response:
        if request.url.host == "door.example.org":
            return httpx2.Response(307, headers={"Location": "https://pool1.example.org/x"})
        return httpx2.Response(200, content=b"archive")

    server = Server(GET_file=redirect)
    with server.store(token_hosts=["pool1.example.org"]).open(A):
        pass
    assert server.asked[-1].headers["Authorization"] == f"Bearer {TOKEN}"


@pytest.mark.parametrize(
    "location", ["http://pool1.example.org/x", "ftp://pool1.example.org/x", "file:///etc"]
)
def test_a_redirect_away_from_https_is_not_followed(location: str) -> None:
    server = Server(GET_file=httpx2.Response(302, headers={"Location": location}))
    with pytest.raises(StoreUnavailable, match="redirects"), server.store().open(A):
        pass
    assert {request.url.host for request in server.asked if request.method == "GET"} == {"door.example.org"}


def test_redirects_in_a_circle_end() -> None:
    server = Server(GET_file=httpx2.Response(302, headers={"Location": "/raw/a.tar"}))
    with pytest.raises(StoreUnavailable, match="circle"), server.store().open(A):
        pass


def test_a_redirect_of_the_api_is_told_and_not_followed() -> None:
    server = Server(POST_archiveinfo=httpx2.Response(307, headers={"Location": "https://other.example.org"}))
    with pytest.raises(StoreUnavailable, match="correct the address"):
        word(server.store())
    assert len(server.asked) == 1


def test_an_api_that_is_discovered_elsewhere_gets_no_token_and_the_setting_is_named() -> None:
    def denied(request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200 if "Authorization" in request.headers else 401)

    endpoints = {"endpoints": [{"uri": API, "version": "v1"}]}
    server = Server(GET_file=httpx2.Response(200, json=endpoints), POST_archiveinfo=denied)
    with pytest.raises(StoreRefusesAccount, match="token_hosts"):
        word(server.store(api_url=None))


@pytest.mark.parametrize("status", [401, 400, 403, 500])
def test_a_token_that_a_server_quotes_is_not_repeated(status: int) -> None:
    problem = httpx2.Response(status, json={"title": "No", "detail": f"Bearer {TOKEN} is not welcome"})
    server = Server(POST_archiveinfo=problem)
    with pytest.raises(StoreUnavailable, match="is not welcome") as refusal:
        word(server.store())
    assert TOKEN not in str(refusal.value)


# Reading


def read(store: WlcgTape, start: int = 0, length: int | None = None) -> bytes:
    buffer, content = memoryview(bytearray(64)), bytearray()
    with store.open(A, start, length) as source:
        while count := source.readinto(buffer):
            content += buffer[:count]
    return bytes(content)


def test_a_body_that_is_shorter_than_it_says_is_a_read_error() -> None:
    short = httpx2.Response(200, headers={"Content-Length": "10"}, content=(part for part in [b"12345"]))
    with pytest.raises(OSError, match="fewer bytes"):
        read(Server(GET_file=short).store())


def test_a_body_that_is_longer_than_it_says_is_a_read_error() -> None:
    long = httpx2.Response(200, headers={"Content-Length": "3"}, content=(part for part in [b"12345"]))
    with pytest.raises(OSError, match="more or fewer"):
        read(Server(GET_file=long).store())


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(200, content=b"the whole archive"),
        httpx2.Response(206, content=b"x"),
        httpx2.Response(206, headers={"Content-Range": "bytes 0-3/17"}, content=b"1234"),
        httpx2.Response(206, headers={"Content-Range": "bytes 4-16/17"}, content=b"x" * 13),
    ],
)
def test_a_part_that_was_not_asked_for_is_refused(answer: httpx2.Response) -> None:
    with pytest.raises(StoreUnavailable):
        read(Server(GET_file=answer).store(), 4, 4)


def test_a_whole_archive_that_comes_encoded_is_refused() -> None:
    packed = httpx2.Response(200, headers={"Content-Encoding": "br"}, content=(part for part in [b"x"]))
    with pytest.raises(StoreUnavailable, match="encoding"):
        read(Server(GET_file=packed).store())


def test_later_parts_are_asked_for_of_the_version_whose_beginning_was_read() -> None:
    def part(request: httpx2.Request) -> httpx2.Response:
        if request.headers.get("If-Match", '"new"') != '"new"':
            return httpx2.Response(412)
        begins = request.headers["Range"].startswith("bytes=0-")
        return httpx2.Response(
            206,
            headers={"Content-Range": f"bytes {'0-3' if begins else '4-7'}/8", "ETag": etag},
            content=b"1234",
        )

    etag = '"new"'
    store = Server(GET_file=part).store()
    assert read(store, 0, 4) + read(store, 4, 4) == b"12341234"
    etag = '"old"'
    read(store, 0, 4)
    with pytest.raises(OSError, match="replaced"):
        read(store, 4, 4)
