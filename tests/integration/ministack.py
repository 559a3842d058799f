"""A real S3 with Glacier for tests: ministack, which restores what was archived after two seconds. In memory.

It wants libraries in other versions than the product does, so it lives in an environment of its own: `ministack` below
this one's folder, made from `ministack.lock`; or its program is on the PATH.
"""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

from stand_ins.running import free_port

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests-0123456789"
_START_SECONDS = 60


class MinistackUnavailable(Exception):
    """ministack is not installed."""


@dataclass(frozen=True)
class Ministack:
    """A running server.

    Attributes:
        port: Where it speaks S3, on 127.0.0.1.
    """

    port: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @cached_property
    def client(self) -> S3Client:
        """A plain client, to archive things from outside."""
        session = boto3.Session(aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        return session.client("s3", endpoint_url=f"http://127.0.0.1:{self.port}", config=config)

    def new_bucket(self) -> str:
        """Make an empty bucket, and give its name."""
        name = f"archive-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        return name


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
    # The shell waits for its standard input to be closed, which the end of this process does too.
    guard = '"$@" </dev/null & server=$!; read -r _; kill -KILL $server; wait $server'
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(
            ["sh", "-c", guard, "sh", program],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, "GATEWAY_PORT": str(port), "BIND_HOST": "127.0.0.1", "SERVICES": "s3"},
        )
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not _answers(port):
            if time.monotonic() > deadline or running.poll() is not None:
                words = (home / "log").read_text(errors="replace").strip()[-2000:]
                raise RuntimeError(f"ministack does not start: {words}")
            time.sleep(0.1)
        yield
    finally:
        running.communicate()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True
