"""`retriever jobs`."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from scicat_retriever.cli.operator.api import Api, AsJson, Config, job_segment
from scicat_retriever.cli.operator.printing import moment, print_json, print_table, printable

_TOLD = {"undeliverable": "SciCat can never be told", "dropped": "telling SciCat was given up"}


def commands(api: Api) -> typer.Typer:
    """Make the commands."""
    app = typer.Typer(help="Look at jobs, cancel them, retry them.", no_args_is_help=True)

    @app.command()
    def show(job: str, config: Config = None, *, as_json: AsJson = False) -> None:
        """Show how far a job is."""
        _show(
            api.ask(config, "GET", f"/jobs/{job_segment(job)}", query={"datablocks": "false"}),
            as_json=as_json,
        )

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
        _show(api.ask(config, "DELETE", f"/jobs/{job_segment(job)}", query={"by": who}), as_json=as_json)

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
        _show(api.ask(config, "POST", f"/jobs/{job_segment(job)}/retry", body=body), as_json=as_json)

    @app.command(context_settings={"ignore_unknown_options": True})  # a negative number is none
    def priority(
        job: str,
        number: Annotated[
            int, typer.Argument(min=-1000, max=1000, help="The larger goes first; 0 is ordinary.")
        ],
        config: Config = None,
    ) -> None:
        """Have what a job wants from tape go before others, or after them."""
        api.ask(config, "PUT", f"/jobs/{job_segment(job)}/priority", body={"priority": number})
        typer.echo(f"job {printable(job)} has priority {number}")

    return app


def _show(status: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(status)
        return
    message = printable(status["message"])
    which = f"attempt {status['attempt']}, priority {status['priority']}"
    typer.echo(f"job {status['id']}: {status['state']} ({which}) {message}")
    if status["waitingFor"]:
        typer.echo(f"waits for: {printable(status['waitingFor'])}")
    if status["cancelledBy"]:
        typer.echo(f"cancelled by {printable(status['cancelledBy'])}")
    if status["report"]:
        error = printable((status["report"]["error"] or {}).get("message", ""))
        state = status["report"]["state"]
        typer.echo(f"{_TOLD.get(state, 'SciCat does not know yet')}: {state}{': ' if error else ''}{error}")
    print_table(
        ("dataset", "state", "datablocks", "bytes", "kept until (UTC)", "why"), map(_row, status["datasets"])
    )


def _row(dataset: dict[str, Any]) -> tuple[str, ...]:
    return (
        dataset["pid"],
        dataset["state"],
        f"{dataset['datablocksStaged']}/{dataset['datablocksTotal']}",
        f"{dataset['bytesDone']}/{dataset['bytesTotal']}",
        moment(dataset["keptUntil"]),
        "; ".join(error["message"] for error in dataset["errors"]) or dataset["waitingFor"] or "",
    )
