"""When a part of the service is started again, and when its end ends the service."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from scicat_retriever.processes.part import REFUSED, Part, PartUnusable


def part(code: str, *, vital: bool = True, starting: bool = True) -> Part:
    command = [sys.executable, "-S", "-c", code]
    return Part("worker", command, dict(os.environ), vital=vital, starting=starting)


def run(kept: Part) -> None:
    asyncio.run(asyncio.wait_for(kept.keep_running(), 120))


def test_a_part_that_refuses_its_settings_is_not_started_again_before_the_service_is_ready(
    tmp_path: Path,
) -> None:
    started = tmp_path / "started"
    with pytest.raises(PartUnusable, match="the worker cannot be run: it ended with code 2"):
        run(part(f"open({str(started)!r}, 'a').write('x'); raise SystemExit({REFUSED})"))
    assert started.read_text() == "x"


def test_a_part_that_ends_again_and_again_is_given_up_before_the_service_is_ready() -> None:
    with pytest.raises(PartUnusable, match="the worker cannot be run: it ended 5 times in a row with code 1"):
        run(part("raise SystemExit(1)"))


@pytest.mark.parametrize("more", [{"vital": False}, {"starting": False}])
def test_a_part_that_ran_before_or_is_not_vital_is_started_again_whatever_it_says(
    tmp_path: Path, more: dict[str, bool]
) -> None:
    started = tmp_path / "started"

    async def until_it_stays() -> None:
        code = f"""
import pathlib, time
file = pathlib.Path({str(started)!r})
file.open("a").write("x")
if len(file.read_text()) < 4:
    raise SystemExit({REFUSED})
time.sleep(600)
"""
        running = asyncio.create_task(part(code, **more).keep_running())
        while not (started.exists() and len(started.read_text()) == 4):
            assert not running.done()
            await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    asyncio.run(asyncio.wait_for(until_it_stays(), 120))


def test_before_each_start_a_part_is_prepared(tmp_path: Path) -> None:
    prepared: list[str] = []
    kept = part(f"raise SystemExit({REFUSED})")
    kept.prepare = lambda: prepared.append("x")
    with pytest.raises(PartUnusable):
        run(kept)
    assert prepared == ["x"]
