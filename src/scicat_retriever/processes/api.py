"""The API process: takes jobs, hands them to the engine, answers questions, serves downloads."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial

import structlog
from fastapi import FastAPI

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.bootstrap.data_folder import check_apart, make_data_folder
from scicat_retriever.bootstrap.engine import engine_access, flow_limits
from scicat_retriever.bootstrap.ledger import build_ledger
from scicat_retriever.bootstrap.links import build_links, build_signer, link_margin
from scicat_retriever.bootstrap.staging import build_staging
from scicat_retriever.http_api.app import Lifespan, create_app
from scicat_retriever.http_api.auth import TokenGuard
from scicat_retriever.http_api.connections.limits import shares
from scicat_retriever.http_api.downloads.journal import DownloadJournal
from scicat_retriever.http_api.server import LimitedServer, server_config
from scicat_retriever.http_api.service import Service
from scicat_retriever.http_api.tokens import Scope
from scicat_retriever.observability import logs
from scicat_retriever.observability.kinds import KindLimit
from scicat_retriever.pipeline.delivery.signature import ListSigner
from scicat_retriever.ports.ledger import Ledger
from scicat_retriever.processes.descriptors import raise_descriptor_limit
from scicat_retriever.settings import Settings
from scicat_retriever.workflow.engine.connection import connect
from scicat_retriever.workflow.engine_watch import EngineWatch
from scicat_retriever.workflow.flows.schedules import INVENTORY, trigger
from scicat_retriever.workflow.starter import FlowStarter

log = structlog.get_logger(__name__)


async def run_api(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT; then let open requests end, for a while.

    The engine need not be up: jobs are stored, and started once it is.

    Raises:
        SettingsInvalid: `engine.address` or a key is missing, or something else in the settings that the
            process needs.
    """
    make_data_folder(settings)
    check_apart(settings)
    access = engine_access(settings)
    logs.configure(settings.log_level, KindLimit())
    ledger = build_ledger(settings)
    client = await connect(access, lazy=True)
    starter = FlowStarter(client, ledger, flow_limits(settings))
    check_staging = partial(trigger, client, settings.engine.task_queue, INVENTORY)
    _warn_of_tokens(settings)
    watch = EngineWatch(client, settings.engine.task_queue, access.address, utc_now)
    limits = settings.api.limits
    share = shares(limits, raise_descriptor_limit())
    service = _service(settings, ledger, starter.wake, check_staging, watch.trouble)
    app = create_app(service, _beside(starter, watch), share.downloads, limits.download_wait)
    config = server_config(app, settings.api, share.connections)
    try:
        await LimitedServer(config).serve()
    finally:
        ledger.close()


def _warn_of_tokens(settings: Settings) -> None:
    now = utc_now()
    valid = [token for token in settings.api.all_tokens if token.is_valid(now)]
    for scope, what in (
        (Scope.INTAKE, "SciCat's jobs are refused"),
        (Scope.OPERATE, "commands such as `retriever jobs cancel` and `retriever staging evict` are refused"),
    ):
        if not any(token.may((scope,)) for token in valid):
            log.warning(
                "no valid token has this scope: add an [[api.token]] that has it",
                scope=scope,
                without_it=what,
            )


def _beside(starter: FlowStarter, watch: EngineWatch) -> Lifespan:
    """Have flows started, the engine watched and downloads noted, for as long as the application runs."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        # All objects made until now stay: looking for garbage among them again and again holds up requests
        # for 50 ms and more.
        gc.freeze()
        # The objects of many connections are not looked through each time that a few hundred more objects are
        # there.
        gc.set_threshold(50_000, 20, 20)
        journal: DownloadJournal = app.state.journal
        tasks = [asyncio.create_task(each.run()) for each in (starter, watch, journal)]
        yield
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()

    return lifespan


def _signer(settings: Settings) -> ListSigner | None:
    made = build_signer(settings)
    if made is None:
        log.warning(
            "manifests and lists of checksums are not signed: set links.manifest_secret, the same for all processes"
        )
    return made


def _service(
    settings: Settings,
    ledger: Ledger,
    wake: Callable[[], None],
    check_staging: Callable[[], Awaitable[None]],
    engine_trouble: Callable[[], Mapping[str, str | None]],
) -> Service:
    return Service(
        ledger=ledger,
        staging=build_staging(settings, ledger),
        links=build_links(settings),
        signer=_signer(settings),
        guard=TokenGuard(settings.api.all_tokens, utc_now),
        job_types=settings.job_types,
        stores=tuple(settings.all_stores),
        max_body_bytes=settings.api.max_body_bytes,
        clock=utc_now,
        wake=wake,
        cache=settings.cache,
        lifetime=timedelta(seconds=settings.links.lifetime),
        margin=link_margin(settings),
        fixity_pace=settings.cache,
        sweep_interval=timedelta(seconds=settings.cache.sweep_interval),
        check_staging=check_staging,
        engine_trouble=engine_trouble,
    )
