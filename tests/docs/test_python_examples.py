"""Whole programs on the documentation's pages are run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.docs.pages import Block, blocks


@pytest.mark.parametrize(
    "block",
    [each for each in blocks("python") if each.text.startswith(("from scicat_retriever", "from stand_ins"))],
    ids=str,
)
def test_a_program_on_a_page_runs(block: Block) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block.text], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
