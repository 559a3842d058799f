"""What is said of an engine that is away, that hangs, that lacks the namespace, or that no worker asks."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.testing import WorkflowEnvironment

from scicat_retriever.bootstrap import utc_now
from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.workflow.engine import EngineAccess, connect, connect_when_up
from scicat_retriever.workflow.engine_watch import EngineWatch

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
    assert "a-queue, a-queue-copy, a-queue-verify" in found["worker"]
    assert "start `retriever worker`" in found["worker"]


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
