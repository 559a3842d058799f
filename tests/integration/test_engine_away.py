"""What is asked of an engine that is not there."""

from __future__ import annotations

import asyncio
import socket

import pytest

from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.workflow.engine.connection import EngineAccess, connect
from scicat_retriever.workflow.flows.schedules import INVENTORY, trigger


def test_a_look_that_the_engine_cannot_be_asked_for_says_so() -> None:
    with socket.socket() as unanswering:
        unanswering.bind(("127.0.0.1", 0))  # bound, and nobody listens
        port = unanswering.getsockname()[1]

        async def ask() -> None:
            client = await connect(EngineAccess(f"127.0.0.1:{port}", "default", ()), lazy=True)
            await trigger(client, "a-queue", INVENTORY)

        with pytest.raises(EngineUnavailable, match="cannot run check-staging now"):
            asyncio.run(ask())
