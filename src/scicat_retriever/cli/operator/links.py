"""`retriever links`."""

from __future__ import annotations

import typer

from scicat_retriever.cli.operator.api import Api, AsJson, Config, job_segment
from scicat_retriever.cli.operator.printing import print_json, printable


def commands(api: Api) -> typer.Typer:
    """Make the commands."""
    app = typer.Typer(
        help="The links of retrievals: show the one of a job, or end those that were given.",
        no_args_is_help=True,
    )

    @app.command()
    def show(job: str, config: Config = None, *, as_json: AsJson = False) -> None:
        """Show the link of a job's page. Whoever has it can download: it is a secret."""
        link = api.ask(config, "GET", f"/jobs/{job_segment(job)}/link")
        print_json(link) if as_json else typer.echo(printable(link["url"]))

    @app.command()
    def revoke(job: str, config: Config = None, *, as_json: AsJson = False) -> None:
        """End all links of a job's page that were given, and show a new one."""
        link = api.ask(config, "POST", f"/jobs/{job_segment(job)}/link/revoke")
        if as_json:
            print_json(link)
            return
        typer.echo(f"the links of job {printable(job)} are revoked; a new one: {printable(link['url'])}")

    return app
