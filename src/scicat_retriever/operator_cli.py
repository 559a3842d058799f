"""The commands for operators of a running service: they speak to its API, as its settings name it."""

from __future__ import annotations

import getpass
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
import typer
from rich.console import Console
from rich.table import Table

from scicat_retriever.settings import Settings

TIMEOUT = 60.0
"""Seconds that the API may take to answer."""
Config = Annotated[Path | None, typer.Option("--config", help="The settings' file; tells where the API is.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the API's answer as it is.")]
LoadSettings = Callable[[Path | None], Settings]


class ApiRefused(Exception):
    """The API did not do what it was asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Api:
    """The API of a running service.

    Attributes:
        url: Where it is, without a slash at the end.
        token: One of its tokens.
    """

    url: str
    token: str

    def ask(self, method: str, path: str, body: object = None, **query: str | int) -> Any:  # noqa: ANN401
        """Send a request and give the answer's JSON.

        Raises:
            ApiRefused: The API does not answer, or says no.
        """
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            answer = httpx2.request(
                method,
                f"{self.url}/api/v1{path}",
                params=query,
                json=body,
                headers=headers,
                timeout=TIMEOUT,
                trust_env=False,
            )
        except httpx2.HTTPError as error:
            raise ApiRefused(f"the API at {self.url} does not answer ({type(error).__name__})") from None
        if not answer.is_success:
            raise ApiRefused(_why(answer))
        return answer.json()


def _why(answer: httpx2.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return f"the API answers {answer.status_code}"


def commands(load: LoadSettings) -> tuple[typer.Typer, typer.Typer]:
    """Make the commands `jobs` and `reports`.

    Args:
        load: Reads the settings, or ends the program with a message.
    """
    return _jobs(load), _reports(load)


def _api(load: LoadSettings, config: Path | None) -> Api:
    settings = load(config)
    host = "127.0.0.1" if settings.api.host in {"0.0.0.0", "::"} else settings.api.host  # noqa: S104 - compared
    host = f"[{host}]" if ":" in host else host
    return Api(f"http://{host}:{settings.api.port}", settings.api.tokens[0].get_secret_value())


def _jobs(load: LoadSettings) -> typer.Typer:
    app = typer.Typer(help="Look at jobs, cancel them, retry them.", no_args_is_help=True)

    @app.command()
    def show(job: str, config: Config = None, *, as_json: AsJson = False) -> None:
        """Show how far a job is."""
        _show_job(_ask(load, config, "GET", f"/jobs/{_segment(job)}", datablocks="false"), as_json=as_json)

    @app.command()
    def cancel(
        job: str,
        by: Annotated[str, typer.Option("--by", help="Who cancels; SciCat is told.")] = "",
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Cancel a job: its transfers stop, and SciCat is told."""
        who = by or getpass.getuser()
        _show_job(_ask(load, config, "DELETE", f"/jobs/{_segment(job)}", by=who), as_json=as_json)

    @app.command()
    def retry(
        job: str,
        dataset: Annotated[
            list[str] | None, typer.Option("--dataset", help="Only this dataset; may be given again.")
        ] = None,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Retrieve again what an ended job did not bring, from what is verified already."""
        body = {"datasets": dataset} if dataset else {}
        _show_job(_ask(load, config, "POST", f"/jobs/{_segment(job)}/retry", body), as_json=as_json)

    return app


def _reports(load: LoadSettings) -> typer.Typer:
    app = typer.Typer(help="What SciCat was not told yet.", no_args_is_help=True)

    @app.command("list")
    def list_reports(config: Config = None, *, as_json: AsJson = False) -> None:
        """List what waits to be told to SciCat, and what is parked since it cannot be told."""
        page = _ask(load, config, "GET", "/reports", limit=1000)
        if as_json:
            typer.echo(json.dumps(page, indent=2))
            return
        table = Table("about", "to tell", "state", "attempts", "why")
        for each in page["reports"]:
            why = (each["error"] or {}).get("message", "")
            table.add_row(
                f"{each['kind']} {each['name']}", each["told"], each["state"], str(each["attempts"]), why
            )
        Console().print(table)
        typer.echo(f"{page['waiting']} waiting, {page['parked']} parked")

    @app.command()
    def retry(
        job: Annotated[str | None, typer.Option("--job", help="Only reports of this job.")] = None,
        dataset: Annotated[
            str | None, typer.Option("--dataset", help="Only reports of this dataset.")
        ] = None,
        config: Config = None,
    ) -> None:
        """Have parked reports tried again, once what stood in their way is mended."""
        body = {"job": job, "dataset": dataset}
        count = _ask(load, config, "POST", "/reports/retry", body)["count"]
        typer.echo(f"{count} parked reports are tried again")

    return app


def _ask(
    load: LoadSettings,
    config: Path | None,
    method: str,
    path: str,
    body: object = None,
    **query: str | int,
) -> Any:  # noqa: ANN401
    try:
        return _api(load, config).ask(method, path, body, **query)
    except ApiRefused as refused:
        typer.echo(f"retriever: {refused}", err=True)
        raise SystemExit(1) from None


def _segment(job: str) -> str:
    return quote(job, safe="")


def _show_job(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(status, indent=2))
        return
    typer.echo(f"job {status['id']}: {status['state']} (attempt {status['attempt']}) {status['message']}")
    if status["cancelledBy"]:
        typer.echo(f"cancelled by {status['cancelledBy']}")
    if status["report"]:
        error = (status["report"]["error"] or {}).get("message", "")
        typer.echo(f"SciCat does not know yet: {status['report']['state']} {error}")
    table = Table("dataset", "state", "datablocks", "bytes", "why")
    for each in status["datasets"]:
        why = "; ".join(error["message"] for error in each["errors"]) or each["waitingFor"] or ""
        blocks = f"{each['datablocksStaged']}/{each['datablocksTotal']}"
        table.add_row(each["pid"], each["state"], blocks, f"{each['bytesDone']}/{each['bytesTotal']}", why)
    Console().print(table)
