"""The texts of the command `retriever`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from scicat_retriever.cli import app


def texts(command: Any) -> Iterator[str]:
    """Every text that `--help` shows of a command and those below it."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    for each in getattr(command, "commands", {}).values():
        yield from texts(each)


def test_no_help_text_holds_what_would_be_taken_for_markup() -> None:
    shown = list(texts(get_command(app)))
    assert any("RabbitMQ (the section broker)" in text for text in shown)
    assert [text for text in shown if "[" in text] == []
