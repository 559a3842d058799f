"""`make demo`, on folders that people have."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def _demo(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stand_ins.demo", *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_the_demo_brings_every_byte_of_a_folder_back(tmp_path: Path) -> None:
    folder = tmp_path / "my data"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "empty").write_bytes(b"")
    (folder / "a b ü.txt").write_text("blank and umlaut")
    for number in range(20):
        (folder / "deep" / "er" / f"{number}.dat").write_bytes(bytes([number]) * 10_000)
    (folder / "what windows refuses?").write_bytes(b"")
    (folder / "link").symlink_to("empty")

    done = _demo("--data", str(folder))

    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.strip().splitlines()[-1]
    assert last == "demo: finishedSuccessful datasets=4 datablocks=15 files=23 bytes=200016"


def test_the_demo_on_tapes_says_what_is_waited_for_and_reads_each_datablock_once(tmp_path: Path) -> None:
    for number in range(16):
        (tmp_path / f"{number:02d}.dat").write_bytes(bytes([number]) * 100_000)

    done = _demo("--tape", "--release", "master", "--data", str(tmp_path))

    assert done.returncode == 0, done.stdout + done.stderr
    assert "in SciCat (a stand-in, master)" in done.stdout
    *shown, tape, last = done.stdout.strip().splitlines()
    assert any("tape VB000" in line for line in shown)
    assert re.fullmatch(r"tape: mounts=\d+ datablocks=16 reads=16 tapes=4 drives=2", tape)
    assert last == "demo: finishedSuccessful datasets=4 datablocks=16 files=16 bytes=1600000"


def test_a_folder_without_files_is_refused_with_a_reason(tmp_path: Path) -> None:
    done = _demo("--data", str(tmp_path))
    assert done.returncode == 1
    assert "there is no file to archive" in done.stdout


def test_a_folder_that_is_none_is_refused_with_what_to_do() -> None:
    done = _demo("--data", "/no/such/folder")
    assert done.returncode == 2
    assert "DATA=" in done.stdout
