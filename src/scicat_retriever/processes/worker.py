"""The worker process: carries flows and their steps out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal

import structlog

from scicat_retriever.bootstrap.data_folder import check_apart, make_data_folder
from scicat_retriever.bootstrap.engine import engine_access, flow_limits
from scicat_retriever.bootstrap.toolbox import build_toolbox
from scicat_retriever.bootstrap.worker import pace, worker_limits
from scicat_retriever.settings import Settings
from scicat_retriever.workflow.engine.connection import connect_when_up, keep_history
from scicat_retriever.workflow.worker import run_worker

COLLECTED_AT = (50_000, 20, 20)
"""After how many new objects garbage is looked for among them, and how often among older ones (gc)."""
log = structlog.get_logger(__name__)


async def run_worker_process(settings: Settings, *, own_engine: bool = False) -> None:
    """Carry out flows until SIGTERM or SIGINT; then let running steps end, for a while.

    An engine that is away is waited for.

    Args:
        settings: The settings.
        own_engine: Whether the engine is the service's own: how long it remembers is set then.

    Raises:
        SettingsInvalid: `engine.address` or a key is missing, or something else in the settings that the
            process needs.
    """
    make_data_folder(settings)
    check_apart(settings)
    access = engine_access(settings)
    tools = build_toolbox(settings)
    client = await connect_when_up(access, patience=math.inf)
    if own_engine:
        await keep_history(client)
    # All objects made until now stay: looking for garbage among them, again and again, takes 50 ms and more
    # each time, in which a step may hold the ledger.
    gc.freeze()
    gc.set_threshold(*COLLECTED_AT)
    work = asyncio.create_task(
        run_worker(
            client,
            tools,
            pace(settings),
            flow_limits(settings),
            worker_limits(settings),
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    log.info("the worker works", engine=access.address)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    log.info("the worker has stopped")
