"""Clients that say nothing, send slowly, never read, or come by the thousand: what they may hold, and who is served meanwhile.

Each test judges what the other side sees: a connection that ends, an answer that comes, a file that is closed.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx2
import pytest

from scicat_retriever.http_api.app import create_app
from scicat_retriever.http_api.downloads.downloads import CHUNK
from scicat_retriever.http_api.downloads.journal import DownloadJournal
from scicat_retriever.http_api.server import LimitedServer, server_config
from scicat_retriever.http_api.settings import ApiSettings
from scicat_retriever.ports.downloads import Download, DownloadEnd
from stand_ins import local_http
from stand_ins.scicat.server import loopback_socket
from tests.fakes.watched_staging import WatchedStaging
from tests.unit.http_api.rig import AUTHORIZED, JOBS, TOKEN, V4, ApiRig
from tests.unit.pipeline.rig import FILES, entries, tar

PATIENCE = 60.0
"""Seconds within which what must happen happens, on a very busy machine too."""
INSIDE = {**FILES, "run/large.bin": os.urandom(24 * 2**20)}
"""More than what the system's buffers of both sides hold."""
LONG = {"header_timeout": 600.0, "body_timeout": 600.0, "write_timeout": 600.0, "idle_timeout": 600}
"""Timeouts that no test waits for."""


class Served:
    """The application on fakes, served as the API process serves it.

    Attributes:
        api: The fakes.
        staging: Where the datablocks are.
        journal: What hears of downloads.
        port: Where it listens.
    """

    def __init__(self, api: ApiRig, staging: WatchedStaging, journal: DownloadJournal, port: int) -> None:
        self.api, self.staging, self.journal, self.port = api, staging, journal, port
        self._stack = ExitStack()

    def connect(self, sent: bytes = b"", receive_buffer: int | None = None) -> socket.socket:
        """Open a connection and send something; closed at the end of the test."""
        connection = self._stack.enter_context(socket.socket())
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        connection.settimeout(PATIENCE)
        connection.connect(("127.0.0.1", self.port))
        connection.sendall(sent)
        return connection

    def post(self, job_id: str) -> int:
        """Post a job as SciCat does, over a connection of its own; gives the status."""
        return local_http.post(
            f"http://127.0.0.1:{self.port}{JOBS}",
            json={**V4, "id": job_id},
            headers=AUTHORIZED,
            timeout=PATIENCE,
        ).status_code

    def link(self) -> str:
        """Stage a large datablock; gives the path and query of a link to it."""
        (record,) = self.api.staged_dataset(self.api.archive(content=tar(INSIDE), listed=entries(INSIDE)))
        return self.api.link(record)

    def ended(self) -> list[Download]:
        """The downloads that have ended, as the ledger was told of them."""
        self.journal.write()
        return [each for _, each in self.api.ledger.downloads.find() if each.end is not DownloadEnd.RUNNING]

    def close(self) -> None:
        self._stack.close()


Serve = Callable[..., Served]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves the application with some limits, the other timeouts so long that nobody waits for them."""
    with ExitStack() as stack:

        def start(
            connections: int = 1000,
            downloads: int = 100,
            wait: float = PATIENCE,
            proxies: tuple[str, ...] = (),
            **limits: float,
        ) -> Served:
            staging = WatchedStaging()
            api = ApiRig(staging=staging)
            settings = ApiSettings(
                token=[{"name": "tests", "token": TOKEN, "scope": ["operate"]}],
                trusted_proxies=proxies,
                limits={**LONG, **limits},
            )
            listening = stack.enter_context(loopback_socket(0))
            app = create_app(api.service(), most_downloads=downloads, download_wait=wait)
            server = LimitedServer(server_config(app, settings, connections))
            thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
            thread.start()
            served = Served(api, staging, app.state.journal, listening.getsockname()[1])

            def stop() -> None:
                served.close()
                server.should_exit = True
                thread.join(PATIENCE)

            stack.callback(stop)
            wait_until(lambda: server.started)
            return served

        yield start


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the other side closes, which it has to do in time."""
    received = b""
    try:
        while piece := connection.recv(2**20):
            received += piece
    except ConnectionResetError:
        pass
    return received


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except BlockingIOError:
        return True
    except ConnectionResetError:
        return False
    finally:
        connection.settimeout(PATIENCE)


def head(method: str, path: str, *headers: str) -> bytes:
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: h", *headers, "", ""]).encode()


HEALTH = head("GET", "/api/v1/health")


@pytest.mark.parametrize("sent", [b"", b"GET /api/v1/health HTTP/1.1\r\nHost:"])
def test_a_connection_that_sends_no_whole_request_is_closed(serve: Serve, sent: bytes) -> None:
    assert read_to_end(serve(header_timeout=0.4).connect(sent)) == b""


def test_a_head_that_comes_letter_by_letter_is_not_waited_for(serve: Serve) -> None:
    connection = serve(header_timeout=0.4).connect()
    wait_until(lambda: not sends(connection, b"x"))


def sends(connection: socket.socket, data: bytes) -> bool:
    try:
        connection.sendall(data)
    except OSError:
        return False
    return True


def test_a_head_after_an_answer_is_not_waited_for_either(serve: Serve) -> None:
    connection = serve(header_timeout=0.3, idle_timeout=1).connect(HEALTH + b"GET /")
    assert read_to_end(connection).startswith(b"HTTP/1.1 200")


def test_a_body_that_does_not_come_ends(serve: Serve) -> None:
    authorization = f"Authorization: {AUTHORIZED['Authorization']}"
    asked = head("POST", JOBS, authorization, "Content-Length: 100") + b'{"id":'
    assert not read_to_end(serve(body_timeout=0.4).connect(asked)).startswith(b"HTTP/1.1 2")


def test_a_body_after_its_answer_is_not_waited_for(serve: Serve) -> None:
    asked = head("POST", JOBS, "Content-Length: 100") + b"{"
    answer = read_to_end(serve(header_timeout=0.3, idle_timeout=1).connect(asked))
    assert answer.startswith(b"HTTP/1.1 401")


def test_silent_connections_make_place_for_scicat(serve: Serve) -> None:
    served = serve(connections=20, connections_per_address=1000)
    silent = [served.connect(b"GET") for _ in range(30)]
    assert [served.post(f"job-{number}") for number in range(30)] == [201] * 30
    assert not any(map(is_open, silent[:10]))


def test_what_one_address_may_hold_is_limited_and_its_own_silent_ones_go_first(serve: Serve) -> None:
    served = serve(connections=1000, connections_per_address=10)
    silent = [served.connect() for _ in range(25)]
    wait_until(lambda: sum(map(is_open, silent)) <= 10)
    assert is_open(silent[-1])
    assert served.post("job-1") == 201


def test_behind_a_proxy_only_the_sum_is_limited(serve: Serve) -> None:
    served = serve(connections=1000, connections_per_address=3, proxies=("127.0.0.1",))
    silent = [served.connect() for _ in range(25)]
    assert served.post("job-1") == 201
    assert all(map(is_open, silent))


def test_a_reader_that_never_reads_is_ended_and_the_file_is_closed(serve: Serve) -> None:
    served = serve(write_timeout=1.0)
    link = served.link()
    connection = served.connect(head("GET", link), receive_buffer=4096)
    wait_until(lambda: bool(served.staging.opened))
    wait_until(lambda: all(file.closed for file in served.staging.opened))
    assert len(read_to_end(connection)) < len(tar(INSIDE))


def test_how_a_download_ended_is_noted_whatever_its_reader_did(serve: Serve) -> None:
    served = serve(write_timeout=3.0)
    link = served.link()
    whole = local_http.get(f"http://127.0.0.1:{served.port}{link}", timeout=PATIENCE).content
    gone, stuck = (
        served.connect(head("GET", link, f"Range: bytes={first}-"), receive_buffer=2**16) for first in (1, 2)
    )
    received = 0
    while received < 2 * CHUNK:  # so that more than one piece was handed to the network
        received += len(gone.recv(2**16))
    gone.close()
    wait_until(lambda: len(served.ended()) == 3)
    ended = {each.first: each for each in served.ended()}
    assert (ended[0].end, ended[0].sent) == (DownloadEnd.WHOLE, len(whole))
    for first in (1, 2):
        assert ended[first].end is DownloadEnd.BROKEN_OFF
        assert (ended[first].sent or 0) < len(whole) - first
    assert (ended[1].sent or 0) >= CHUNK
    assert read_to_end(stuck)


def test_a_reader_that_reads_on_and_on_gets_all_however_long_it_takes(serve: Serve) -> None:
    served = serve(write_timeout=0.5)
    link = served.link()
    connection = served.connect(head("GET", link, "Connection: close"), receive_buffer=2**16)
    received = bytearray()
    while piece := connection.recv(2**18):
        received += piece
        time.sleep(0.02)  # together longer than the timeout
    assert received.endswith(tar(INSIDE)[-100_000:])


def test_downloads_wait_for_their_turn_and_then_are_told_to_come_again(serve: Serve) -> None:
    served = serve(downloads=2, wait=0.5)
    link = served.link()
    for _ in range(2):
        served.connect(head("GET", link), receive_buffer=4096)
    wait_until(lambda: len(served.staging.opened) == 2)
    answer = local_http.get(f"http://127.0.0.1:{served.port}{link}", timeout=PATIENCE)
    assert answer.status_code == 503
    assert answer.json()["type"].endswith("downloads_busy")
    assert "2 downloads are sent already: try again later" in answer.json()["detail"]
    assert int(answer.headers["retry-after"]) > 0
    assert served.post("job-1") == 201


def test_a_download_that_waits_gets_its_turn_once_another_ends(serve: Serve) -> None:
    served = serve(downloads=1)
    link = served.link()
    first = served.connect(head("GET", link), receive_buffer=4096)
    wait_until(lambda: len(served.staging.opened) == 1)
    second = served.connect(head("GET", link, "Connection: close"))
    first.close()
    assert read_to_end(second).endswith(tar(INSIDE)[-1000:])
    assert all(file.closed for file in served.staging.opened)


def test_no_place_is_lost_by_downloads_that_end_in_any_way(serve: Serve) -> None:
    served = serve(downloads=2)
    link = served.link()
    base = f"http://127.0.0.1:{served.port}"
    with httpx2.Client(base_url=base, timeout=PATIENCE, trust_env=False) as client:
        for _ in range(3):
            assert client.head(link).status_code == 200
            assert client.get(link, headers={"Range": "bytes=99999999-"}).status_code == 416
            assert client.get(link.replace("signature=", "signature=0")).status_code == 403
            assert client.get(link, headers={"Range": "bytes=0-9"}).status_code == 206
            served.connect(head("GET", link), receive_buffer=4096).close()
    assert all(file.closed for file in served.staging.opened[:-1])


@pytest.mark.parametrize(
    "asked",
    [
        head("POST", JOBS, "Content-Length: 5", "Transfer-Encoding: chunked") + b"0\r\n\r\n",
        head("POST", JOBS, "Transfer-Encoding: chunked", "Content-Length: 5") + b"0\r\n\r\n",
        head("POST", JOBS, "Transfer-Encoding: chunked").replace(b"HTTP/1.1", b"HTTP/1.0") + b"0\r\n\r\n",
        head("POST", JOBS, "Content-Length: 5", "Content-Length: 6") + b"hello",
        head("POST", JOBS, "Transfer-Encoding: xchunked") + b"0\r\n\r\n",
    ],
)
def test_a_request_of_two_lengths_is_refused_and_nothing_after_it_is_read(serve: Serve, asked: bytes) -> None:
    served = serve()
    answer = read_to_end(served.connect(asked + HEALTH))
    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 501"))
    assert answer.count(b"HTTP/1.1 ") == 1
    assert json.dumps("ok").encode() not in answer


def test_a_link_can_be_followed_behind_limits(serve: Serve) -> None:
    served = serve()
    url = urlsplit(served.link())
    answer = local_http.get(f"http://127.0.0.1:{served.port}{url.path}?{url.query}", timeout=PATIENCE)
    assert answer.content == tar(INSIDE)
