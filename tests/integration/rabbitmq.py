"""A real RabbitMQ for tests, from the programs that a package of the system brings (Debian: `rabbitmq-server`).

It listens on 127.0.0.1 alone, on ports of its own, and keeps all its files in a folder of its own. The packaged
service is neither used nor touched. Where the tests run as root, it runs as `nobody`.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stand_ins.running import free_port

USER, PASSWORD = "scicat", "a/pass%word@of:the?broker"
_PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""The programs themselves: those in the path insist on the packaged service's user and folders."""
_START_SECONDS = 90.0
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"
_GUARD = """
"$1" -address 127.0.0.1 -port "$ERL_EPMD_PORT" &
"$2" &
read -r _
kill -KILL 0
"""
"""Runs the port mapper and the broker until its standard input is closed, which the end of the tests does too."""


class RabbitUnavailable(Exception):
    """RabbitMQ cannot be had on this machine; the message says why."""


class Rabbit:
    """A broker that can be stopped and started again with what it holds.

    Args:
        home: The folder for its files, of the user that runs it.
        user: The user that runs it; None is the one that runs the tests.
    """

    def __init__(self, home: Path, user: str | None) -> None:
        self._home = home
        self._user = user
        self._port = free_port()
        self._ports = {"RABBITMQ_DIST_PORT": free_port(), "ERL_EPMD_PORT": free_port()}
        self._running: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        """The port for AMQP."""
        return self._port

    @property
    def url(self) -> str:
        """Where it is, with the account that may do everything."""
        return self.url_of(PASSWORD)

    def url_of(self, password: str, vhost: str = "") -> str:
        """Give an address with another password, or of another virtual host."""
        return f"amqp://{USER}:{quote(password, safe='')}@127.0.0.1:{self._port}/{vhost}"

    def start(self) -> None:
        """Start it, unless it runs, and wait until it speaks AMQP.

        Raises:
            RabbitUnavailable: It does not start here; the message holds the end of what it said.
        """
        if self._running is not None:
            return
        epmd = shutil.which("epmd")
        if epmd is None:
            raise RabbitUnavailable("there is no epmd, which is a part of Erlang")
        with (self._home / "output").open("ab") as output:
            self._running = subprocess.Popen(
                ["sh", "-c", _GUARD, "sh", epmd, _PROGRAMS / "rabbitmq-server"],
                cwd=self._home,
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                start_new_session=True,
                **_as_user(self._user),
            )
        deadline = time.monotonic() + _START_SECONDS
        while not self._speaks():
            if self._running.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RabbitUnavailable(f"RabbitMQ does not start here:\n{self._words()}")
            time.sleep(0.1)

    def kill(self) -> None:
        """Kill it and all that it started (-9). What was confirmed to be stored is there at the next start."""
        if self._running is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(self._running.pid, signal.SIGKILL)
        self._running.communicate()
        self._running = None

    def _environment(self) -> Mapping[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))
        }
        home = self._home
        return {
            **kept,
            "HOME": str(home),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"retriever-{self._port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._port),
            "RABBITMQ_CONF_ENV_FILE": str(home / "no-environment.conf"),
            "RABBITMQ_CONFIG_FILE": str(home / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home / "no-advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home / "enabled_plugins"),
            "RABBITMQ_MNESIA_BASE": str(home / "data"),
            "RABBITMQ_LOG_BASE": str(home / "log"),
            "RABBITMQ_PID_FILE": str(home / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-start_epmd false +S 1:1",
            **{name: str(port) for name, port in self._ports.items()},
        }

    def _speaks(self) -> bool:
        """Say whether it answers the protocol's first line with a frame."""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 5) as connection:
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(1) == b"\x01"
        return False

    def _words(self) -> str:
        return (self._home / "output").read_text(errors="replace")[-2000:]


@contextmanager
def running_rabbit() -> Iterator[Rabbit]:
    """Start a broker; stop it and remove all of it in the end.

    Raises:
        RabbitUnavailable: It is not installed or does not run here.
    """
    if not (_PROGRAMS / "rabbitmq-server").exists():
        raise RabbitUnavailable("RabbitMQ is not installed (Debian: apt-get install rabbitmq-server)")
    home = Path(tempfile.mkdtemp(prefix="rabbit-"))
    try:
        (home / "enabled_plugins").write_text("[].\n")
        (home / "rabbitmq.conf").write_text(
            f"default_user = {USER}\ndefault_pass = {PASSWORD}\nvm_memory_high_watermark.absolute = 256MiB\n"
            "disk_free_limit.absolute = 1MB\n"
        )
        user = _unprivileged(home)
        rabbit = Rabbit(home, user)
        try:
            rabbit.start()
            yield rabbit
        finally:
            rabbit.kill()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _unprivileged(home: Path) -> str | None:
    """Give the folder to the user that runs the broker, where it should not be the one that runs the tests."""
    if os.geteuid() != 0:
        return None
    nobody = pwd.getpwnam("nobody")
    for path in (home, *home.iterdir()):
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    return nobody.pw_name


def _as_user(user: str | None) -> dict[str, Any]:
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
