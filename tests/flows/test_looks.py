"""The flows of schedules: what the service looks for by itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from temporalio.client import WorkflowFailureError

from scicat_retriever.domain import errors
from scicat_retriever.workflow.flows import schedules
from tests.flows.fake_steps import Lost
from tests.flows.rig import Engine, Rig

LOOKS = [
    (schedules.SweepStaging.run, ["sweep_staging"], 1),
    (schedules.Reconcile.run, ["restart_lost_flows", "reconcile_jobs"], 5),
    (schedules.CheckStaging.run, ["check_staging"], 4),
    (schedules.CheckFixity.run, ["check_fixity"], 5),
]


@pytest.mark.parametrize(
    ("flow", "steps", "found"), LOOKS, ids=lambda each: getattr(each, "__qualname__", str(each))
)
def test_a_look_takes_its_steps_and_says_how_much_it_found(
    engine: Engine, flow: Callable[..., Awaitable[int]], steps: list[str], found: int
) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        assert await (await rig.look(flow)).result() == found
        assert rig.steps.names() == steps

    engine.play(play)


def test_jobs_are_reconciled_although_lost_flows_cannot_be_looked_for(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("restart_lost_flows", errors.EngineNotOurs("another's"))
        assert await (await rig.look(schedules.Reconcile.run)).result() == 3

    engine.play(play)


def test_the_next_look_makes_up_for_one_that_failed_twice(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.always_fail("check_staging", errors.LedgerUnavailable("locked"))
        with pytest.raises(WorkflowFailureError):
            await (await rig.look(schedules.CheckStaging.run)).result()
        assert len(rig.steps.of("check_staging")) == 2

    engine.play(play)


def test_staging_is_swept_although_a_worker_was_lost_and_the_ledger_was_away(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        await rig.work()
        rig.steps.fail("sweep_staging", Lost(), *[errors.LedgerUnavailable("locked")] * 5)
        assert await (await rig.look(schedules.SweepStaging.run)).result() == 1
        assert len(rig.steps.of("sweep_staging")) == 7

    engine.play(play)
