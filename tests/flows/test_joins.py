"""Jobs and the datasets that they share: the flows of both kinds, with one run of a dataset for all that ask."""

from __future__ import annotations

import pytest

from scicat_retriever.domain import errors
from scicat_retriever.domain.ids import DatablockId
from tests.flows.fake_steps import PID, Lost, Q
from tests.flows.rig import Engine, Rig

FIRST = DatablockId("block-000")
STEPS_OF_DATASET = [
    "report_dataset_started",
    "plan_dataset",
    "prepare_datablocks",
    "copy_datablocks",
    "verify_datablocks",
]


def test_a_job_of_two_datasets_has_a_flow_for_each(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows()
        rig.steps.datasets = [PID, Q]
        await rig.work()
        assert await (await rig.job()).result() == "closed"
        assert {each.pid for each in rig.steps.outcomes} == {PID, Q}
        assert len(rig.steps.of("publish_dataset")) == 2

    engine.play(play)


def test_two_jobs_for_one_dataset_are_both_told_and_it_is_copied_once(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows()
        await rig.work()
        first, second = await rig.two_jobs()
        rig.steps.on_tape.clear()
        assert [await first.result(), await second.result()] == ["closed", "closed"]
        assert len(rig.steps.copied) == 3
        assert len(rig.steps.of("plan_dataset")) == 1
        assert [each.failures for each in rig.steps.outcomes] == [(), ()]
        assert {each.given[0] for each in rig.steps.of("note_outcome")} == {"first", "second"}

    engine.play(play)


def test_a_failure_is_told_to_both_jobs_that_wait(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows()
        await rig.work()
        first, second = await rig.two_jobs()
        await rig.until(lambda: bool(rig.steps.of("look_at_recalls")))
        rig.steps.recall_failed = {FIRST: errors.ArchiveLost("burnt")}
        await first.result()
        await second.result()
        why = (errors.ArchiveLost("burnt").failure("000.tar"),)
        assert [each.failures for each in rig.steps.outcomes] == [why, why]
        assert {each.given[0] for each in rig.steps.of("note_outcome")} == {"first", "second"}
        assert len(rig.steps.of("discard_dataset")) == 1

    engine.play(play)


def test_cancelling_one_of_two_jobs_leaves_the_other(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows()
        await rig.work()
        first, second = await rig.two_jobs()
        await rig.until_idle(first)
        await rig.cancel(first)
        assert await first.result() == "job_cancelled"
        rig.steps.on_tape.clear()
        assert await second.result() == "closed"
        assert rig.steps.failed == []
        assert len(rig.steps.of("publish_dataset")) == 1

    engine.play(play)


@pytest.mark.parametrize("step", STEPS_OF_DATASET)
def test_a_dataset_that_nobody_waits_for_any_more_ends_after_the_step_that_it_takes(
    engine: Engine, step: str
) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows(datablocks=1)
        await rig.work()
        hold = rig.steps.hold(step)
        flow = await rig.job()
        await rig.begun(hold)
        await rig.until_idle(flow)
        await rig.cancel(flow)
        assert await flow.result() == "job_cancelled"
        await rig.until_told_to_stop(rig.flow_of(PID))
        hold.released.set()
        await rig.flow_of(PID).result()
        its = [name for name in rig.steps.names() if name in {*STEPS_OF_DATASET, "publish_dataset"}]
        assert its == STEPS_OF_DATASET[: STEPS_OF_DATASET.index(step) + 1]
        assert [each.code for each in rig.steps.failed[0][1]] == ["job_cancelled"]
        assert len(rig.steps.of("discard_dataset")) == 1

    engine.play(play)


def test_a_dataset_that_is_being_published_when_nobody_waits_any_more_stays_published(
    engine: Engine,
) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows(datablocks=1)
        await rig.work()
        hold = rig.steps.hold("publish_dataset")
        flow = await rig.job()
        await rig.begun(hold)
        await rig.until_idle(flow)
        await rig.cancel(flow)
        assert await flow.result() == "job_cancelled"
        await rig.until_told_to_stop(rig.flow_of(PID))
        hold.released.set()
        await rig.flow_of(PID).result()
        assert rig.steps.failed == []
        assert rig.steps.of("discard_dataset") == []

    engine.play(play)


def test_a_job_that_asks_for_a_dataset_that_is_being_given_up_gets_a_run_of_its_own(
    engine: Engine,
) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows(datablocks=1)
        await rig.work()
        copying, discarding = rig.steps.hold("copy_datablocks", deaf=False), rig.steps.hold("discard_dataset")
        first = await rig.job("first")
        await rig.begun(copying)
        await rig.until_idle(first)
        await rig.cancel(first)
        await first.result()
        await rig.begun(discarding)
        second = await rig.job("second")
        await rig.until(lambda: len(rig.steps.of("subscribe")) == 2)
        discarding.released.set()
        assert await second.result() == "closed"
        assert len({each.given[1] for each in rig.steps.of("plan_dataset")}) == 2
        assert [each.failures for each in rig.steps.outcomes] == [()]

    engine.play(play)


def test_a_job_that_needs_more_than_the_run_that_it_joined_asks_for_another(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows(datablocks=1)
        await rig.work()
        rig.steps.refused = 1
        assert await (await rig.job()).result() == "closed"
        assert len(rig.steps.of("plan_dataset")) == 2

    engine.play(play)


def test_a_job_is_told_although_the_worker_is_lost_that_asked_for_its_dataset(engine: Engine) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows(datablocks=1)
        await rig.work()
        rig.steps.fail("subscribe", Lost())
        assert await (await rig.job()).result() == "closed"
        assert len(rig.steps.of("plan_dataset")) == 1

    engine.play(play)


def test_a_dataset_goes_on_although_the_flow_of_a_job_that_waited_was_ended_from_outside(
    engine: Engine,
) -> None:
    async def play(rig: Rig) -> None:
        rig.use_dataset_flows(datablocks=1)
        await rig.work()
        lost, other = await rig.two_jobs()
        await lost.terminate()
        rig.steps.on_tape.clear()
        assert await other.result() == "closed"

    engine.play(play)
