"""Bounded runs of the fuzzer, always the same; `make fuzz SECONDS=600` runs it for long."""

from __future__ import annotations

import importlib.util
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from tests.examples import examples
from tests.fuzz.targets import CORPUS, TARGETS

ROOT = Path(__file__).parents[2]
RUNS = {"archive": 20_000, "datablocks": 8_000, "job": 200_000, "unpacking": 3_000}
MOST_SECONDS, MOST_MEGABYTES = 60, 512
KEPT = sorted(CORPUS.glob("*/*"))


@pytest.mark.parametrize("kept", KEPT, ids=lambda kept: f"{kept.parent.name}-{kept.name}")
def test_what_must_hold_holds_for_each_kept_input(kept: Path) -> None:
    TARGETS[kept.parent.name](kept.read_bytes())


@pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None, reason="atheris has no build for this machine"
)
@pytest.mark.parametrize("target", sorted(TARGETS))
def test_the_fuzzer_finds_no_input_for_which_it_does_not_hold(target: str, tmp_path: Path) -> None:
    found = tmp_path / "found"
    found.mkdir()
    # The kernel counts the peak of the process that starts another one as that one's, too.
    most = MOST_MEGABYTES + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    limits = [
        f"-runs={examples(RUNS[target])}",
        f"-max_total_time={examples(MOST_SECONDS)}",
        "-timeout=10",
        f"-rss_limit_mb={most}",
    ]
    options = ["-seed=7", "-max_len=6000", f"-dict={CORPUS.parent / 'json.dict'}"]
    folders = [f"-artifact_prefix={tmp_path}/", str(found), str(CORPUS / target)]
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", target, *limits, *options, *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=4 * examples(MOST_SECONDS),
        check=False,
    )
    assert run.returncode == 0, run.stdout[-3000:] + run.stderr[-3000:]
    assert "DONE" in run.stderr
    assert list(found.iterdir()), "it learned nothing, so it was not guided"
