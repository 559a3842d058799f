"""A bounded attack on the whole service: every kind of fault about once. `make chaos` runs the long one."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FAULTS, SEED = 116, 20260101
LAST = re.compile(rf"chaos: faults={FAULTS} jobs=[1-9]\d* lost=0 stuck=0 false=0 leaked=0")


@pytest.mark.timeout(1500)
def test_nothing_is_lost_stuck_false_or_leaked_whatever_is_killed_cut_off_or_spoiled(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.chaos", "--faults", str(FAULTS), "--seed", str(SEED), "--quick"]
    run = subprocess.run(
        [*words, "--folder", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=1480,
        check=False,
    )
    last = run.stdout.strip().rpartition("\n")[2]
    assert run.returncode == 0, f"{run.stdout}\n{run.stderr[-6000:]}"
    assert LAST.fullmatch(last), last
