"""Answers of the API, printed for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import typer

FILE_WIDTH = 1000
"""Most columns of a table that is printed to a file or a pipe."""


def printable(text: str) -> str:
    """Replace characters that a terminal would obey rather than show: names may come from anywhere."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def moment(text: str | None, absent: str = "") -> str:
    """Write a time from the API as `2026-11-30 05:49`, UTC; `absent` where there is none."""
    return absent if text is None else datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def print_json(answer: object) -> None:
    """Print an answer as it is."""
    typer.echo(json.dumps(answer, indent=2))


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print rows below their headings, nothing of them cut off."""
    # Deferred: most processes of the service print no table.
    from rich.console import Console
    from rich.table import Table

    table = Table()
    for heading in headings:
        table.add_column(heading, overflow="fold")
    for row in rows:
        table.add_row(*map(printable, row))
    # A file or a pipe is as wide as it has to be: nobody wants names there that are broken in two.
    width = None if sys.stdout.isatty() else FILE_WIDTH
    Console(width=width, markup=False, highlight=False, emoji=False).print(table)
