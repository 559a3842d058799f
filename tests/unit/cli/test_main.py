"""The texts of the command `retriever`."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from scicat_retriever.cli.main import app


def texts(command: Any) -> Iterator[str]:
    """Every text that `--help` shows of a command and those below it."""
    yield command.help or ""
    yield from (getattr(parameter, "help", None) or "" for parameter in command.params)
    for each in getattr(command, "commands", {}).values():
        yield from texts(each)


@pytest.mark.parametrize("path", ["data/größe", "data/\udcff"], ids=["umlaut", "no-utf-8"])
def test_names_of_files_are_utf_8_whatever_the_locale(tmp_path: Path, path: str) -> None:
    settings = {
        "API__TOKENS": '["a-token-of-the-tests"]',
        "CATALOGUE__URL": "http://127.0.0.1",
        "CATALOGUE__TOKEN": "another-token",
        "LTS__ROOT": "/lts",
        "STAGING__ROOT": "/staging",
    }
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    asked = subprocess.run(
        [sys.executable, "-m", "scicat_retriever", "settings", "--data", os.fsencode(path)],
        capture_output=True,
        env=ascii_alone | {f"RETRIEVER_{name}": value for name, value in settings.items()},
        cwd=tmp_path,
        check=False,
    )
    assert asked.returncode == 0, asked.stderr
    assert path.encode("utf-8", "backslashreplace") in asked.stdout or os.fsencode(path) in asked.stdout


def test_no_help_text_holds_what_would_be_taken_for_markup() -> None:
    shown = list(texts(get_command(app)))
    assert any("RabbitMQ (the section broker)" in text for text in shown)
    assert [text for text in shown if "[" in text] == []
