"""`retriever serve`: engine, API, worker and consumer on one machine, each a process, restarted when it dies.

Every part can be killed at any time. When the supervisor itself is killed, its parts die with it (Linux's parent
death signal), so that a new start finds the ports free.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import httpx2
import structlog

from scicat_retriever import bootstrap
from scicat_retriever.domain.errors import EngineUnavailable
from scicat_retriever.settings import CONFIG_VARIABLE, ENVIRONMENT_PREFIX, Settings, SettingsInvalid
from scicat_retriever.workflow.engine import EngineAccess, connect_when_up, keep_history, own_engine_command
from scicat_retriever.workflow.schedules import require_ours

FIRST_PAUSE, LONGEST_PAUSE = 0.2, 2.0
"""Seconds before a part that ended is started again: doubled each time it ends soon, up to the longest."""
SETTLED_SECONDS = 10.0
"""A part that ran so long did not end soon."""
START_SECONDS = 60.0
"""How long the parts may take to be up."""
STOP_SECONDS = 35.0
"""How long a part may take to drain before it is killed: longer than the worker's own patience."""
BEHIND = 5
"""Niceness of the parts that nobody waits for: jobs are taken quickly also while many flows run."""
_PR_SET_PDEATHSIG = 1
log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Part:
    """A process of the service.

    Attributes:
        name: What it is called in the log.
        command: Its command line.
        environment: Its environment.
        niceness: How far it steps back when processors are scarce (nice(2)): who answers people goes first.
        folder: Its working folder; None: that of this process.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    niceness: int = 0
    folder: Path | None = None

    async def start(self) -> asyncio.subprocess.Process:
        """Start the process, bound to die with this one."""
        return await asyncio.create_subprocess_exec(
            *self.command,
            env=self.environment,
            cwd=self.folder,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sys.stderr.fileno(),  # standard output is for the supervisor's own words
            preexec_fn=self._set_up,
        )

    def _set_up(self) -> None:
        """Run in the new process, before its program."""
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.nice(self.niceness)

    async def keep_running(self) -> None:
        """Run the process, and start it again when it ends; cancelled, ask it to drain."""
        pause = FIRST_PAUSE
        while True:
            started = asyncio.get_running_loop().time()
            process = await self.start()
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await _stop(process)
                raise
            if asyncio.get_running_loop().time() - started > SETTLED_SECONDS:
                pause = FIRST_PAUSE
            log.warning("a part ended and is started again", part=self.name, code=code, pause=pause)
            await asyncio.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)


async def _stop(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()


async def serve(settings: Settings, config: Path | None, announce: Callable[[str], None]) -> None:
    """Run the whole service until SIGTERM or SIGINT, then drain.

    Args:
        settings: The settings.
        config: The settings' file, which the parts read again.
        announce: Told, in a sentence, when the service is ready.

    Raises:
        SettingsInvalid: Something in the settings cannot be used.
        EngineUnavailable: The engine does not come up.
    """
    bootstrap.make_data_folder(settings)
    with _alone(settings.data):
        bootstrap.make_link_key(settings)
        bootstrap.make_engine_key(settings)
        ledger = bootstrap.build_ledger(settings)
        try:
            bootstrap.build_staging(settings, ledger)
            identity = ledger.identity()
        finally:
            ledger.close()
        _check_port(settings)
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        await _run_parts(settings, config, announce, stopped, identity)


async def _run_parts(
    settings: Settings,
    config: Path | None,
    announce: Callable[[str], None],
    stopped: asyncio.Event,
    identity: str,
) -> None:
    engine = None
    address = settings.engine.address
    if address is None:
        port = settings.engine.port or _free_port()
        address = f"127.0.0.1:{port}"
        command = own_engine_command(port, settings.engine.ui_port)
        # The engine is no program of ours: it gets none of our secrets.
        strangers = {
            name: value for name, value in os.environ.items() if not name.startswith(ENVIRONMENT_PREFIX)
        }
        engine = Part("engine", command, strangers, BEHIND, settings.data.resolve())
    environment = {
        **os.environ,
        f"{ENVIRONMENT_PREFIX}ENGINE__ADDRESS": address,
        f"{ENVIRONMENT_PREFIX}DATA": str(settings.data.resolve()),
    }
    if config is not None:
        environment[CONFIG_VARIABLE] = str(config)
    program = [sys.executable, "-m", "scicat_retriever"]
    names = {"api": "api", "worker": "worker"} | ({"consumer": "consume"} if settings.broker else {})
    parts = [
        Part(name, [*program, command], environment, BEHIND if name == "worker" else 0)
        for name, command in names.items()
    ]
    tasks: list[asyncio.Task[None]] = []
    try:
        if engine is not None:
            tasks.append(asyncio.create_task(engine.keep_running()))
        tasks += [asyncio.create_task(part.keep_running()) for part in parts]
        own = engine is not None
        reached = settings.model_copy(
            update={"engine": settings.engine.model_copy(update={"address": address})}
        )
        access = bootstrap.engine_access(reached)
        ready = asyncio.create_task(_ready(settings, identity, access, own=own))
        await _first_of(ready, stopped, tasks)
        if not stopped.is_set():
            announce(f"ready at {settings.api.base_url}")
            await _first_of(asyncio.create_task(stopped.wait()), stopped, tasks)
    finally:
        await _drain(tasks, last=engine is not None)


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


async def _ready(settings: Settings, identity: str, access: EngineAccess, *, own: bool) -> None:
    """Wait until the engine and the API answer.

    Raises:
        EngineNotOurs: The engine works for another ledger than the one of this identity.
        EngineUnavailable: One of them does not, for too long.
    """
    client = await connect_when_up(access, patience=START_SECONDS)
    await require_ours(client, settings.engine.task_queue, identity)
    if own:
        await keep_history(client)
    url = f"{settings.api.local_url}/api/v1/health"
    try:
        # A proxy of the environment is for the world outside, not for this machine.
        async with asyncio.timeout(START_SECONDS), httpx2.AsyncClient(trust_env=False) as http:
            while not await _answers(http, url):  # noqa: ASYNC110 - another process cannot set an event here
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise EngineUnavailable(f"the API does not answer at {url}; its log says why") from None


async def _answers(http: httpx2.AsyncClient, url: str) -> bool:
    try:
        return (await http.get(url)).is_success
    except httpx2.HTTPError:
        return False


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


def _check_port(settings: Settings) -> None:
    host, port = settings.api.host, settings.api.port
    try:
        for family, kind, _, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:  # the API's own socket takes no IPv4 either
                    probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                probe.bind(address)
    except (OSError, UnicodeError) as error:
        why = (error.strerror if isinstance(error, OSError) else None) or "it is no address"
        raise SettingsInvalid(f"api.port: cannot listen on {host}:{port}: {why}") from None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
