"""The service under attack: `retriever serve`, kept up as systemd would, and its parts, to be killed."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx2
import psutil

from stand_ins import local_http
from stand_ins.running import RunningService, ServiceFolder

PARTS = ("engine", "api", "worker")
VICTIMS = (*PARTS, "supervisor", "all")


class Service:
    """Starts the service again whenever it has ended, until told otherwise.

    Args:
        folder: Where it keeps its things.
    """

    def __init__(self, folder: ServiceFolder) -> None:
        self.folder = folder
        self.restarts_wanted = threading.Event()
        self.restarts_wanted.set()
        self._over = threading.Event()
        self._running = RunningService(folder)
        self._thread = threading.Thread(target=self._keep_up, name="service", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Kill it for good."""
        self._over.set()
        self.restarts_wanted.set()
        while self._thread.is_alive():
            self.kill("supervisor")
            self._thread.join(0.1)

    @property
    def supervisor(self) -> psutil.Process | None:
        """The process that systemd would look after."""
        with suppress(RuntimeError, psutil.NoSuchProcess):
            process = psutil.Process(self._running.process.pid)
            if self._running.process.poll() is None:
                return process
        return None

    def parts(self) -> dict[str, psutil.Process]:
        """The parts that run, by name."""
        supervisor, found = self.supervisor, {}
        with suppress(psutil.NoSuchProcess):
            for child in _children(supervisor.pid) if supervisor else []:
                with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    found[_name(child.cmdline())] = child
        return {name: part for name, part in found.items() if name in PARTS}

    def pids(self, victim: str) -> set[int]:
        """The processes that `victim` stands for now."""
        parts = self.parts()
        if victim in PARTS:
            return {parts[victim].pid} if victim in parts else set()
        supervisor = self.supervisor
        return {part.pid for part in parts.values()} | ({supervisor.pid} if supervisor else set())

    def kill(self, victim: str) -> set[int]:
        """Kill -9 a part, the supervisor (whose parts die with it), or all at once; gives who was killed."""
        doomed = self.pids(victim)
        supervisor = self.supervisor
        hit = {supervisor.pid} if victim == "supervisor" and supervisor else doomed
        for pid in hit:
            with suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
        return doomed

    @contextmanager
    def suspended(self, part: str) -> Iterator[None]:
        """Stop a part (SIGSTOP) while the context lasts."""
        process = self.parts().get(part)
        if process is None:
            yield
            return
        with suppress(psutil.NoSuchProcess):
            process.suspend()
        try:
            yield
        finally:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    @contextmanager
    def parts_dead_and_not_restarted(self) -> Iterator[None]:
        """Have the three parts killed, and the supervisor unable to start them, while the context lasts."""
        supervisor = self.supervisor
        if supervisor is None:
            yield
            return
        with suppress(psutil.NoSuchProcess):
            supervisor.suspend()
        try:
            gone = self.parts().values()
            for part in gone:
                with suppress(psutil.NoSuchProcess):
                    part.kill()
            wait_until(lambda: not any(_runs(part) for part in gone), 10)
            yield
        finally:
            with suppress(psutil.NoSuchProcess):
                supervisor.resume()

    def new_pid(self, victim: str, before: set[int], seconds: float = 30.0) -> float | None:
        """Wait until a killed part was started again; gives the monotonic second, None if it was not in time."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            running = self.parts().get(victim) if victim in PARTS else self.supervisor
            if running is not None and running.pid not in before:
                return time.monotonic()
            time.sleep(0.01)
        return None

    def answers(self) -> bool:
        """Whether the API does."""
        try:
            answer = local_http.get(f"{self.folder.url}/api/v1/health", timeout=2)
            return answer.is_success
        except httpx2.HTTPError:
            return False

    def strangers(self) -> list[psutil.Process]:
        """Processes of this service beside those that it should have."""
        own = self.pids("all")
        config, found = str(self.folder.root / "retriever.toml"), []
        for process in psutil.process_iter():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if process.pid not in own and process.environ().get("RETRIEVER_CONFIG") == config:
                    found.append(process)
        return found

    def _keep_up(self) -> None:
        while not self._over.is_set():
            self.restarts_wanted.wait()
            if self._over.is_set():
                break
            if self.supervisor is None:
                with contextlib.suppress(RuntimeError):
                    self._running.start()
            self._over.wait(0.1)


def _children(pid: int) -> list[psutil.Process]:
    """Give a process's children; psutil would look through all processes, which is too slow to do often."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                with suppress(psutil.NoSuchProcess):
                    found.append(psutil.Process(int(child)))
    return found


def _name(command: list[str]) -> str:
    return "engine" if any("start-dev" in word for word in command) else (command[2:] or [""])[-1]


def _runs(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE and process.is_running()
    except psutil.NoSuchProcess:
        return False


def wait_until(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Wait for a condition, looking again after each pause; says whether it came true in time."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(pause)
    return True
