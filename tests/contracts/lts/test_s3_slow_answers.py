"""Reading from an S3 that is slow or silent: what arrives is given at once, and closing ends whatever waits."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trustme

from scicat_retriever.domain.ids import ArchiveId
from scicat_retriever.onepass.checksums import ChecksumAlgorithm
from scicat_retriever.onepass.copying import copy_and_hash
from scicat_retriever.onepass.errors import SourceStalled
from scicat_retriever.pipeline.transfer.reading import Opening
from scicat_retriever.storage.lts.glacier.store import S3Glacier
from tests.contracts.lts.glacier_settings import settings
from tests.contracts.test_long_term_store import wait_for
from tests.integration.glacier_server import GlacierServer
from tests.integration.tcp_proxy import proxy_before

A = ArchiveId("proposal/a.tar")
B = ArchiveId("proposal/b.tar")
CONTENT = bytes(range(256)) * 400
FIRST = 1000
SOON = 20.0
"""Seconds, much less than `read_timeout` here."""


class SlowBody:
    """Gives the first bytes of an object, and then one now and then, or none, until it is ended.

    Attributes:
        begun: Set when the first bytes were given.
        ended: Lets all the other bytes come.
    """

    def __init__(self, pause: float) -> None:
        self.begun = threading.Event()
        self.ended = threading.Event()
        self._pause = pause

    def __call__(self, content: bytes) -> Iterator[bytes]:
        yield content[:FIRST]
        self.begun.set()
        at = FIRST
        while at < len(content) and not self.ended.wait(self._pause):
            yield content[at : at + 1]
            at += 1
        yield content[at:]


SILENT, TRICKLING = 30.0, 0.02


@pytest.fixture(params=[SILENT, TRICKLING], ids=["silent", "trickling"])
def slow(request: pytest.FixtureRequest, glacier: GlacierServer) -> Iterator[SlowBody]:
    body = SlowBody(request.param)
    glacier.put(A, CONTENT)
    glacier.gives = body
    yield body
    body.ended.set()


@pytest.fixture(params=["http", "https"])
def store(request: pytest.FixtureRequest, glacier: GlacierServer, tmp_path: Path) -> Iterator[S3Glacier]:
    with store_at(request.param, glacier, tmp_path) as made:
        yield made


@contextmanager
def store_at(scheme: str, glacier: GlacierServer, folder: Path, **others: Any) -> Iterator[S3Glacier]:
    options = {"read_timeout": 60, **others}
    if scheme == "http":
        yield S3Glacier(settings(glacier.port, **options))
        return
    authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(folder / "ca.pem")
    with proxy_before(glacier.port, context) as proxy:
        url = f"https://{proxy.address}"
        yield S3Glacier(settings(proxy.port, endpoint_url=url, ca_bundle=str(folder / "ca.pem"), **options))


def in_a_thread(call: Callable[[], object]) -> threading.Thread:
    """Call it in a thread, which is given back running: it may hang."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


def read_all(source: Opening) -> None:
    """Read to the end, or until it is closed."""
    buffer = memoryview(bytearray(1 << 20))
    with suppress(ValueError):
        while source.readinto(buffer):
            pass


def test_bytes_are_given_as_they_arrive(glacier: GlacierServer, store: S3Glacier, slow: SlowBody) -> None:
    buffer, content = memoryview(bytearray(1 << 20)), b""
    with store.open(A) as source:
        while len(content) < FIRST:
            content += buffer[: source.readinto(buffer)]
        assert not slow.ended.is_set()
        slow.ended.set()
        while count := source.readinto(buffer):
            content += buffer[:count]
    assert content == CONTENT


def test_closing_ends_a_read_that_waits_and_it_asks_for_nothing_more(
    glacier: GlacierServer, store: S3Glacier, slow: SlowBody
) -> None:
    source = Opening(lambda: store.open(A))
    reading = in_a_thread(lambda: read_all(source))
    assert slow.begun.wait(SOON)
    closing_it = in_a_thread(source.close)
    closing_it.join(SOON)
    reading.join(SOON)
    assert (closing_it.is_alive(), reading.is_alive()) == (False, False)
    assert len(glacier.asked("get")) == 1


def test_a_copy_that_stalls_ends_and_leaves_no_thread_that_reads(
    glacier: GlacierServer, store: S3Glacier, tmp_path: Path
) -> None:
    ended: list[Exception] = []

    def copy() -> None:
        try:
            with closing(Opening(lambda: store.open(A))) as source:
                copy_and_hash(
                    source,
                    tmp_path / "partial",
                    algorithm=ChecksumAlgorithm.SHA256,
                    on_member=lambda _: None,
                    stall_timeout=0.5,
                )
        except SourceStalled as stalled:
            ended.append(stalled)

    glacier.put(A, CONTENT)
    glacier.gives = silent = SlowBody(SILENT)
    in_a_thread(copy).join(SOON)
    try:
        assert [type(each) for each in ended] == [SourceStalled]
        wait_for(lambda: not any(each.name == "onepass-reader" for each in threading.enumerate()))
    finally:
        silent.ended.set()


def test_a_read_that_waits_for_the_beginning_of_an_answer_ends_with_it(
    glacier: GlacierServer, store: S3Glacier
) -> None:
    glacier.put(A, CONTENT)
    buffer = memoryview(bytearray(10))
    ended: list[Exception] = []
    with store.open(A) as source:
        glacier.held = threading.Event()

        def read() -> None:
            try:
                source.readinto(buffer)
            except ValueError as error:
                ended.append(error)

        reading = in_a_thread(read)
        wait_for(lambda: bool(glacier.asked("get")))
    glacier.held.set()
    reading.join(SOON)
    assert (len(ended), len(glacier.asked("get"))) == (1, 1)


def test_closing_what_was_read_to_its_end_leaves_its_connection_to_others(
    glacier: GlacierServer, tmp_path: Path
) -> None:
    glacier.put(A, CONTENT)
    glacier.put(B, CONTENT)
    buffer, content = memoryview(bytearray(1 << 20)), b""
    with store_at("http", glacier, tmp_path, attempts=1) as store, store.open(B) as later:
        with store.open(A) as source:
            while source.readinto(buffer):
                pass
            glacier.gives = body = SlowBody(SILENT)
            content += buffer[: later.readinto(buffer)]
        body.ended.set()
        while count := later.readinto(buffer):
            content += buffer[:count]
    assert content == CONTENT


def test_a_connection_that_breaks_is_made_again_where_it_broke(
    glacier: GlacierServer, store: S3Glacier
) -> None:
    glacier.put(A, CONTENT)
    answers = [broken_off]
    glacier.gives = lambda content: answers.pop()(content) if answers else [content]
    buffer, content = memoryview(bytearray(1 << 20)), b""
    with store.open(A) as source:
        while count := source.readinto(buffer):
            content += buffer[:count]
    assert content == CONTENT
    assert [each.range for each in glacier.asked("get")][1] == f"bytes={FIRST}-{len(CONTENT) - 1}"


def broken_off(content: bytes) -> Iterator[bytes]:
    yield content[:FIRST]
    raise ConnectionAbortedError
