"""Run the service as a process of its own, as an operator does: for the demo, the tests and the benches."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stand_ins import local_http

TOKEN = "a-token-for-trying-it-out"
START_SECONDS = 180.0


def free_port() -> int:
    """Give a port that nobody listens on, on 127.0.0.1.

    It lies below those that Linux gives to outgoing connections (32768 and up): one of them could take it meanwhile. No
    browser refuses one of these.
    """
    while True:
        port = 7_000 + secrets.randbelow(3_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


@dataclass
class ServiceFolder:
    """Where a service that is tried out keeps its things, and how it is set.

    Attributes:
        root: A folder of its own; the long-term store, staging, data and log are below it.
        scicat_url: The catalogue.
        port: The API's port.
        settings: More settings by section and key; they win over the ones made here.
        environment: Added to the process's environment.
    """

    root: Path
    scicat_url: str
    port: int = field(default_factory=free_port)
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def lts(self) -> Path:
        """The folder that stands for the long-term store."""
        return self.root / "lts"

    @property
    def staging(self) -> Path:
        """The staging area."""
        return self.root / "staging"

    @property
    def log(self) -> Path:
        """What the service wrote to standard error."""
        return self.root / "service.log"

    @property
    def url(self) -> str:
        """The API."""
        host = str(self.settings.get("api", {}).get("host", "127.0.0.1"))
        return f"http://[{host}]:{self.port}" if ":" in host else f"http://{host}:{self.port}"

    def write_settings(self) -> Path:
        """Write `retriever.toml`; gives its path."""
        sections: dict[str, dict[str, Any]] = {
            "api": {"port": self.port, "token": [{"name": "tests", "token": TOKEN, "scope": ["operate"]}]},
            "catalogue": {
                "url": self.scicat_url,
                "username": "archiveManager",
                "password": "archivemanager-pw",
            },
            "lts": {"root": str(self.lts)},
            "staging": {"root": str(self.staging), "keep_free_bytes": 0},
        }
        for section, keys in self.settings.items():
            # Another kind of a part has other keys.
            kept = {} if "kind" in keys else sections.get(section, {})
            sections[section] = {**kept, **keys}
        lines = [f'data = "{self.root / "data"}"']
        for section, keys in sections.items():
            lines += ["", f"[{section}]", *(f"{key} = {_toml(value)}" for key, value in keys.items())]
        file = self.root / "retriever.toml"
        self.lts.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(lines) + "\n")
        return file


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {_toml(its)}" for key, its in value.items()) + "}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value)


class RunningService:
    """`retriever serve`, started when the context is entered and stopped when it is left.

    Args:
        folder: Where it keeps its things.
        command: The subcommand with which it is started.
    """

    def __init__(self, folder: ServiceFolder, command: str = "serve") -> None:
        self.folder = folder
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The process."""
        if self._process is None:
            raise RuntimeError("the service was not started")
        return self._process

    @property
    def is_running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until its API answers.

        Raises:
            RuntimeError: It ended, or did not answer in time; the end of its log is in the message.
        """
        config = self.folder.write_settings()
        with self.folder.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "scicat_retriever", self._command, "--config", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                env={**os.environ, **self.folder.environment},
            )
        self._wait_until_ready()

    def _wait_until_ready(self) -> None:
        process = self.process
        if process.stdout is None:
            raise RuntimeError("the service was started without a way to hear of it")
        heard, _, _ = select.select([process.stdout], [], [], START_SECONDS)
        if not heard or b"ready" not in process.stdout.readline():
            self.kill()
            raise RuntimeError(f"the service did not start:\n{self.log_end()}")

    def stop(self) -> int:
        """Ask it to drain and wait for its end; gives its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()

    def kill(self) -> None:
        """Kill it (-9), its parts with it."""
        self.process.kill()
        self.process.wait()

    def log_end(self, length: int = 4000) -> str:
        """Give the end of its log."""
        return self.folder.log.read_text(errors="replace")[-length:]

    def job(self, job_id: str) -> dict[str, Any]:
        """Ask its API how far a job is."""
        return self._ask(f"/jobs/{job_id}")

    def recalls(self, limit: int = 1000) -> dict[str, Any]:
        """Ask its API what waits for tape: how many of each store, and so many of them."""
        return self._ask(f"/recalls?limit={limit}")

    def _ask(self, path: str) -> dict[str, Any]:
        answer = local_http.get(
            f"{self.folder.url}/api/v1{path}",
            headers={"Authorization": f"Bearer {TOKEN}"},
            timeout=60,
        )
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def wait_for_job(self, job_id: str, seconds: float = 120.0) -> dict[str, Any]:
        """Wait until a job has ended and SciCat was told, or cannot be; gives its last status.

        Raises:
            TimeoutError: It did not end in time; the end of the log is in the message.
        """
        end = time.monotonic() + seconds
        while True:
            begun = time.monotonic()
            status = self.job(job_id)
            if is_over(status):
                return status
            if begun > end:
                raise TimeoutError(f"job {job_id} did not end in {seconds} s:\n{status}\n{self.log_end()}")
            time.sleep(pause_after(time.monotonic() - begun))


def pause_after(look: float) -> float:
    """Give the seconds from one look at what is waited for to the next.

    They are four times those that the look took: looking at a service takes the processor from its work.

    Args:
        look: Seconds that the last look took.
    """
    return min(0.5, max(0.02, 4 * look))


def is_over(status: Mapping[str, Any]) -> bool:
    """Say of a job's status whether it has ended, and SciCat was told of it or cannot be."""
    report = status["report"]
    ended = str(status["state"]).startswith("finished")
    return ended and (report is None or report["state"] != "waiting")
