"""The command `retriever`.

Each command imports what it runs when it runs, so that a process that was killed is back in half the time.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from scicat_retriever import __version__
from scicat_retriever.cli.operator import commands as operator_cli
from scicat_retriever.domain.errors import RetrieverError
from scicat_retriever.observability import logs
from scicat_retriever.settings import (
    CONFIG_VARIABLE,
    OWN_ENGINE_VARIABLE,
    Settings,
    SettingsInvalid,
    load_settings,
)

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
    from scicat_retriever.processes.supervisor import serve as serve_all

    settings = _settings(config, data)
    _run(lambda: serve_all(settings, config, lambda words: typer.echo(f"retriever: {words}")))


@app.command()
def api(config: Config = None, data: Data = None) -> None:
    """Run the API alone, against an existing engine (engine.address)."""
    from scicat_retriever.processes.api import run_api

    settings = _settings(config, data)
    _run(lambda: run_api(settings))


@app.command()
def worker(config: Config = None, data: Data = None) -> None:
    """Run a worker alone, against an existing engine (engine.address)."""
    from scicat_retriever.processes.worker import run_worker_process

    settings = _settings(config, data)
    _run(lambda: run_worker_process(settings, own_engine=OWN_ENGINE_VARIABLE in os.environ))


@app.command()
def consume(config: Config = None, data: Data = None) -> None:
    """Take the jobs that SciCat publishes to RabbitMQ (the section broker) and store them."""
    from scicat_retriever.processes.consumer import run_consumer

    settings = _settings(config, data)
    _run(lambda: run_consumer(settings))


@app.command()
def backup(
    target: Annotated[Path, typer.Argument(help="A folder that is not there yet.")],
    config: Config = None,
    data: Data = None,
) -> None:
    """Copy the ledger and the keys of links and manifests to a folder, while the service runs."""
    from scicat_retriever.processes.backup import back_up

    _say(back_up(_settings(config, data), target))


@app.command()
def restore(
    source: Annotated[Path, typer.Argument(help="What `retriever backup` made.")],
    config: Config = None,
    data: Data = None,
    *,
    remove_strays: Annotated[
        bool,
        typer.Option("--remove-strays", help="Remove staged files that the restored ledger does not know."),
    ] = False,
) -> None:
    """Put a backup into a fresh data folder, before the service is started."""
    from scicat_retriever.processes.backup import restore as restore_backup

    _say(restore_backup(_settings(config, data), source, remove_strays=remove_strays))


@app.command("adopt-staging")
def adopt_staging(config: Config = None, data: Data = None) -> None:
    """Make the staging area this service's own, after it was another's, or where its marker is gone for good."""  # noqa: W505 - a help text
    from scicat_retriever.processes.adoption import adopt_staging as adopt

    _say(adopt(_settings(config, data)))


@app.command("settings")
def show_settings(config: Config = None, data: Data = None) -> None:
    """Print the settings in effect, secrets hidden."""
    from scicat_retriever.settings.page import effective

    typer.echo(effective(_settings(config, data)), nl=False)


@app.command()
def openapi() -> None:
    """Print the API's OpenAPI document."""
    from scicat_retriever.http_api.app import create_app

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


def _run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    try:
        asyncio.run(work())
    except (SettingsInvalid, RetrieverError) as error:
        _fail(str(error))
    sys.stdout.flush()
    sys.stderr.flush()
    # The engine's client can abort in its own threads while the interpreter shuts down; all is done by now.
    os._exit(0)


def _say(sentences: Iterator[str]) -> None:
    try:
        for sentence in sentences:
            typer.echo(f"retriever: {sentence}")
    except (SettingsInvalid, RetrieverError) as error:
        _fail(str(error))


def _fail(why: str) -> NoReturn:
    typer.echo(f"retriever: {why}", err=True)
    raise SystemExit(2)


for _name, _group in operator_cli.commands(lambda config: _settings(config, None)).items():
    app.add_typer(_group, name=_name)


def main() -> None:
    """Run the command, file names as UTF-8 whatever the locale: archiveIds in the catalogue are Unicode."""
    if sys.getfilesystemencoding() != "utf-8":
        arguments = [sys.executable, "-X", "utf8", "-m", "scicat_retriever", *sys.argv[1:]]
        os.execve(sys.executable, arguments, os.environ | {"PYTHONUTF8": "1"})  # noqa: S606 - this very program
    app()
