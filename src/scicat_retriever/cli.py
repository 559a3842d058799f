"""The command `retriever`."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from scicat_retriever import __version__, bootstrap
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.http_api.app import create_app
from scicat_retriever.observability import logs
from scicat_retriever.processes.api import run_api
from scicat_retriever.processes.supervisor import serve as serve_all
from scicat_retriever.processes.worker import run_worker_process
from scicat_retriever.settings import CONFIG_VARIABLE, Settings, SettingsInvalid, load_settings
from scicat_retriever.settings_page import effective

app = typer.Typer(
    name="retriever",
    help="Brings datasets that SciCat catalogues back from long-term storage, verified byte for byte.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
Config = Annotated[
    Path | None,
    typer.Option(
        "--config", envvar=CONFIG_VARIABLE, help="The settings' file. Default: retriever.toml in this folder."
    ),
]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the service's own files.")]


@app.command()
def serve(config: Config = None, data: Data = None) -> None:
    """Run everything on one machine: the API, a worker and an engine of its own."""
    settings = _settings(config, data)
    _run(serve_all(settings, config, lambda words: typer.echo(f"retriever: {words}")))


@app.command()
def api(config: Config = None, data: Data = None) -> None:
    """Run the API alone, against an existing engine (engine.address)."""
    settings = _settings(config, data)
    bootstrap.make_data_folder(settings)
    _run(run_api(settings))


@app.command()
def worker(config: Config = None, data: Data = None) -> None:
    """Run a worker alone, against an existing engine (engine.address)."""
    settings = _settings(config, data)
    bootstrap.make_data_folder(settings)
    _run(run_worker_process(settings))


@app.command("settings")
def show_settings(config: Config = None, data: Data = None) -> None:
    """Print the settings in effect, secrets hidden."""
    typer.echo(effective(_settings(config, data)), nl=False)


@app.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    typer.echo(json.dumps(create_app(None).openapi(), indent=2, sort_keys=True))


@app.command()
def version() -> None:
    """Print the version."""
    typer.echo(__version__)


def _settings(config: Path | None, data: Path | None) -> Settings:
    try:
        settings = load_settings(config, **({} if data is None else {"data": data}))
    except SettingsInvalid as error:
        _fail(str(error))
    logs.configure(settings.log_level)
    return settings


def _run(work: Coroutine[Any, Any, None]) -> None:
    try:
        asyncio.run(work)
    except (SettingsInvalid, RetrieverError) as error:
        _fail(str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine's client can abort in its own threads while the interpreter shuts down; all is done by now.
    os._exit(0)


def _fail(why: str) -> NoReturn:
    typer.echo(f"retriever: {why}", err=True)
    raise SystemExit(2)


def main() -> None:
    """Run the command."""
    app()
