"""`retriever recalls`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from scicat_retriever.cli.operator.api import Api, AsJson, Config
from scicat_retriever.cli.operator.printing import moment, print_json, print_table

_HEADINGS = (
    "dataset",
    "archive",
    "store",
    "phase",
    "tape",
    "bytes",
    "group",
    "priority",
    "since (UTC)",
    "waits for",
)


def commands(api: Api) -> typer.Typer:
    """Make the commands."""
    app = typer.Typer(help="Look at recalls: archives that are wanted from tape.", no_args_is_help=True)

    @app.command("ls")
    def list_recalls(
        store: Annotated[str, typer.Option("--store", help="Only of this long-term store.")] = "",
        limit: Annotated[
            int, typer.Option("--limit", min=0, max=1000, help="Recalls listed of each store.")
        ] = 100,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """List what waits for tape, and for what."""
        query: dict[str, str | int] = {"limit": limit}
        if store:
            query["store"] = store
        answer = api.ask(config, "GET", "/recalls", query=query)
        if as_json:
            print_json(answer)
            return
        for each in answer["stores"]:
            counts = ", ".join(f"{each[phase]} {phase}" for phase in ("waiting", "asked", "online", "ended"))
            typer.echo(f"{each['store']}: {counts}")
        print_table(_HEADINGS, map(_row, answer["recalls"]))

    return app


def _row(each: dict[str, Any]) -> tuple[str, ...]:
    return (
        each["pid"],
        each["archiveId"],
        each["store"],
        each["phase"],
        each["tape"] or "",
        str(each["size"]),
        each["group"],
        str(each["priority"]),
        moment(each["wantedAt"]),
        each["waitingFor"] or "",
    )
