"""The Tape REST store: where the token goes, and reading from doors that do not give what was asked for."""

from __future__ import annotations

import httpx2
import pytest

from scicat_retriever.domain.errors import (
    ArchiveLost,
    RecallError,
    StoreRefusesAccount,
    StoreUnavailable,
)
from scicat_retriever.ports.long_term_store import AskedArchive, Locality
from scicat_retriever.storage.lts.wlcg.store import WlcgTape
from tests.unit.storage.lts.wlcg.tape_rest_backend import API, TOKEN, A, B, Server, archiveinfo, state, word

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


def redirected_to(location: str) -> Server:
    def redirect(request: httpx2.Request) -> httpx2.Response:
        if request.url.path == "/raw/a.tar":
            return httpx2.Response(307, headers={"Location": location})
        return httpx2.Response(200, content=b"archive")

    return Server(GET_file=redirect)


@pytest.mark.parametrize(
    "location",
    ["https://pool1.example.org/x", "https://pool2.example.org:8443/x", "https://door.example.org/x"],
)
def test_a_redirect_to_a_host_that_the_operator_named_is_followed(location: str) -> None:
    server = redirected_to(location)
    with server.store(redirect_hosts=["pool1.example.org", "pool2.example.org:8443"]).open(A) as source:
        assert source.readinto(memoryview(bytearray(100))) == 7


@pytest.mark.parametrize(
    "location",
    [
        "https://pool3.example.org/x",
        "https://pool2.example.org/x",
        "https://pool1.example.org.evil.example/x",
        "https://door.example.org:8443/x",
        "https://192.0.2.7/x",
    ],
)
def test_a_redirect_to_another_host_is_not_followed_where_the_operator_named_some(location: str) -> None:
    server = redirected_to(location)
    store = server.store(redirect_hosts=["pool1.example.org", "pool2.example.org:8443"])
    with pytest.raises(StoreUnavailable, match="redirect_hosts"), store.open(A):
        pass
    assert {request.url.host for request in server.asked if request.method == "GET"} == {"door.example.org"}


def test_an_api_is_asked_at_a_host_that_the_operator_named_and_at_no_other() -> None:
    endpoints = {"endpoints": [{"uri": API, "version": "v1"}]}
    server = Server(
        GET_file=httpx2.Response(200, json=endpoints),
        POST_archiveinfo=archiveinfo(a="TAPE"),
    )
    with pytest.raises(StoreUnavailable, match=r"tape\.example\.org.*redirect_hosts"):
        word(server.store(api_url=None, redirect_hosts=[]))
    assert [request.url.host for request in server.asked] == ["door.example.org"]
    assert state(server.store(api_url=None, redirect_hosts=["tape.example.org"])).locality is Locality.OFFLINE


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
        server.store().recall_states([AskedArchive(A), AskedArchive(B)])
    assert TOKEN not in str(refusal.value)


def test_a_token_that_a_server_quotes_beside_a_file_is_not_repeated() -> None:
    told = httpx2.Response(
        200, json=[{"path": "/raw/a.tar", "locality": "LOST", "error": f"asked with {TOKEN}"}]
    )
    lost = word(Server(POST_archiveinfo=told).store())
    assert (type(lost), str(lost)) == (
        ArchiveLost,
        "the long-term store lost a.tar: the store lost the archive: asked with ***",
    )


def test_the_token_is_not_sent_in_clear_to_a_host_of_the_settings() -> None:
    server = Server(
        GET_file=httpx2.Response(
            200, json={"endpoints": [{"uri": "http://door.example.org/api/v1", "version": "v1"}]}
        ),
        POST_archiveinfo=archiveinfo(a="TAPE"),
    )
    with pytest.raises(StoreUnavailable, match="away from https"):
        word(server.store(api_url=None))
    assert [request.url.scheme for request in server.asked] == ["https"]


def test_the_token_is_not_sent_to_another_port_of_a_host_of_the_settings() -> None:
    def redirect(request: httpx2.Request) -> httpx2.Response:
        if request.url.port is None:
            return httpx2.Response(307, headers={"Location": "https://door.example.org:8443/x"})
        return httpx2.Response(401)

    server = Server(GET_file=redirect)
    with (
        pytest.raises(StoreRefusesAccount, match=r"door\.example\.org:8443.*token_hosts"),
        server.store().open(A),
    ):
        pass
    asked = [request for request in server.asked if request.method == "GET"]
    assert [request.headers.get("Authorization") for request in asked] == [f"Bearer {TOKEN}", None]


INSIDE = [
    "https://169.254.169.254/latest",
    "https://127.0.0.1/x",
    "https://localhost/x",
    "https://[::1]/x",
    "https://[fe80::1]/x",
    "https://[::ffff:127.0.0.1]/x",
    "https://0.0.0.0/x",
]


@pytest.mark.parametrize("location", INSIDE)
def test_a_redirect_into_this_machine_or_its_link_is_not_followed(location: str) -> None:
    server = Server(GET_file=httpx2.Response(302, headers={"Location": location}))
    with pytest.raises(StoreUnavailable, match="not followed"), server.store().open(A):
        pass
    assert {request.url.host for request in server.asked if request.method == "GET"} == {"door.example.org"}


@pytest.mark.parametrize("uri", [*INSIDE, "https://[::1/", "https://u:p@x/", "https://x/?a=b"])
def test_an_api_inside_this_machine_or_its_link_is_not_believed(uri: str) -> None:
    endpoints = {"endpoints": [{"uri": uri, "version": "v1"}]}
    server = Server(GET_file=httpx2.Response(200, json=endpoints))
    with pytest.raises(StoreUnavailable):
        word(server.store(api_url=None))
    assert len(server.asked) == 1


SIGNED = "https://user:pa55word@pool.example.org/a.tar?X-Signature=0123456789abcdef"


@pytest.mark.parametrize(
    "answer",
    [
        httpx2.Response(403, text=f"no access to {SIGNED} today"),
        httpx2.Response(403, text="no access to /a.tar?X-Signature=0123456789abcdef"),
        httpx2.Response(403, json={"title": "no", "detail": SIGNED}),
        httpx2.Response(400, text="<Given>0123456789abcdef</Given>"),
        httpx2.Response(302, headers={"Location": "gopher://user:pa55word@x/?X-Signature=0123456789abcdef"}),
        httpx2.Response(
            302, headers={"Location": "https://user:pa55word@[::1/?X-Signature=0123456789abcdef"}
        ),
    ],
)
def test_a_signed_address_is_not_told(answer: httpx2.Response) -> None:
    def door(request: httpx2.Request) -> httpx2.Response:
        first = request.url.host == "door.example.org"
        return httpx2.Response(302, headers={"Location": SIGNED}) if first else answer

    with pytest.raises(RecallError) as told, Server(GET_file=door).store().open(A):
        pass
    assert "0123456789abcdef" not in str(told.value)
    assert "pa55word" not in str(told.value)


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


def test_an_etag_of_any_bytes_is_sent_back_as_it_came() -> None:
    def part(request: httpx2.Request) -> httpx2.Response:
        begins = request.headers["Range"].startswith("bytes=0-")
        headers = {b"Content-Range": b"bytes 0-3/8" if begins else b"bytes 4-7/8", b"ETag": b'"\xe9\xff"'}
        return httpx2.Response(206, headers=httpx2.Headers(headers), content=b"1234")

    server = Server(GET_file=part)
    store = server.store()
    assert read(store, 0, 4) + read(store, 4, 4) == b"12341234"
    assert (b"If-Match", b'"\xe9\xff"') in server.asked[-1].headers.raw


def test_a_redirect_to_a_host_that_no_name_service_can_be_asked_for_is_an_error_of_the_store() -> None:
    def longest(request: httpx2.Request) -> httpx2.Response:
        if request.url.host != "door.example.org":
            request.url.host.encode("idna")
        return httpx2.Response(302, headers={"Location": f"https://{'a' * 70}.example.org/"})

    with pytest.raises(StoreUnavailable), Server(GET_file=longest).store().open(A):
        pass
