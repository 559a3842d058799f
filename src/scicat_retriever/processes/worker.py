"""The worker process: carries flows and their steps out."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import math
import signal

import structlog

from scicat_retriever import bootstrap
from scicat_retriever.settings import Settings
from scicat_retriever.workflow.engine.connection import connect_when_up
from scicat_retriever.workflow.worker import run_worker

log = structlog.get_logger(__name__)


async def run_worker_process(settings: Settings) -> None:
    """Carry out flows until SIGTERM or SIGINT; then let running steps end, for a while.

    An engine that is away is waited for.

    Raises:
        SettingsInvalid: `engine.address` or a key is missing, or something else in the settings that the
            process needs.
    """
    bootstrap.make_data_folder(settings)
    bootstrap.check_apart(settings)
    access = bootstrap.engine_access(settings)
    tools = bootstrap.build_toolbox(settings)
    client = await connect_when_up(access, patience=math.inf)
    # All objects made until now stay: looking for garbage among them, again and again, takes 50 ms and more
    # each time, in which a step may hold the ledger.
    gc.freeze()
    work = asyncio.create_task(
        run_worker(
            client,
            tools,
            bootstrap.pace(settings),
            bootstrap.flow_limits(settings),
            bootstrap.worker_limits(settings),
        )
    )
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, work.cancel)
    log.info("the worker works", engine=access.address)
    with contextlib.suppress(asyncio.CancelledError):
        await work
    log.info("the worker has stopped")
