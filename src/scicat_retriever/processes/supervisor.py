"""`retriever serve`: engine, API, worker and consumer on one machine, each a process, restarted when it dies.

Every part can be killed at any time. When the supervisor itself is killed, its parts die with it (Linux's
parent death signal), so that a new start finds the ports free.

The supervisor does little itself, and imports little for it: the parts, started at once, check what they
need. A part that refuses says why, and ends the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from http.client import HTTPException
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import structlog

from scicat_retriever.bootstrap.clock import utc_now
from scicat_retriever.bootstrap.data_folder import make_data_folder
from scicat_retriever.bootstrap.keys import make_engine_key, make_link_key, make_manifest_key
from scicat_retriever.ledger.database.revision import lacks_migrations
from scicat_retriever.processes.engine_database import remove_if_half_made, set_aside_if_damaged
from scicat_retriever.processes.part import Part
from scicat_retriever.settings import (
    CONFIG_VARIABLE,
    ENVIRONMENT_PREFIX,
    OWN_ENGINE_VARIABLE,
    Settings,
    SettingsInvalid,
)
from scicat_retriever.workflow.engine.own_engine import own_engine_command

LOOK, SAYING = 0.1, 10.0
"""Seconds between two questions to the API whether it is ready, and between two log lines about the wait."""
ANSWER, LONGEST_ANSWER = 5.0, 100_000
"""Seconds that the API may take to say whether it is ready, and bytes that are read of what it says."""
BEHIND = 5
"""Niceness of the engine and the worker: jobs are taken quickly also while many flows run."""
_HTTP = build_opener(ProxyHandler({}))
"""A proxy of the environment is for the world outside, not for this machine."""
log = structlog.get_logger(__name__)


async def serve(settings: Settings, config: Path | None, announce: Callable[[str], None]) -> None:
    """Run the whole service until SIGTERM or SIGINT, then drain.

    Args:
        settings: The settings.
        config: The settings' file, which the parts read again.
        announce: Called with a sentence when the service is ready.

    Raises:
        SettingsInvalid: Something in the settings cannot be used, or a part cannot be run (`PartUnusable`).
        LedgerUnavailable: The ledger cannot be brought up to date.
        EngineUnavailable: There is no engine to run.
    """
    make_data_folder(settings)
    with _alone(settings.data):
        make_link_key(settings)
        make_manifest_key(settings)
        make_engine_key(settings)
        _check_ports(settings)
        upgrade_ledger(settings)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await _run_parts(settings, config, announce, stopped)


def upgrade_ledger(settings: Settings) -> None:
    """Bring the ledger up to date before the parts start: none of them waits as long as that may take.

    The tables of a new ledger in SQLite are made at once, by the first part that needs them. Where the tables
    of one that is there are up to date, nothing need be done.

    Raises:
        LedgerUnavailable: The ledger cannot be read or brought up to date.
    """
    if settings.ledger.url is not None or lacks_migrations(settings.ledger_file):
        # Deferred: what SQL needs is imported for this alone.
        from scicat_retriever.bootstrap.ledger import build_ledger

        build_ledger(settings).close()


async def _run_parts(
    settings: Settings, config: Path | None, announce: Callable[[str], None], stopped: asyncio.Event
) -> None:
    engine = None
    address = settings.engine.address
    if address is None:
        port = settings.engine.port or _free_port()
        address, engine = f"127.0.0.1:{port}", _own_engine(settings, port)
    own = engine is not None
    parts = [*([engine] if engine else []), *_parts(settings, config, address, own=own)]
    tasks: list[asyncio.Task[None]] = []
    try:
        tasks += [asyncio.create_task(part.keep_running()) for part in parts]
        ready = asyncio.create_task(_ready(f"{settings.api.local_url}/api/v1/ready"))
        await _first_of(ready, stopped, tasks)
        if not stopped.is_set():
            for part in parts:
                part.starting = False
            announce(f"ready at {settings.api.base_url}")
            await _first_of(asyncio.create_task(stopped.wait()), stopped, tasks)
    finally:
        await _drain(tasks, last=own)


def _own_engine(settings: Settings, port: int) -> Part:
    data = settings.data.resolve()

    def prepare() -> None:
        set_aside_if_damaged(data, utc_now())
        remove_if_half_made(data)

    return Part(
        "engine",
        own_engine_command(port, settings.engine.ui_port),
        # The engine is no program of ours: it gets none of our secrets.
        {name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)},
        BEHIND,
        data,
        prepare=prepare,
    )


def _parts(settings: Settings, config: Path | None, address: str, *, own: bool) -> list[Part]:
    environment = {
        **os.environ,
        f"{ENVIRONMENT_PREFIX}ENGINE__ADDRESS": address,
        f"{ENVIRONMENT_PREFIX}DATA": str(settings.data.resolve()),
        # Theirs by being on this machine; processes that run apart have to be told.
        f"{ENVIRONMENT_PREFIX}LEDGER__URL": settings.ledger_url,
        f"{ENVIRONMENT_PREFIX}API__PUBLIC_URL": settings.api.base_url,
    }
    if config is not None:
        environment[CONFIG_VARIABLE] = str(config)
    of_own_engine = {OWN_ENGINE_VARIABLE: "1"} if own else {}
    program = [sys.executable, "-m", "scicat_retriever"]
    parts = [
        Part("api", [*program, "api"], environment),
        Part("worker", [*program, "worker"], environment | of_own_engine, BEHIND),
    ]
    if settings.broker:
        # One that the broker refuses leaves all other ways for jobs to come.
        parts.append(Part("consumer", [*program, "consume"], environment, vital=False))
    return parts


async def _first_of(
    wanted: asyncio.Task[object] | asyncio.Task[None],
    stopped: asyncio.Event,
    parts: Sequence[asyncio.Task[None]],
) -> None:
    """Wait for `wanted`, for the stop, or for a part that cannot be run at all, whose error is raised."""
    stop = asyncio.create_task(stopped.wait())
    done, _ = await asyncio.wait({wanted, stop, *parts}, return_when=asyncio.FIRST_COMPLETED)
    for task in (wanted, stop):
        if task not in done:
            task.cancel()
    for task in done:
        task.result()


async def _drain(tasks: Sequence[asyncio.Task[None]], *, last: bool) -> None:
    """Stop the engine last: draining needs the engine, which was started first where it is our own."""
    log.info("the service stops")
    first_tasks = tasks[1:] if last else tasks
    for group in (first_tasks, tasks[:1] if last else []):
        for task in group:
            task.cancel()
        await asyncio.gather(*group, return_exceptions=True)


async def _ready(url: str) -> None:
    """Wait until the API says that all it needs is there, however long that takes.

    What is waited for is logged every few seconds.

    Args:
        url: Where it says so.
    """
    loop = asyncio.get_running_loop()
    said = loop.time()
    while missing := await asyncio.to_thread(_missing, url):
        if loop.time() - said > SAYING:
            said = loop.time()
            log.warning("the start waits", waits_for=missing)
        await asyncio.sleep(LOOK)


def _missing(url: str) -> str:
    """Name the parts that are not ready; empty where all are."""
    try:
        found = json.loads(_answer(url))
    except (OSError, HTTPException, ValueError):
        return "the API, which does not answer"
    return ", ".join(name for name, each in found.items() if name != "ready" and not each["ready"])


def _answer(url: str) -> bytes:
    try:
        with _HTTP.open(url, timeout=ANSWER) as answer:
            said: bytes = answer.read(LONGEST_ANSWER)
            return said
    except HTTPError as refusal:  # it says what is missing
        with refusal:
            return refusal.read(LONGEST_ANSWER)


@contextlib.contextmanager
def _alone(data: Path) -> Iterator[None]:
    """Hold the data folder for this process alone.

    Raises:
        SettingsInvalid: Another process holds it.
    """
    # Open for reading alone, so that the disk may become read-only and writable again while the service runs.
    descriptor = os.open(data / "lock", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor) as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsInvalid(
                f"data: another `retriever serve` uses {data}; stop it first, or take another folder"
            ) from None
        yield


def _check_ports(settings: Settings) -> None:
    _check_port("api.port", settings.api.host, settings.api.port)
    if settings.engine.address is None:
        _check_port("engine.port", "127.0.0.1", settings.engine.port)
        _check_port("engine.ui_port", "127.0.0.1", settings.engine.ui_port or 0)


def _check_port(key: str, host: str, port: int) -> None:
    try:
        for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:  # the API's own socket takes no IPv4 either
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except (socket.gaierror, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no name of a host"
        brackets = "; write IPv6 without brackets: ::1" if host.startswith("[") else ""
        raise SettingsInvalid(f"api.host: {host} is no address of this machine: {why}{brackets}") from None
    except OSError as error:
        why = error.strerror or "the system refuses"
        raise SettingsInvalid(f"{key}: cannot listen on {host}:{port}: {why}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
