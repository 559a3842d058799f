"""The commands against an application on fakes, without a socket."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import httpx2
import typer
from starlette.testclient import TestClient
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from scicat_retriever.cli.operator import commands as operator_cli
from scicat_retriever.settings import Settings, load_settings
from tests.unit.http_api.rig import TOKEN

Handler = Callable[[httpx2.Request], httpx2.Response]
SETTINGS = load_settings(
    None,
    api={"token": [{"name": "operator", "token": TOKEN, "scope": ["operate"]}], "port": 9},
    catalogue={"url": "https://scicat.example.org", "username": "archiveManager", "password": "its-password"},
    lts={"root": "/archive"},
    staging={"root": "/staging"},
)


class Operator:
    """Somebody who types commands.

    Attributes:
        requests: What was sent to the API.
        configs: Which settings' files were read.
        during_pause: Called when a command waits.
    """

    def __init__(self, answer: TestClient | Handler, settings: Settings = SETTINGS) -> None:
        self._answer = answer
        self._settings = settings
        self.requests: list[httpx2.Request] = []
        self.configs: list[Path | None] = []
        self.pauses = 0
        self.during_pause: Callable[[], object] = lambda: None
        self._app = typer.Typer()
        groups = operator_cli.commands(self._load, httpx2.MockTransport(self._send), self._pause)
        for name, group in groups.items():
            self._app.add_typer(group, name=name)

    def types(self, *words: str, **variables: str) -> Result:
        """Run a command whose output is no terminal's, with variables in its environment."""
        environment = {"COLUMNS": "60", "NO_COLOR": "1", "TERM": "dumb", **variables}
        return CliRunner().invoke(self._app, words, env=environment)

    def gets(self, *words: str) -> str:
        """Run a command that succeeds; gives what it prints on standard output."""
        result = self.types(*words)
        assert result.exit_code == 0, result.output
        return result.stdout

    def fails(self, *words: str, code: int) -> str:
        """Run a command that ends with this code; gives what it says on standard error, in one line."""
        result = self.types(*words)
        assert result.exit_code == code, result.output
        return " ".join(result.stderr.replace("│", " ").split())

    def _load(self, config: Path | None) -> Settings:
        self.configs.append(config)
        return self._settings

    def _pause(self, _: float) -> None:
        self.pauses += 1
        self.during_pause()

    def _send(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        if not isinstance(self._answer, TestClient):
            return self._answer(request)
        path = request.url.raw_path.decode()
        with capture_logs():  # the service logs elsewhere than the command prints
            given = self._answer.request(
                request.method, path, content=request.read(), headers=dict(request.headers)
            )
        return httpx2.Response(given.status_code, headers=given.headers, content=given.content)
