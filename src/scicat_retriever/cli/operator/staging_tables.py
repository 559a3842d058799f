"""The tables that `retriever staging` prints for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import typer

from scicat_retriever.cli.operator.printing import moment, print_table, printable
from scicat_retriever.domain.amounts import in_words

Entry = Mapping[str, Any]


def print_staged(datablocks: Sequence[Entry]) -> None:
    """Print staged datablocks, and their number and bytes in all."""
    rows = [
        (
            each["dataset"],
            each["archiveId"],
            in_words(each["size"]),
            moment(each["usedAt"]),
            moment(each["checkedAt"]),
            _pinned(each),
        )
        for each in datablocks
    ]
    print_table(("dataset", "archive", "size", "used (UTC)", "checked (UTC)", "pinned until (UTC)"), rows)
    typer.echo(f"{len(rows)} datablocks, {in_words(sum(each['size'] for each in datablocks))}")


def _pinned(datablock: Entry) -> str:
    if not datablock["pinned"]:
        return ""
    more = f" ({datablock['pins']} pins)" if datablock["pins"] > 1 else ""
    return moment(datablock["pinnedUntil"], "its job ends") + more


def print_pins(pins: Sequence[Entry]) -> None:
    """Print pins."""
    rows = [
        (
            each["dataset"],
            f"job {each['owner']}" if each["byJob"] else each["owner"],
            each["group"] or "",
            moment(each["until"], "its job ends"),
            moment(each["createdAt"]),
        )
        for each in pins
    ]
    print_table(("dataset", "owner", "group", "until (UTC)", "since (UTC)"), rows)


def print_pinned(datasets: Sequence[Entry]) -> None:
    """Print the datasets that were pinned just now."""
    for each in datasets:
        links = f"; its links expire {moment(each['linksExpire'])} UTC" if each["linksExpire"] else ""
        typer.echo(f"{printable(each['dataset'])} is pinned until {moment(each['until'])} UTC{links}")


def print_usage(usage: Entry) -> None:
    """Print how full staging is, which jobs wait, how much each group has pinned, and the last findings."""
    rows = [
        ("capacity", in_words(usage["capacity"]), _of_settings(usage)),
        ("staged", in_words(usage["staged"]), f"in {usage['datablocks']} datablocks"),
        ("  pinned", in_words(usage["pinned"]), "stays"),
        ("  cached", in_words(usage["cached"]), "goes when its space is needed"),
        ("claimed", in_words(usage["claimed"]), f"{in_words(usage['written'])} of it written"),
        ("free", in_words(usage["free"]), ""),
    ]
    print_table(("space", "size", ""), rows)
    line = usage["waiting"]
    if line["jobs"]:
        places = [
            (str(place), each["job"], in_words(each["bytes"])) for place, each in enumerate(line["first"], 1)
        ]
        print_table(("", "waiting job", "needs"), places)
        typer.echo(f"{line['jobs']} jobs wait for {in_words(line['bytes'])}")
    if usage["byGroup"]:
        groups = [
            (
                each["group"],
                in_words(each["pinned"]),
                "" if each["quota"] is None else in_words(each["quota"]),
            )
            for each in usage["byGroup"]
        ]
        print_table(("group", "pinned", "quota"), groups)
    for name, look in (("check", usage["lastCheck"]), ("fixity", usage["lastFixity"])):
        told = "never" if look is None else f"{moment(look['at'])} UTC: {found_in_words(look['found'])}"
        typer.echo(f"last {name}: {told}")


def _of_settings(usage: Entry) -> str:
    less = usage["capacity"] < usage["total"]
    return f"of {in_words(usage['total'])}; others fill the file system" if less else ""


def found_in_words(found: Mapping[str, int | str]) -> str:
    """Write the findings of a look: its counts, then what an operator has to look after."""
    counts = ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in found.items() if each != "")
    return printable(counts)
