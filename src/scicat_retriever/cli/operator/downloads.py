"""`retriever downloads`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scicat_retriever.cli.operator.api import Api, AsJson, Config
from scicat_retriever.cli.operator.printing import moment, print_json, print_table, printable

_HEADINGS = ("began (UTC)", "job", "by", "what", "first byte", "last byte", "sent", "end", "until (UTC)")


def commands(api: Api) -> typer.Typer:
    """Make the commands."""
    app = typer.Typer(help="Look at what was downloaded.", no_args_is_help=True)

    @app.command("ls")
    def list_downloads(
        job: Annotated[str, typer.Option("--job", help="Only of this job.")] = "",
        limit: Annotated[int, typer.Option("--limit", min=1, max=1000, help="Downloads listed.")] = 100,
        before: Annotated[
            int | None, typer.Option("--before", min=1, help="Older ones: the number that ends a list.")
        ] = None,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """List downloads, the last one first: by whose right, which bytes, and how that ended."""
        query: dict[str, str | int] = {"limit": limit}
        if job:
            query["job"] = job
        if before is not None:
            query["before"] = before
        page = api.ask(config, "GET", "/audit/downloads", query=query)
        if as_json:
            print_json(page)
            return
        print_table(_HEADINGS, map(_row, page["downloads"]))
        for each in page["sums"]:
            typer.echo(
                f"job {printable(each['job'])}: {each['downloads']} downloads, {each['sent']} bytes sent, "
                f"the last one began {moment(each['last'])}"
            )
        if page["next"] is not None:
            typer.echo(f"there are older ones: --before {page['next']}")

    return app


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        moment(each["began"]),
        each["job"] or "",
        each["who"],
        each["what"],
        str(each["first"]),
        str(each["last"]),
        "not known" if each["sent"] is None else str(each["sent"]),
        each["end"],
        moment(each["seen"]),
    )
