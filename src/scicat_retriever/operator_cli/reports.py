"""`retriever reports`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scicat_retriever.operator_cli.api import Api, AsJson, Config
from scicat_retriever.operator_cli.printing import print_json, print_table


def commands(api: Api) -> typer.Typer:
    """Make the commands."""
    app = typer.Typer(help="What SciCat was not told yet.", no_args_is_help=True)

    @app.command("list")
    def list_reports(config: Config = None, *, as_json: AsJson = False) -> None:
        """List what waits to be told to SciCat, and what is parked since it cannot be told."""
        page = api.ask(config, "GET", "/reports", query={"limit": 1000})
        if as_json:
            print_json(page)
            return
        print_table(("about", "to tell", "state", "attempts", "why"), map(_row, page["reports"]))
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
        count = api.ask(config, "POST", "/reports/retry", body=body)["count"]
        typer.echo(f"{count} parked reports are tried again")

    return app


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    return (
        f"{report['kind']} {report['name']}",
        report["told"],
        report["state"],
        str(report["attempts"]),
        (report["error"] or {}).get("message", ""),
    )
