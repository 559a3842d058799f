"""`retriever reports`."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from scicat_retriever.cli.operator.api import Api, AsJson, Config
from scicat_retriever.cli.operator.printing import print_json, print_table, printable


def commands(api: Api) -> typer.Typer:
    """Make the commands."""
    app = typer.Typer(help="Look after reports: what SciCat was not told yet.", no_args_is_help=True)

    @app.command("list")
    def list_reports(
        config: Config = None,
        *,
        dropped: Annotated[bool, typer.Option("--dropped", help="Also those that were dropped.")] = False,
        as_json: AsJson = False,
    ) -> None:
        """List what waits to be told to SciCat, and what is parked since it cannot be told, or can never be."""  # noqa: W505 - a help text
        query: dict[str, str | int] = {"limit": 1000, "dropped": str(dropped).lower()}
        page = api.ask(config, "GET", "/reports", query=query)
        if as_json:
            print_json(page)
            return
        print_table(("number", "about", "to tell", "state", "attempts", "why"), map(_row, page["reports"]))
        counts = f"{page['waiting']} waiting, {page['parked']} parked"
        typer.echo(counts + (f", {page['undeliverable']} of these for ever" if page["undeliverable"] else ""))

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

    @app.command()
    def drop(
        number: Annotated[list[int], typer.Argument(min=0, help="Of a parked report, as `list` gives it.")],
        reason: Annotated[str, typer.Option("--reason", help="Why; it is kept with the report.")],
        by: Annotated[str, typer.Option("--by", help="Who does it; else the user of this command.")] = "",
        config: Config = None,
    ) -> None:
        """Drop parked reports, which SciCat can never be told: all of these, or none."""
        body = {"numbers": number, "reason": reason, "by": by or getpass.getuser()}
        for report in api.ask(config, "POST", "/reports/drop", body=body)["reports"]:
            about = printable(f"{report['kind']} {report['name']}")
            typer.echo(f"{report['number']} is dropped: SciCat will not be told of {about}")

    return app


def _row(report: dict[str, Any]) -> tuple[str, ...]:
    return (
        str(report["number"]),
        f"{report['kind']} {report['name']}",
        report["told"],
        report["state"],
        str(report["attempts"]),
        "; ".join(filter(None, (report["dropped"], (report["error"] or {}).get("message")))),
    )
