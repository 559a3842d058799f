"""What is said of an engine that is away, that hangs, that lacks the namespace, or that no worker asks."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from temporalio.testing import WorkflowEnvironment

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.workflow.engine.connection import EngineAccess, connect, connect_when_up
from scicat_retriever.workflow.engine_watch import STARTING, EngineWatch

PROGRAM = str(Path(sys.executable).with_name("temporal"))


@asynccontextmanager
async def an_engine() -> AsyncIterator[str]:
    async with await WorkflowEnvironment.start_local(dev_server_existing_path=PROGRAM) as env:
        yield env.client.service_client.config.target_host


async def trouble_of(address: str, namespace: str = "default") -> dict[str, str | None]:
    client = await connect(EngineAccess(address, namespace, ()), lazy=True)
    watch = EngineWatch(client, "a-queue", address, utc_now)
    await watch.look()
    return dict(watch.trouble())


def test_where_no_worker_works_that_is_said_with_what_to_do() -> None:
    async def ask() -> dict[str, str | None]:
        async with an_engine() as address:
            return await trouble_of(address)

    found = asyncio.run(ask())
    assert found["engine"] is None
    assert found["worker"] is not None
    assert "works on a-queue, a-queue-copy, a-queue-verify:" in found["worker"]
    assert "start `retriever worker`" in found["worker"]


def test_a_start_does_not_warn_of_workers_that_are_being_started() -> None:
    now = [utc_now()]

    async def look() -> tuple[int, dict[str, str | None], list[object]]:
        async with an_engine() as address:
            client = await connect(EngineAccess(address, "default", ()), lazy=True)
            watch = EngineWatch(client, "a-queue", address, lambda: now[0])
            with capture_logs() as logs:
                await watch.look()
                early, trouble = len(logs), dict(watch.trouble())
                now[0] += STARTING
                await watch.look()
                await watch.look()
        return early, trouble, [each.get("waits_for") for each in logs]

    early, trouble, warned = asyncio.run(look())
    assert early == 0
    assert trouble["worker"] is not None  # the API is not ready all the same
    assert warned == ["worker"]


def test_a_namespace_that_is_not_there_is_named() -> None:
    async def ask() -> dict[str, str | None]:
        async with an_engine() as address:
            with pytest.raises(EngineUnavailable, match=r"has no namespace nowhere.*engine\.namespace"):
                await connect_when_up(EngineAccess(address, "nowhere", ()), patience=0)
            return await trouble_of(address, "nowhere")

    assert "nowhere" in str(asyncio.run(ask())["engine"])


@pytest.mark.parametrize("listens", [False, True])
def test_an_engine_that_is_away_or_hangs_is_said_so(*, listens: bool) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        if listens:  # and never says a word
            silent.listen()
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        found = asyncio.run(trouble_of(address))
        assert f"the workflow engine at {address} does not answer" in str(found["engine"])
        with pytest.raises(EngineUnavailable, match="does not answer"):
            asyncio.run(connect_when_up(EngineAccess(address, "default", ()), patience=0))
