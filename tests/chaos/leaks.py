"""What must not be left when all jobs have ended."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import psutil
from temporalio.client import Client
from temporalio.service import RPCError

from tests.chaos.findings import Fault, Finding
from tests.chaos.world import World

MOST_DESCRIPTORS = 400
"""Open files of a process beyond which something is not closed."""


def leaks(world: World) -> list[Finding]:
    """Give all that is left now; some of it may go a moment later."""
    found = [*_in_ledger(world), *_in_staging(world), *_in_engine(world), *_in_processes(world)]
    return [Finding(Fault.LEAKED, subject, what) for subject, what in found]


def _in_ledger(world: World) -> Iterator[tuple[str, str]]:
    for pid, size in world.book.rows("SELECT pid, bytes FROM claims"):
        yield f"claim {pid}", f"{size} bytes of staging space are still set aside"
    # One that holds no chosen file stays planned, and nobody works on it.
    unfinished = (
        "SELECT pid, id, state FROM datablocks WHERE state NOT IN ('staged', 'failed', 'released') "
        "AND NOT (state = 'planned' AND NOT wanted)"
    )
    for pid, block, state in world.book.rows(unfinished):
        yield f"datablock {pid} {block}", f"is left {state}"
    for pid, block, phase in world.book.rows("SELECT pid, datablock, phase FROM recalls"):
        yield f"recall {pid} {block}", f"is left {phase}"


def _in_staging(world: World) -> Iterator[tuple[str, str]]:
    for left in (world.staging.root / "partial").rglob("*"):
        yield f"partial {left.name}", f"{left} is left"
    tokens = {token for (token,) in world.book.rows("SELECT partial FROM datablocks WHERE state = 'staged'")}
    there = {path.name for path in (world.staging.root / "staged").rglob("*") if path.is_file()}
    for token in there - tokens:
        yield f"staged {token}", "is in staging, and the ledger does not know of it"
    for token in tokens - there:
        yield f"staged {token}", "is in the ledger, and not in staging"


def _in_engine(world: World) -> Iterator[tuple[str, str]]:
    try:
        running = asyncio.run(_running_flows(world.engine_port))
    except (RPCError, RuntimeError) as error:
        yield "engine", f"does not answer: {error}"
        return
    for flow in running:
        yield f"flow {flow}", "still runs"


async def _running_flows(port: int) -> list[str]:
    client = await Client.connect(f"127.0.0.1:{port}")
    query = "ExecutionStatus = 'Running' AND WorkflowType IN ('RetrieveJob', 'RetrieveDataset')"
    return [flow.id async for flow in client.list_workflows(query)]


def _in_processes(world: World) -> Iterator[tuple[str, str]]:
    partial = str(world.staging.root / "partial")
    for name, part in world.service.parts().items():
        try:
            files = _open_files(part.pid)
        except (OSError, psutil.Error):
            continue
        for file in files:
            if file.startswith((str(world.archives.lts), partial)):
                yield f"{name} {file}", "is still open: a copy hangs"
        if len(files) > MOST_DESCRIPTORS:
            yield name, f"has {len(files)} files open"
    for stranger in world.service.strangers():
        yield f"process {stranger.pid}", f"is of this service and not looked after: {stranger}"


def _open_files(pid: int) -> list[str]:
    files = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            files.append(os.readlink(descriptor))  # noqa: PTH115 - what it points to need not be a path
        except FileNotFoundError:
            continue
    return files
