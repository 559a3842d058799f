"""A real S3 with Glacier for tests: ministack, which restores what was archived after two seconds. In memory.

It wants libraries in other versions than the product does, so it lives in an environment of its own: `ministack` below
this one's folder, made from `ministack.lock`; or its program is on the PATH.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stand_ins.running import free_port
from tests.integration.s3_server import S3Server, answers, begin, wait_until_ready


class MinistackUnavailable(Exception):
    """ministack is not installed."""


class Ministack(S3Server):
    """A running server, to archive things in from outside."""


@contextmanager
def running_ministack() -> Iterator[Ministack]:
    """Start a server, and stop it in the end.

    Raises:
        MinistackUnavailable: It is not installed.
    """
    own = Path(sys.prefix) / "ministack" / "bin" / "ministack"
    program = str(own) if own.exists() else shutil.which("ministack")
    if program is None:
        raise MinistackUnavailable("ministack is not installed in an environment of its own")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="ministack-") as home, _serving(program, Path(home), port):
        yield Ministack(port)


@contextmanager
def _serving(program: str, home: Path, port: int) -> Iterator[None]:
    """Run the server until the end of the block, or until this process is gone, however it went."""
    environment = {"GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3"}
    running = begin([program], home, environment)
    try:
        wait_until_ready(running, home, lambda: answers(port))
        yield
    finally:
        running.communicate()
