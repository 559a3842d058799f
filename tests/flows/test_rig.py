"""The rig itself: a test that fails ends, and says why."""

from __future__ import annotations

import asyncio

import pytest

from tests.flows.rig import Engine, Rig, ended


def test_a_test_that_fails_while_a_step_is_held_ends_with_its_own_error(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        hold = rig.steps.hold("open_job")
        await rig.job()
        await rig.begun(hold)
        raise LookupError("why the test fails")

    with pytest.raises(LookupError, match="why the test fails"):
        engine.play(play)


def test_an_end_that_does_not_come_is_named_with_what_hangs(capfd: pytest.CaptureFixture[str]) -> None:
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(AssertionError, match=r"the engine did not end in 0\.01 s"):
        asyncio.run(ended("the engine", wait_for_ever(), 0.01))
    assert "test_rig.py" in capfd.readouterr().err
