"""The Tape REST store and servers that never come to an end: every call ends at its deadline, and so may the process."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

import httpx2
import pytest

from scicat_retriever.domain.errors import StoreTimedOut
from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.ports.long_term_store import AskedArchive, Locality, RecallState
from scicat_retriever.storage.lts.wlcg.addresses import TapeAddresses
from scicat_retriever.storage.lts.wlcg.clock import RequestClock
from scicat_retriever.storage.lts.wlcg.connections import tls_context
from scicat_retriever.storage.lts.wlcg.http import TapeHttp
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
from scicat_retriever.storage.lts.wlcg.store import WlcgTape
from scicat_retriever.storage.lts.wlcg.transport import CLOCK, TapeTransport
from tests.contracts.test_long_term_store import wait_for

A = ArchiveId("a.tar")
LONG = 10.0
"""Seconds by which a call with a deadline of half a second has surely ended."""

Talk = Callable[[socket.socket, "Wire"], None]


class Wire:
    """A server below HTTP: what it does with a connection is a function's. Ends with its context."""

    def __init__(self, talk: Talk, host: str = "127.0.0.1") -> None:
        self.connections = 0
        self.over = threading.Event()
        self._talk = talk
        self._open: list[socket.socket] = []
        self._listening = socket.create_server((host, 0))
        self.url = f"http://{host}:{self._listening.getsockname()[1]}"

    @contextmanager
    def served(self) -> Iterator[Wire]:
        threading.Thread(target=self._accept, daemon=True).start()
        try:
            yield self
        finally:
            self.over.set()
            for each in (self._listening, *self._open):
                with suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
                each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with suppress(OSError):
            self._talk(connection, self)


def request_of(connection: socket.socket) -> tuple[str, bytes]:
    """Read a request; gives its method, and its body. Raises OSError at the end of the connection."""
    received = b""
    while True:
        head, found, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
        if found and len(body) >= (int(length[1]) if length else 0):
            return head.split()[0].decode(), body
        part = connection.recv(1 << 16)
        if not part:
            raise OSError
        received += part


def drips(first: bytes, drop: bytes) -> Talk:
    def talk(connection: socket.socket, wire: Wire) -> None:
        request_of(connection)
        connection.sendall(first)
        while not wire.over.wait(0.05):
            connection.sendall(drop)

    return talk


HEADERS = drips(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n")
INTERIM = drips(b"", b"HTTP/1.1 102 Processing\r\n\r\n")
BODY = drips(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", b" ")


def silent(connection: socket.socket, wire: Wire) -> None:
    request_of(connection)
    wire.over.wait()


def slow_door(connection: socket.socket, wire: Wire) -> None:
    """Have every file on disk, and take a fifth of a second for each HEAD."""
    while True:
        method, body = request_of(connection)
        if method == "POST":
            paths = json.loads(body)["paths"]
            answer = json.dumps([{"path": path, "locality": "DISK"} for path in paths]).encode()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(answer), answer))
        else:
            wire.over.wait(0.2)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")


@pytest.fixture
def wire() -> Iterator[Callable[[Talk], Wire]]:
    with ExitStack() as stack:
        yield lambda talk: stack.enter_context(Wire(talk).served())


def settings(url: str, **others: Any) -> WlcgTapeSettings:
    keys = {
        "kind": "wlcg_tape",
        "url": url,
        "api_url": f"{url}/api",
        "root_path": "/raw",
        "answer_timeout": 0.5,
    }
    return WlcgTapeSettings.model_validate(keys | others)


CALLS: dict[str, Callable[[WlcgTape], object]] = {
    "request_recalls": lambda store: store.request_recalls([A]),
    "recall_states": lambda store: store.recall_states([AskedArchive(A, "r")]),
    "release": lambda store: store.let_go([AskedArchive(A, "r")]),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize(
    "talk", [HEADERS, INTERIM, BODY, silent], ids=["headers", "interim", "body", "silent"]
)
def test_an_answer_without_an_end_ends_at_the_deadline(
    wire: Callable[[Talk], Wire], call: str, talk: Talk
) -> None:
    store, begun = WlcgTape(settings(wire(talk).url)), time.monotonic()
    with pytest.raises(StoreTimedOut):
        CALLS[call](store)
    assert time.monotonic() - begun < LONG


def tls_drips(connection: socket.socket, wire: Wire) -> None:
    """Begin a TLS record of the greatest length, and give a byte of it now and then."""
    connection.recv(1 << 16)
    connection.sendall(b"\x16\x03\x03\x40\x00")
    while not wire.over.wait(0.05):
        connection.sendall(b"\x02")


def tls_silent(connection: socket.socket, wire: Wire) -> None:
    connection.recv(1 << 16)
    wire.over.wait()


def takes_drops(connection: socket.socket, wire: Wire) -> None:
    while not wire.over.wait(0.05):
        connection.recv(1 << 10)


@pytest.mark.parametrize("talk", [tls_drips, tls_silent])
def test_a_handshake_without_an_end_ends_at_the_deadline(wire: Callable[[Talk], Wire], talk: Talk) -> None:
    url, begun = wire(talk).url.replace("http:", "https:"), time.monotonic()
    store = WlcgTape(settings(url, read_timeout=0.5))
    with pytest.raises(StoreTimedOut):
        store.recall_states([AskedArchive(A)])
    with pytest.raises(StoreTimedOut), store.open(A):
        pass
    assert time.monotonic() - begun < LONG


def test_a_request_that_is_taken_by_drops_ends_at_the_deadline(wire: Callable[[Talk], Wire]) -> None:
    url, begun = wire(takes_drops).url, time.monotonic()
    http = TapeHttp(settings(url, answer_timeout=60))
    with pytest.raises(StoreTimedOut):
        http.ask("POST", f"{url}/api", begun + 0.5, bytes(50_000_000))
    assert time.monotonic() - begun < LONG


@pytest.fixture
def name_service() -> Iterator[Callable[..., Sequence[Any]]]:
    """A name service that does not answer until the test is over."""
    over = threading.Event()

    def resolve(*_: object, **__: object) -> Sequence[Any]:
        over.wait()
        raise OSError

    yield resolve
    over.set()


def test_a_name_service_that_does_not_answer_ends_at_the_deadline(
    name_service: Callable[..., Sequence[Any]],
) -> None:
    keys, begun = settings("http://door.example.org", read_timeout=0.5), time.monotonic()
    transport = TapeTransport(tls_context(keys), 2, keys.addresses, name_service)
    for _ in range(3):
        store = WlcgTape(keys, transport)
        with pytest.raises(StoreTimedOut):
            store.recall_states([AskedArchive(A)])
        with pytest.raises(StoreTimedOut), store.open(A):
            pass
    assert time.monotonic() - begun < LONG


def test_the_next_address_of_a_name_is_tried(wire: Callable[[Talk], Wire]) -> None:
    server = wire(slow_door)
    port = server.url.rpartition(":")[2]
    keys = settings(f"http://localhost:{port}", answer_timeout=LONG)

    def resolve(*_: object, **__: object) -> Sequence[Any]:
        return [(0, 0, 0, "", (address, int(port))) for address in ("127.0.0.77", "127.0.0.1")]

    store = WlcgTape(keys, TapeTransport(tls_context(keys), 2, keys.addresses, resolve))
    assert store.recall_states([AskedArchive(A)])[A] == RecallState(Locality.ONLINE, 5)


def test_reading_ends_where_the_headers_do_not(wire: Callable[[Talk], Wire]) -> None:
    store = WlcgTape(settings(wire(HEADERS).url, read_timeout=0.5))
    with pytest.raises(StoreTimedOut), store.open(A):
        pass


def test_a_server_that_comes_to_its_senses_is_heard_again(wire: Callable[[Talk], Wire]) -> None:
    well = threading.Event()

    def talk(connection: socket.socket, wire: Wire) -> None:
        (slow_door if well.is_set() else INTERIM)(connection, wire)

    def answers() -> bool:
        try:
            return isinstance(store.recall_states([AskedArchive(A)])[A], RecallState)
        except StoreTimedOut:
            return False

    store = WlcgTape(settings(wire(talk).url, parallel_requests=2))
    assert [answers() for _ in range(3)] == [False] * 3
    well.set()
    wait_for(answers)


def test_archives_that_are_not_asked_about_in_time_say_so_and_the_others_are_online(
    wire: Callable[[Talk], Wire],
) -> None:
    store, begun = WlcgTape(settings(wire(slow_door).url, answer_timeout=4)), time.monotonic()
    answers = store.recall_states([AskedArchive(ArchiveId(f"{number}.tar")) for number in range(300)])
    assert time.monotonic() - begun < LONG
    online = [each for each in answers.values() if isinstance(each, RecallState)]
    late = [each for each in answers.values() if isinstance(each, StoreTimedOut)]
    assert {each.locality for each in online} == {Locality.ONLINE}
    assert len(online) + len(late) == 300
    assert late


def test_a_server_that_does_not_say_where_its_api_is_is_asked_once(wire: Callable[[Talk], Wire]) -> None:
    server = wire(silent)
    store = WlcgTape(settings(server.url, api_url=None))
    for _ in range(2):
        with pytest.raises(StoreTimedOut):
            store.recall_states(
                [AskedArchive(ArchiveId(f"{number}.tar"), f"r{number}") for number in range(8)]
            )
    assert server.connections == 1


def own_address() -> str:
    """Give the address from which this machine would reach others; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("198.51.100.1", 9))  # of RFC 5737: nobody's
        return str(probe.getsockname()[0])
    return "127.0.0.1"


@pytest.mark.parametrize("host", ["127.0.0.1", own_address()])
def test_a_name_that_leads_to_this_machine_is_sent_nothing(host: str) -> None:
    received = threading.Event()

    def talk(connection: socket.socket, wire: Wire) -> None:
        if connection.recv(1):
            received.set()
        closed.set()

    with Wire(talk, host).served() as server:
        closed = threading.Event()
        _refuse_to_connect(server)
        wait_for(closed.is_set)
    assert not received.is_set()


def _refuse_to_connect(server: Wire) -> None:
    addresses = TapeAddresses(["https://door.example.org"])
    transport = TapeTransport(tls_context(settings(server.url)), 1, addresses)
    with (
        httpx2.Client(transport=transport) as client,
        pytest.raises(httpx2.ConnectError, match="this machine"),
    ):
        client.get(server.url, extensions={CLOCK: RequestClock(time.monotonic() + LONG, LONG, LONG)})


def test_a_request_whose_progress_is_not_told_is_released_in_the_time_that_is_left(
    wire: Callable[[Talk], Wire],
) -> None:
    released = list[bytes]()

    def talk(connection: socket.socket, wire: Wire) -> None:
        method, body = request_of(connection)
        if method == "GET":
            wire.over.wait()
        released.append(body)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    WlcgTape(settings(wire(talk).url, answer_timeout=2)).let_go([AskedArchive(A, "r")])
    assert [json.loads(body) for body in released] == [{"paths": ["/raw/a.tar"]}]


PROCESS = """
import sys, threading
from scicat_retriever.ports.long_term_store import AskedArchive
from scicat_retriever.storage.lts.wlcg.store import WlcgTape
from scicat_retriever.storage.lts.wlcg.transport import CLOCK, TapeTransport
from scicat_retriever.storage.lts.wlcg.http import TapeHttp
from scicat_retriever.storage.lts.wlcg.settings import WlcgTapeSettings
store = WlcgTape(WlcgTapeSettings.model_validate_json(sys.argv[1]))
wanted = [AskedArchive(f"{number}.tar", f"r{number}") for number in range(8)]
threading.Thread(target=store.recall_states, args=(wanted,), daemon=True).start()
sys.stdin.read()
"""


def test_a_process_ends_while_a_call_hangs(wire: Callable[[Talk], Wire]) -> None:
    server = wire(HEADERS)
    keys = settings(server.url, answer_timeout=3600).model_dump_json(exclude_none=True)
    process = subprocess.Popen([sys.executable, "-c", PROCESS, keys], stdin=subprocess.PIPE)
    try:
        wait_for(lambda: server.connections >= 2, 30)
        process.communicate(timeout=LONG)
    finally:
        process.kill()
    assert process.returncode == 0
