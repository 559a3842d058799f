"""What the S3 servers of tests have in common: their account, a client of it, and that they end with the tests."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
from botocore.config import Config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

KEY, SECRET = "key-of-the-tests", "secret-of-the-tests-0123456789"
_START_SECONDS = 60


@dataclass(frozen=True)
class S3Server:
    """A running server.

    Attributes:
        port: Where it speaks S3, on 127.0.0.1.
    """

    port: int
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def url(self) -> str:
        """Where it speaks S3."""
        return f"http://127.0.0.1:{self.port}"

    @cached_property
    def client(self) -> S3Client:
        """A plain client, to do and see things from outside."""
        session = boto3.Session(aws_access_key_id=KEY, aws_secret_access_key=SECRET, region_name="us-east-1")
        config = Config(signature_version="s3v4", s3={"addressing_style": "path"})
        return session.client("s3", endpoint_url=self.url, config=config)

    def new_bucket(self, kind: str) -> str:
        """Make an empty bucket for things of a kind, and give its name."""
        name = f"{kind}-{next(self._numbers)}"
        self.client.create_bucket(Bucket=name)
        return name


def begin(
    command: Sequence[str | Path], home: Path, environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    """Start a server that ends when its standard input is closed, or when this process is gone, however it went.

    Args:
        command: The program and its arguments.
        home: The folder where it runs; what it prints is in the file `log` there.
        environment: Variables beside those of this process.
    """
    # The shell waits for its standard input to be closed, which the end of this process does too.
    guard = '"$@" </dev/null & server=$!; read -r _; kill -KILL $server; wait $server'
    with (home / "log").open("wb") as log:
        return subprocess.Popen(
            ["sh", "-c", guard, "sh", *command],
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            env={**os.environ, **environment},
        )


def wait_until_ready(running: subprocess.Popen[bytes], home: Path, is_ready: Callable[[], bool]) -> None:
    """Wait for a server that `begin` started.

    Raises:
        RuntimeError: It has ended, or is not ready in time; with what it printed.
    """
    deadline = time.monotonic() + _START_SECONDS
    while not is_ready():
        if time.monotonic() > deadline or running.poll() is not None:
            words = (home / "log").read_text(errors="replace").strip()[-2000:]
            raise RuntimeError(f"the S3 does not start: {words}")
        time.sleep(0.1)


def answers(port: int) -> bool:
    """Say whether something answers there by HTTP."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        connection.getresponse()
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
    return True
