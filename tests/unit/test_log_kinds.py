"""A log that no client can fill."""

from __future__ import annotations

import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from scicat_retriever.observability import logs
from scicat_retriever.observability.kinds import MOST, SECONDS, KindLimit


class HandClock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def written(clock: HandClock, monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What goes to standard error, once the logs are set up with a limit."""
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", root.handlers)
    monkeypatch.setattr(root, "level", root.level)
    kept = structlog.get_config()
    logs.configure("info", KindLimit(clock))
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(stream))
    yield stream
    structlog.configure(**kept)


def lines(written: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in written.getvalue().splitlines()]


def test_a_flood_of_one_kind_is_cut_and_says_so(written: io.StringIO, clock: HandClock) -> None:
    log = structlog.get_logger()
    for number in range(10_000):
        log.warning("a connection was refused", client=f"10.0.0.{number}")
    log.warning("something else")
    told = lines(written)
    assert len(told) == MOST + 1
    assert told[-2]["left_out"] == f"further lines like this, for {SECONDS:.0f} s"
    clock.now += SECONDS
    log.warning("a connection was refused", client="10.0.0.1")
    assert lines(written)[-1]["left_out"] == f"{10_000 - MOST} lines like this before"


def test_what_libraries_log_is_cut_too_with_its_tracebacks(written: io.StringIO) -> None:
    for number in range(1000):
        logging.getLogger("asyncio").error(
            "socket.accept() out of system resource, %d", number, exc_info=OSError()
        )
    assert len(lines(written)) == MOST


def test_a_start_does_not_tell_of_the_parts_of_a_library(written: io.StringIO) -> None:
    logging.getLogger("alembic.runtime.plugins").info("setup plugin %s", "alembic.autogenerate.schemas")
    logging.getLogger("alembic.runtime.migration").info("Running upgrade r0004 -> r0005")
    assert len(lines(written)) == 1


def test_numbers_make_no_other_kind(written: io.StringIO) -> None:
    log = structlog.get_logger()
    for number in range(1000):
        text = f"request {number} failed"
        log.error(text)
    assert len(lines(written)) == MOST


def test_who_asked_for_what_is_told_whole(written: io.StringIO) -> None:
    log = structlog.get_logger()
    for number in range(MOST * 3):
        log.info("a request was let in", path=f"/api/v1/jobs/{number}")
    assert len(lines(written)) == MOST * 3


def test_memory_does_not_grow_with_the_number_of_kinds(clock: HandClock) -> None:
    limit = KindLimit(clock)
    for number in range(5000):
        text = "".join(chr(97 + int(digit)) for digit in str(number))
        assert limit(None, "warning", {"event": text}) == {"event": text}
    assert len(limit.__dict__["_windows"]) <= 1000
