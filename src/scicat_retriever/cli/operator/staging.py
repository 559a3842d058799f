"""`retriever staging`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import typer

from scicat_retriever.cli.operator import staging_tables as tables
from scicat_retriever.cli.operator.api import Api, AsJson, Config
from scicat_retriever.cli.operator.printing import moment, print_json, printable
from scicat_retriever.cli.operator.quantities import read_bytes, read_duration, read_moment
from scicat_retriever.domain.amounts import in_words

T = TypeVar("T")
PAGE = 1000
"""Entries asked for at once."""
EVICTION_TIMEOUT = 3600.0
"""Seconds that an eviction may take: it ends once the files are gone."""
POLL = 1.0
"""Seconds between two looks whether a check is done."""

Dataset = Annotated[str | None, typer.Argument(help="A dataset's pid.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many to list.")]
Job = Annotated[str | None, typer.Option("--job", help="What this job brought.")]


def commands(api: Api, pause: Callable[[float], None]) -> typer.Typer:
    """Make the commands.

    Args:
        api: The API.
        pause: Waits for a number of seconds.
    """
    app = typer.Typer(help="Look after what is staged: see, keep, release, evict.", no_args_is_help=True)
    _add_looks(app, api)
    _add_pins(app, api)
    _add_pin(app, api)
    _add_release(app, api)
    _add_eviction(app, api)
    _add_check(app, api, pause)
    return app


def _add_looks(app: typer.Typer, api: Api) -> None:
    @app.command("ls")
    def list_staged(
        dataset: Dataset = None, limit: Limit = PAGE, config: Config = None, *, as_json: AsJson = False
    ) -> None:
        """List what is staged, with who keeps it how long."""
        query: dict[str, str | int] = {} if dataset is None else {"dataset": dataset}
        found = _pages(api, config, "/staging", "datablocks", query, limit)
        if as_json:
            print_json({"datablocks": found})
            return
        tables.print_staged(found)

    @app.command()
    def usage(config: Config = None, *, as_json: AsJson = False) -> None:
        """Show how full staging is, who waits for space, and what was found by the last looks."""
        found = api.ask(config, "GET", "/staging/usage")
        if as_json:
            print_json(found)
            return
        tables.print_usage(found)


def _add_pins(app: typer.Typer, api: Api) -> None:
    @app.command()
    def pins(
        dataset: Dataset = None,
        owner: Annotated[
            str | None, typer.Option("--owner", help="Only this owner's; or a job's id.")
        ] = None,
        limit: Limit = PAGE,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """List who keeps which dataset in staging, and until when."""
        named = {"dataset": dataset, "owner": owner}
        query: dict[str, str | int] = {key: name for key, name in named.items() if name is not None}
        found = _pages(api, config, "/staging/pins", "pins", query, limit)
        if as_json:
            print_json({"pins": found})
            return
        tables.print_pins(found)


def _add_pin(app: typer.Typer, api: Api) -> None:
    @app.command()
    def pin(
        dataset: Dataset = None,
        owner: Annotated[str | None, typer.Option("--owner", help="For whom the dataset is kept.")] = None,
        job: Job = None,
        span: Annotated[str | None, typer.Option("--for", help="How long: 12h, 7d, 2w.")] = None,
        until: Annotated[
            str | None, typer.Option("--until", help="Until when: 2026-12-24T12:00, 2026-12-24.")
        ] = None,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Keep a dataset in staging for somebody, or have the links of a job live longer."""
        if (dataset is None, owner is None, job is None) not in {(False, False, True), (True, True, False)}:
            raise typer.BadParameter("give either DATASET and --owner, or --job")
        body = {"dataset": dataset, "owner": owner, "job": job, **_end(span, until)}
        found = api.ask(config, "POST", "/staging/pins", body=body)
        if as_json:
            print_json(found)
            return
        tables.print_pinned(found["datasets"])


def _add_release(app: typer.Typer, api: Api) -> None:
    @app.command()
    def release(
        owner: Annotated[str | None, typer.Option("--owner", help="Whose pins end.")] = None,
        job: Job = None,
        dataset: Annotated[str | None, typer.Option("--dataset", help="Only on this dataset.")] = None,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """End the pins of a job or of somebody else; what they kept stays until its space is needed."""
        if (job is None) is (owner is None):
            raise typer.BadParameter("give either --owner or --job")
        body = {"owner": owner, "job": job, "dataset": dataset}
        found = api.ask(config, "POST", "/staging/release", body=body)
        if as_json:
            print_json(found)
            return
        for pid in found["datasets"]:
            typer.echo(f"{printable(pid)} is not pinned by {printable(job or owner or '')} any more")


def _add_eviction(app: typer.Typer, api: Api) -> None:
    @app.command()
    def evict(
        dataset: Dataset = None,
        size: Annotated[
            str | None, typer.Option("--bytes", help="Free so much: 500GB, 1.2TB, 10GiB.")
        ] = None,
        config: Config = None,
        *,
        as_json: AsJson = False,
    ) -> None:
        """Evict what nobody pins: a dataset, or as much as needed."""
        if (dataset is None) is (size is None):
            raise typer.BadParameter("give either DATASET or --bytes")
        wanted = None if size is None else _typed(read_bytes, size, "--bytes")
        body = {"dataset": dataset, "bytes": wanted}
        found = api.ask(config, "POST", "/staging/evict", body=body, timeout=EVICTION_TIMEOUT)
        if as_json:
            print_json(found)
            return
        less = wanted is not None and found["freed"] < wanted
        typer.echo(f"{in_words(found['freed'])} freed" + ("; the rest is pinned or in use" if less else ""))


def _add_check(app: typer.Typer, api: Api, pause: Callable[[float], None]) -> None:
    @app.command()
    def check(
        config: Config = None,
        *,
        wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for what is found.")] = True,
        as_json: AsJson = False,
    ) -> None:
        """Have the ledger compared with what staging really holds; exit with 1 if you have to look after it."""  # noqa: W505 - a help text
        last = api.ask(config, "POST", "/staging/check")["last"]
        if not wait:
            typer.echo("the check is asked for; its finding will be in: retriever staging usage")
            return
        typer.echo("the check is asked for; waiting for a worker to do it", err=True)
        while True:
            look = api.ask(config, "GET", "/overview")["looks"].get("staging")
            if look is not None and look["at"] != last:
                break
            pause(POLL)
        if as_json:
            print_json(look)
        else:
            typer.echo(f"{moment(look['at'])} UTC: {tables.found_in_words(look['found'])}")
        if "error" in look["found"] or look["found"].get("advice"):
            raise SystemExit(1)


def _pages(
    api: Api, config: Config, path: str, key: str, query: dict[str, str | int], limit: int
) -> list[dict[str, Any]]:
    """Ask for page after page until there are `limit` entries, or no more."""
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        wanted = min(PAGE, limit - len(found))
        page = api.ask(config, "GET", path, query={**query, **_after(found), "limit": wanted})[key]
        found += page
        if len(page) < wanted:
            break
    return found


def _after(found: list[dict[str, Any]]) -> dict[str, str | int]:
    if not found:
        return {}
    last = found[-1]
    if "number" in last:
        return {"after": last["number"]}
    return {"afterDataset": last["dataset"], "afterDatablock": last["datablock"]}


def _end(span: str | None, until: str | None) -> dict[str, str | int]:
    if span is not None and until is None:
        return {"seconds": _typed(read_duration, span, "--for")}
    if until is not None and span is None:
        return {"until": _typed(read_moment, until, "--until").isoformat()}
    raise typer.BadParameter("give either --for or --until")


def _typed(read: Callable[[str], T], text: str, option: str) -> T:
    try:
        return read(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None
