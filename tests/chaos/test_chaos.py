"""A bounded attack on the whole service: every kind of fault about once. `make chaos` runs the long one."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[2]
FAULTS, SEED = 116, 20260101
PARTS = 2
"""Runs, each on a service of its own: side by side where a processor is idle, since an attack waits much of the time."""
LAST = re.compile(rf"chaos: faults={FAULTS // PARTS} jobs=[1-9]\d* lost=0 stuck=0 false=0 leaked=0")


def _attack(folder: Path, parts: Sequence[int], seconds: float) -> None:
    """Run some parts side by side, and judge them."""
    words = [sys.executable, "-m", "tests.chaos", "--faults", str(FAULTS // PARTS), "--quick"]
    runs = {}
    for part in parts:
        itself = ["--seed", str(SEED + part), "--part", f"{part}/{PARTS}", "--folder", str(folder)]
        with (folder / f"said-{part}").open("wb") as log:
            runs[part] = subprocess.Popen(
                [*words, *itself], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
            )
    try:
        reports = {part: run.communicate(timeout=seconds)[0] for part, run in runs.items()}
    finally:
        for run in runs.values():
            run.kill()
    for part, report in reports.items():
        told = (folder / f"said-{part}").read_text(errors="replace")
        last = report.strip().rpartition("\n")[2]
        assert runs[part].returncode == 0, f"{report}\n{told[-6000:]}"
        assert LAST.fullmatch(last), last


@pytest.mark.timeout(1500)
def test_nothing_is_lost_stuck_false_or_leaked_whatever_is_killed_cut_off_or_spoiled(tmp_path: Path) -> None:
    parts = range(1, PARTS + 1)
    # How soon the service goes on is part of what is judged: on a busy machine one attack at a time.
    processors = psutil.cpu_count() or 1
    busy = psutil.cpu_percent(interval=3.0) / 100 * processors
    together = [parts] if busy < processors - 1 else [[part] for part in parts]
    end = time.monotonic() + 1480
    for some in together:
        _attack(tmp_path, some, end - time.monotonic())
